"""Tables that nobody should have written: named with file, line, column and cure, or made harmless."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import CASE_COLUMNS
from bench.errors import TableError, UsageError
from bench.tables.columns import ITERATION_COLUMNS, ITERATIONS, LOSSES, MACHINE, MEASUREMENTS
from bench.tables.csv_files import read_table
from bench.tables.run import read_iterations, read_machine, read_process, read_run
from bench.tables.writer import MOST_TEXT, Writer, one_line, repair
from bench.tests.fakes import a_case, a_measurement
from bench.tests.runs import NUMPY, TORCH, around, write_run
from bench.words import CONTROL


def changed(folder: Path, name: str, value: str, row: int = 0) -> None:
    path = folder / MEASUREMENTS
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[row, name] = value
    table.to_csv(path, index=False)


no_time = st.sampled_from(["-5", "0", "-0.0", "1e-320", "1e400", "inf", "nan", "True", "fast", "9" * 400, "\uff11"])


@given(
    name=st.sampled_from(["latency_median_us", "throughput_us", "first_iteration_seconds"]),
    value=no_time | st.floats(max_value=0).map(repr),
    row=st.integers(0, 3),
)
def test_a_time_that_is_none_is_refused_with_file_line_column_and_cure(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: str, row: int
) -> None:
    folder = write_run(tmp_path_factory.mktemp("x") / "run", {NUMPY: around(100)}).folder
    changed(folder, name, value, row)
    with pytest.raises(TableError, match=rf"measurements\.csv:{row + 2}: column '{name}' is .*; restore the line"):
        read_run(folder)


@pytest.mark.parametrize("value", ["0", "-3", "2.5", "", "10000000000", "1e400"])
@pytest.mark.parametrize("name", ["n", "d_in", "hidden", "d_out", "threads"])
def test_a_size_is_a_whole_number_from_1_up(tmp_path: Path, name: str, value: str) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    changed(folder, name, value)
    with pytest.raises(TableError, match=f"column '{name}' is"):
        read_run(folder)


def test_an_ok_row_without_any_time_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    for name in ("latency_median_us", "throughput_us"):
        changed(folder, name, "", 2)
    with pytest.raises(TableError, match=r"measurements\.csv:4: the row is ok but"):
        read_run(folder)


def test_what_is_not_noisy_is_not_read_as_noisy(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    changed(folder, "noisy", "no")
    with pytest.raises(TableError, match="column 'noisy' is 'no', expected True or False"):
        read_run(folder)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [a_pipe, a_loop, endless, Path.mkdir])
@pytest.mark.parametrize("name", [MEASUREMENTS, MACHINE, ITERATIONS])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    (folder / name).unlink()
    put(folder / name)
    with pytest.raises(TableError, match="cannot be read"):
        read_iterations(folder) if name == ITERATIONS else read_run(folder)


@pytest.mark.parametrize("put", [a_pipe, endless])
@pytest.mark.parametrize("name", [MEASUREMENTS, ITERATIONS, LOSSES])
def test_a_run_is_not_taken_up_over_what_is_no_file(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    with pytest.raises(OSError, match="no regular file"):
        repair(folder)


@given(st.text(max_size=200), st.integers(0, 5000))
def test_a_reason_is_short_and_one_line_and_nothing_that_a_terminal_obeys(text: str, more: int) -> None:
    found = one_line(text + "\x1b[2J\r\u202e" + "x" * more)
    assert len(found) <= MOST_TEXT + 3
    assert not CONTROL.search(found)
    assert "\n" not in found


@pytest.mark.parametrize("odd", ["\x1b[31m", "\r", "\x07", "\x9b", "\u202e", "\u2066", "\x00"])
def test_control_characters_of_a_table_and_of_machine_json_come_through_no_reader(tmp_path: Path, odd: str) -> None:
    folder = write_run(
        tmp_path / "run", {NUMPY: around(100)}, cpu_model=f"a{odd}b", devices={odd: {"model": odd}}
    ).folder
    path = folder / MEASUREMENTS
    path.write_bytes(path.read_bytes().replace(b"numpy_manual", f"a{odd}b".encode()))
    run = read_run(folder)
    assert not CONTROL.search("".join(map(str, [*run.measurements["style"], run.machine])))


SHAPES: tuple[Any, ...] = (5, "x", [1], {"a": [1]}, True)


@pytest.mark.parametrize("name", ["devices", "plan", "packages", "ceilings", "missing", "distorting_variables"])
def test_a_fact_of_another_shape_is_named(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    whole = json.loads((folder / MACHINE).read_text("utf-8"))
    for value in SHAPES[:3]:
        (folder / MACHINE).write_text(json.dumps({**whole, name: value}), "utf-8")
        with pytest.raises(TableError, match=rf"machine\.json: {name}.* is .*expected"):
            read_machine(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"run_id": 1' + "0" * 5000 + "}", '{"run_id": 5}', "[]", "NaN"])
def test_json_that_is_no_machine_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MACHINE).write_text(text, "utf-8")
    with pytest.raises(TableError, match=r"machine\.json: "):
        read_machine(tmp_path)


@pytest.mark.parametrize("name", [MEASUREMENTS, ITERATIONS])
def test_a_table_that_was_deleted_while_its_run_went_on_ends_the_run(tmp_path: Path, name: str) -> None:
    writer = Writer(tmp_path, "run1")
    writer.append(a_measurement(NUMPY, 0))
    (tmp_path / name).unlink()
    with pytest.raises(TableError, match=f"{name}: was deleted or changed"):
        writer.append(a_measurement(NUMPY, 1))


@given(seed=st.integers(0, 2**32), scattered=st.booleans())
def test_the_rows_of_one_process_are_those_of_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scattered: bool
) -> None:
    run = write_run(tmp_path_factory.mktemp("x") / "run", {NUMPY: around(100), TORCH: around(50)})
    path, rng = run.folder / ITERATIONS, random.Random(seed)
    if scattered:
        header, *lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text(header + "".join(rng.sample(lines, len(lines))), "utf-8")
    row = rng.choice(run.measurements.to_dict("records"))
    whole = read_iterations(run.folder)
    for name in ("block", *CASE_COLUMNS):
        whole = whole[whole[name] == row[name]]
    found = read_process(run.folder, {str(name): value for name, value in row.items()})
    assert found.to_dict("records") == whole.to_dict("records")
    assert len(found) == 3


@given(orphans=st.integers(0, 60), cut=st.integers(0, 40), piece=st.integers(150, 2000))
def test_a_killed_process_leaves_no_row_however_many_it_wrote(
    tmp_path_factory: pytest.TempPathFactory, orphans: int, cut: int, piece: int
) -> None:
    folder = write_run(tmp_path_factory.mktemp("x") / "run", {NUMPY: around(100), TORCH: around(50)}).folder
    path = folder / ITERATIONS
    before = path.read_bytes()
    samples = [float(at + 1) for at in range(orphans)]
    killed = a_measurement(a_case("torch_nn"), 9, timed_us=samples, first_us=None)
    rows = _rows_of(tmp_path_factory.mktemp("y"), killed)
    path.write_bytes(before + rows[: max(0, len(rows) - cut)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.tables.writer.TAIL", piece)
        patch.setattr("bench.tables.files.TAIL", piece)
        repair(folder)
    assert path.read_bytes() == before
    assert len(read_table(path, ITERATION_COLUMNS)) == before.count(b"\n") - 1


def _rows_of(folder: Path, measurement: Any) -> bytes:
    Writer(folder, "run1").append(measurement)
    path = folder / ITERATIONS
    return path.read_bytes().partition(b"\n")[2] if path.exists() else b""


def test_a_benchmark_file_of_other_shapes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for whole in (
        {"benchmarks": 5, "fiftyx": {"machine": {"run_id": "a"}}},
        {"benchmarks": [{"extra_info": {"latency_median_us": []}}], "fiftyx": {"machine": {"run_id": "a"}}},
        {"benchmarks": [], "fiftyx": {"machine": []}},
        {"benchmarks": [None], "fiftyx": {"machine": {"run_id": "a"}, "without": {}}},
    ):
        path.write_text(json.dumps(whole), "utf-8")
        with pytest.raises(UsageError, match=r"x\.json: "):
            read_run(path)


@pytest.mark.parametrize("odd", [b"\r", b"\x00", b'"', b"\xff", b"x" * 200_000])
def test_a_run_whose_last_lines_are_broken_is_cut_to_its_last_whole_row(tmp_path: Path, odd: bytes) -> None:
    folder = write_run(tmp_path / "run", {NUMPY: around(100)}).folder
    path = folder / ITERATIONS
    before = path.read_bytes()
    path.write_bytes(before + before.splitlines(keepends=True)[-1][:20] + odd + b"1,2\n" + odd + b"\n")
    repair(folder)
    assert path.read_bytes() == before
    path.write_bytes(odd + before)
    with pytest.raises(TableError, match=r"iterations\.csv"):
        _taken_up(folder)


def _taken_up(folder: Path) -> None:
    repair(folder)
    read_iterations(folder)
