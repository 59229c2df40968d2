"""Tables: what is written comes back, and a killed run's tables become whole again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import CASE_COLUMNS
from bench.cases.measurement import STATUSES
from bench.errors import TableError
from bench.tables.columns import ITERATION_COLUMNS, LOSS_COLUMNS, LOSSES, MEASUREMENT_COLUMNS
from bench.tables.csv_files import read_table
from bench.tables.run import read_iterations, read_run
from bench.tables.writer import Writer, repair, write_machine
from bench.tests.fakes import a_case, a_measurement
from bench.words import harmless

RUN_ID = "0e123456"  # reads as a number if a reader lets it
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)  # see one_line
TIMES_US = st.floats(1e-6, 1e15)


def a_run(folder: Path, *measurements) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_machine(folder, {"run_id": RUN_ID})
    writer = Writer(folder, RUN_ID)
    for measurement in measurements:
        writer.append(measurement)
    return folder


@given(
    status=st.sampled_from(STATUSES),
    reason=TEXT,
    blas=TEXT,
    block=st.integers(0, 99),
    noisy=st.booleans(),
    latency=TIMES_US,
    flops=st.none() | st.integers(1, 2**52),
    samples=st.lists(st.floats(0.001, 1e9), max_size=4),
)
def test_a_row_comes_back_as_it_was_written(
    tmp_path_factory, status, reason, blas, block, noisy, latency, flops, samples
):
    values = {"latency_median_us": latency, "flops": flops, "blas": blas}
    written = a_measurement(
        a_case(), block, status=status, reason=reason, noisy=noisy, values=values, timed_us=samples, first_us=None
    )
    folder = a_run(tmp_path_factory.mktemp("run"), written)
    (row,) = read_run(folder).measurements.to_dict("records")
    assert tuple(row[name] for name in CASE_COLUMNS) == written.case.key
    assert (row["run_id"], row["block"], row["status"], row["noisy"]) == (RUN_ID, block, status, noisy)
    assert row["learning_rate"] == pytest.approx(written.case.problem.learning_rate, rel=1e-15)
    assert same_words(row["reason"], reason)
    assert same_words(row["blas"], blas)
    for name, value in (("latency_median_us", latency), ("flops", flops)):
        assert math.isnan(row[name]) if value is None else row[name] == pytest.approx(value, rel=1e-15)
    if samples:
        found = read_iterations(folder)
        assert found["elapsed_us"].tolist() == pytest.approx(samples, abs=5e-4)
        assert found["iteration"].tolist() == list(range(len(samples)))


def same_words(read: str, written: str) -> bool:
    """A line break in a cell is written as a space, what a terminal would obey as a question mark: a row is a line."""
    return read.split() == harmless(" ".join(written.split())).split()


@pytest.mark.parametrize("heap", ["cold", "Warm", "0"])
def test_a_heap_that_nobody_knows_is_refused_and_one_that_is_missing_is_not(tmp_path, heap):
    case = a_case()
    for name, known in (("known", "script"), ("unknown", heap), ("empty", None)):
        folder = a_run(tmp_path / name, a_measurement(case, values={"latency_median_us": 1.0, "heap": known}))
        if name == "unknown":
            with pytest.raises(TableError, match=f"unknown heap '{heap}'; known: warm, script, kept"):
                read_run(folder)
        else:
            assert read_run(folder).measurements["heap"].dropna().tolist() == ([known] if known else [])
    table = tmp_path / "known" / "measurements.csv"
    older = pd.read_csv(table, dtype=str, keep_default_na=False).drop(columns="heap")
    older.to_csv(table, index=False)
    assert read_run(table.parent).measurements["heap"].isna().all()


def test_unknown_is_empty_and_never_zero(tmp_path):
    folder = a_run(tmp_path, a_measurement(a_case(), status="skipped", values={}, first_us=None, timed_us=()))
    header, line = (folder / "measurements.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert all(cells[name] == "" for name in ("latency_median_us", "flops", "iterations", "final_loss"))
    assert not (folder / "iterations.csv").exists()


def test_the_columns_are_those_of_the_contract_and_in_their_order(tmp_path):
    folder = a_run(tmp_path, a_measurement(a_case()))
    assert read_run(folder).measurements.columns.tolist() == list(MEASUREMENT_COLUMNS)
    assert read_iterations(folder).columns.tolist() == list(ITERATION_COLUMNS)


def test_every_row_is_a_line(tmp_path):
    wordy = a_measurement(a_case(), status="wrong", reason='one\ntwo\r\nthree\rfour, "five"')
    folder = a_run(tmp_path, wordy, replace(wordy, block=1))
    assert len((folder / "measurements.csv").read_bytes().splitlines()) == 3


def test_what_no_file_can_hold_is_left_out_of_a_reason(tmp_path):
    folder = a_run(tmp_path, a_measurement(a_case(), status="failed", reason="a\0b \ud800 c"))
    assert read_run(folder).measurements["reason"].tolist() == ["a b ? c"]


def test_each_row_is_on_the_disk_when_append_returns(tmp_path):
    folder = a_run(tmp_path)
    for block in range(3):
        Writer(folder, RUN_ID).append(a_measurement(a_case(), block))
        assert len(read_run(folder).measurements) == block + 1
        assert sorted(read_iterations(folder)["block"].unique()) == list(range(block + 1))


def test_phases_are_the_cold_call_the_warm_up_and_the_timed(tmp_path):
    folder = a_run(tmp_path, a_measurement(a_case(), first_us=9.0, warmup_us=(3.0, 2.0), timed_us=(1.0,)))
    found = read_iterations(folder)
    assert list(zip(found["phase"], found["iteration"], found["elapsed_us"], strict=True)) == [
        ("first", 0, 9.0),
        ("warmup", 0, 3.0),
        ("warmup", 1, 2.0),
        ("timed", 0, 1.0),
    ]


def three(folder: Path) -> Path:
    """A run of three blocks of one case; its last rows are short, so that a test can cut at each byte."""
    return a_run(folder, *(a_measurement(a_case(), block, 123.456, reason="ä, b" * block) for block in range(3)))


def test_a_table_cut_at_any_byte_of_its_last_row_is_mended_without_losing_another(tmp_path):
    folder = three(tmp_path / "run")
    whole, iterations = ((folder / name).read_bytes() for name in ("measurements.csv", "iterations.csv"))
    start = whole[:-1].rindex(b"\n") + 1
    known = b"".join(line for line in iterations.splitlines(keepends=True) if b"0e123456,2," not in line)
    assert len(whole) - start > 100
    assert len(known) < len(iterations)
    for end in range(start, len(whole)):
        (folder / "measurements.csv").write_bytes(whole[:end])
        (folder / "iterations.csv").write_bytes(iterations)
        repair(folder)
        assert (folder / "measurements.csv").read_bytes() == whole[:start]
        assert (folder / "iterations.csv").read_bytes() == known
    assert read_run(folder).measurements["block"].tolist() == [0, 1]


def test_iterations_cut_at_any_byte_before_their_measurement_came_are_dropped(tmp_path):
    folder = a_run(tmp_path / "run", a_measurement(a_case(), 0), a_measurement(a_case(), 1))
    known = (folder / "iterations.csv").read_bytes()
    rows = (folder / "measurements.csv").read_bytes()
    Writer(folder, RUN_ID).append(a_measurement(a_case(), 2))
    iterations = (folder / "iterations.csv").read_bytes()
    (folder / "measurements.csv").write_bytes(rows)
    for end in range(len(known), len(iterations) + 1):
        (folder / "iterations.csv").write_bytes(iterations[:end])
        repair(folder)
        assert (folder / "iterations.csv").read_bytes() == known
        assert (folder / "measurements.csv").read_bytes() == rows


def test_a_run_cut_at_any_byte_of_its_very_first_row_begins_anew(tmp_path):
    folder = a_run(tmp_path / "run", a_measurement(a_case()))
    whole = (folder / "measurements.csv").read_bytes()
    iterations = (folder / "iterations.csv").read_bytes()
    for end in range(0, len(whole), 7):
        (folder / "measurements.csv").write_bytes(whole[:end])
        (folder / "iterations.csv").write_bytes(iterations)
        repair(folder)
        Writer(folder, RUN_ID).append(a_measurement(a_case()))
        assert (folder / "measurements.csv").read_bytes() == whole
        assert (folder / "iterations.csv").read_bytes() == iterations


def test_iterations_cut_before_the_first_measurement_are_dropped_at_any_byte(tmp_path):
    folder = a_run(tmp_path / "run", a_measurement(a_case()))
    iterations = (folder / "iterations.csv").read_bytes()
    (folder / "measurements.csv").unlink()
    for end in range(len(iterations)):
        (folder / "iterations.csv").write_bytes(iterations[:end])
        repair(folder)
        assert not (folder / "iterations.csv").exists()


def test_a_whole_run_is_left_byte_for_byte(tmp_path):
    folder = three(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    repair(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def replace_in(name: str, old: str, new: str):
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text().replace(old, new))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "machine.json").unlink(), "machine.json: cannot be read"),
        (lambda folder: (folder / "machine.json").write_text("{"), "machine.json: is not JSON"),
        (lambda folder: (folder / "machine.json").write_text("[]"), "machine.json: has no run_id"),
        (lambda folder: (folder / "measurements.csv").unlink(), "measurements.csv: cannot be read"),
        (lambda folder: (folder / "measurements.csv").write_text(""), "measurements.csv: is empty"),
        (replace_in("measurements.csv", "latency_median_us", "latency"), "has no column 'latency_median_us'"),
        (replace_in("measurements.csv", "123.456", "fast"), "'latency_median_us' is 'fast', which is not a number"),
        (replace_in("measurements.csv", ",ok,", ",fine,"), "unknown status 'fine'; known: ok, skipped"),
        (replace_in("measurements.csv", f"{RUN_ID},2", "other,2"), "rows of 2 runs"),
        (replace_in("machine.json", RUN_ID, "other"), "machine.json is of run other"),
    ],
)
def test_a_spoiled_run_is_refused_with_the_file_and_the_fault(tmp_path, spoil, complaint):
    folder = three(tmp_path / "run")
    spoil(folder)
    with pytest.raises(TableError, match=complaint) as caught:
        read_run(folder)
    assert str(folder) in str(caught.value)


def test_a_cut_table_is_refused_with_its_line_and_the_cure(tmp_path):
    folder = three(tmp_path / "run")
    path = folder / "measurements.csv"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TableError, match=r"measurements\.csv:4: the last line is cut off; .* --resume"):
        read_run(folder)


def test_a_folder_that_is_not_there_is_refused_with_the_cure(tmp_path):
    with pytest.raises(TableError, match="no such run folder; make one with: fiftyx run --out"):
        read_run(tmp_path / "nowhere")


def test_the_losses_of_a_rehearsal_are_kept_once_a_case_and_only_with_its_measurement(tmp_path):
    at_tutorial = a_case(size=(64, 1000, 100, 10))
    elsewhere = a_case("numpy_in_place")
    writer = Writer(tmp_path, RUN_ID)
    for case in (at_tutorial, elsewhere):
        for block in (0, 1):
            writer.append(a_measurement(case, block, losses=[3.0, 2.0]))
    rows = read_table(tmp_path / LOSSES, LOSS_COLUMNS)
    assert [(row["style"], row["iteration"], row["loss"]) for row in rows.to_dict("records")] == [
        ("numpy_manual", 0, 3.0),
        ("numpy_manual", 1, 2.0),
    ]
    with open(tmp_path / LOSSES, "a", encoding="utf-8") as file:
        file.write(f"{RUN_ID},numpy_in_place,sgd,cpu,float64,ieee,1,0,3.0\n{RUN_ID},numpy")
    repair(tmp_path)
    assert set(read_table(tmp_path / LOSSES, LOSS_COLUMNS)["style"]) == {"numpy_manual"}
