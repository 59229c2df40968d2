"""A run from first file to last: cut off anywhere, taken up again, and refused where it is not the same run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.adversary.lies import HONEST, write_style
from bench.cases.case import CASE_COLUMNS, CaseKey
from bench.cases.measurement import Found, Job
from bench.cases.presets import PRESETS
from bench.cases.request import Request, make_plan
from bench.errors import UsageError
from bench.runner.session import Session, measure, prepare, warn_of_styles
from bench.runner.turns import Launch, schedule
from bench.tables.columns import SPEEDUP_COLUMNS, SPEEDUPS
from bench.tables.csv_files import read_table
from bench.tables.run import read_iterations, read_run
from bench.tests.fakes import PROBE, REASON, WITH_CUDA, a_case, a_plan, an_answer
from implementations import find_implementations

pytestmark = pytest.mark.usefixtures("probed")

REQUEST = Request(
    styles=("numpy_manual", "numpy_in_place", "torch_tensors"), sizes=("8,5,4,3",), dtypes=("float32",), blocks=2
)
TURNS = 6  # three styles on the CPU, two blocks; torch_tensors on cuda is skipped


Started = list[tuple[str | int, ...]]


class KilledError(Exception):
    """Stands for a signal that ends the process."""


def dying(after: int) -> tuple[Launch, Started]:
    """A launcher that answers `after` times and is then killed, and the cases that it was asked for."""
    started: Started = []

    def launch(job: Job) -> Found:
        if len(started) == after:
            raise KilledError
        started.append(job.case.key)
        return an_answer(100.0 + len(started))

    return launch, started


def begin(folder: Path, after: int) -> Started:
    launch, started = dying(after)
    try:
        for _ in measure(prepare(REQUEST, folder), launch):
            pass
    except KilledError:
        pass
    return started


def finish(folder: Path, request: Request | None = None) -> Started:
    launch, started = dying(after=10**6)
    taken_up = prepare(request or Request(), folder, resume=True)
    assert taken_up.resumed
    assert len(list(measure(taken_up, launch))) >= len(started)
    return started


def turns(folder: Path) -> Counter[tuple[object, ...]]:
    """How often each (block, style, device) is in the tables; both tables must agree on those that were measured."""
    rows = read_run(folder).measurements
    found = Counter(rows[["block", "style", "device"]].itertuples(index=False, name=None))
    ok = rows[rows["status"] == "ok"]
    columns = ["block", "style", "device", "phase", "iteration"]
    samples = Counter(read_iterations(folder)[columns].itertuples(index=False, name=None))
    assert set(samples.values()) == {1}
    assert len(samples) == 4 * len(ok)
    return found


EVERY_TURN = {
    **{(block, style, "cpu"): 1 for block in (0, 1) for style in REQUEST.styles},
    (0, "torch_tensors", "cuda:0"): 1,
}


def test_a_whole_run_leaves_its_tables_and_says_what_machine_it_was(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert len(begin(folder, after=TURNS)) == TURNS
    assert sorted(path.name for path in folder.iterdir()) == [
        "iterations.csv", "machine.json", "measurements.csv", "speedups.csv",
    ]  # fmt: skip
    assert turns(folder) == EVERY_TURN
    run = read_run(folder)
    assert set(run.measurements["run_id"]) == {run.machine["run_id"]}
    skipped = run.measurements[run.measurements["status"] == "skipped"]
    assert skipped["reason"].tolist() == [REASON]
    assert not read_table(folder / SPEEDUPS, SPEEDUP_COLUMNS).empty


@pytest.mark.parametrize("killed_after", range(TURNS + 1))
def test_a_run_that_was_cut_off_knows_how_many_turns_are_left(tmp_path, killed_after):
    folder = tmp_path / "run"
    begin(folder, killed_after)
    assert read_run(folder).left == TURNS - killed_after
    finish(folder)
    assert read_run(folder).left == 0


def test_a_budget_may_end_a_run_early_so_that_nothing_is_left(tmp_path):
    begin(tmp_path / "run", 1)
    run = read_run(tmp_path / "run")
    budget = {**run.machine["plan"], "budget_s": 60.0}
    assert replace(run, machine={**run.machine, "plan": budget}).left == 0
    assert replace(run, machine={"run_id": "of another version"}).left == 0


@pytest.mark.parametrize("killed_after", range(TURNS + 1))
def test_after_a_kill_each_case_and_block_is_there_exactly_once(tmp_path, killed_after):
    folder = tmp_path / "run"
    before = begin(folder, killed_after)
    after = finish(folder)
    assert len(before) + len(after) == TURNS
    assert turns(folder) == EVERY_TURN


def test_a_resumed_run_keeps_the_order_of_the_first(tmp_path):
    folder = tmp_path / "run"
    begin(folder, 2)
    finish(folder)
    rows = read_run(folder).measurements
    measured = rows[rows["status"] == "ok"]
    assert measured["order"].tolist() == list(range(TURNS))
    plan = prepare(Request(), folder, resume=True).plan
    assert measured["style"].tolist() == [slot.case.style for slot in schedule(plan)]


@pytest.mark.parametrize("name", ["measurements.csv", "iterations.csv"])
@pytest.mark.parametrize("cut", [1, 20, 90])
def test_a_kill_in_the_middle_of_a_write_costs_that_turn_and_no_other(tmp_path, name, cut):
    """The measurement's row is written last, so a cut among the iterations means that it is not there."""
    folder = tmp_path / "run"
    begin(folder, 3)
    rows = folder / "measurements.csv"
    if name == "iterations.csv":
        content = rows.read_bytes()
        rows.write_bytes(content[: content[:-1].rindex(b"\n") + 1])
    path = folder / name
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(finish(folder)) == TURNS - 2
    assert turns(folder) == EVERY_TURN


def test_killed_again_and_again_it_still_ends(tmp_path):
    folder = tmp_path / "run"
    begin(folder, 1)
    for _ in range(TURNS - 2):
        launch, _started = dying(after=1)
        with pytest.raises(KilledError):
            list(measure(prepare(Request(), folder, resume=True), launch))
    assert len(finish(folder)) == 1
    assert turns(folder) == EVERY_TURN


def test_a_finished_run_taken_up_measures_nothing_and_changes_nothing(tmp_path):
    folder = tmp_path / "run"
    begin(folder, TURNS)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert finish(folder) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_same_request_may_be_given_again_and_the_timeout_may_differ(tmp_path):
    folder = tmp_path / "run"
    begin(folder, 2)
    again = replace(REQUEST, timeout_s=7.0)
    assert len(finish(folder, again)) == TURNS - 2


@pytest.mark.parametrize(
    "other", [{"blocks": 3}, {"seed": 1}, {"sizes": ("8,5,4,2",)}, {"styles": ("numpy_manual",)}, {"keep_env": True}]
)
def test_a_run_of_another_plan_is_not_taken_up(tmp_path, other):
    folder = tmp_path / "run"
    begin(folder, 2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageError, match=r"was made with another plan .* or choose another --out"):
        prepare(replace(REQUEST, **other), folder, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("cpu_model", "another", "cpu_model was another, is "),
        ("cpus", 99, "cpus was 99, is "),
        ("packages", {"numpy": "0"}, "packages: numpy was 0, is "),
    ],
)
def test_a_run_of_another_machine_is_not_taken_up(tmp_path, name, other, said):
    folder = tmp_path / "run"
    begin(folder, 2)
    path = folder / "machine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: other}))
    with pytest.raises(UsageError, match=f"was begun elsewhere \\({said}"):
        prepare(Request(), folder, resume=True)


def test_a_run_whose_style_has_changed_is_not_taken_up(tmp_path):
    style = write_style(tmp_path, HONEST, name="mine")
    request = Request(styles=("mine",), sizes=("8,5,4,3",), style_files=(str(style.source),))
    folder = tmp_path / "run"
    launch, _started = dying(1)
    with pytest.raises(KilledError):
        list(measure(prepare(request, folder), launch))
    alone = Request(style_files=request.style_files)
    assert prepare(alone, folder, resume=True).plan.cases
    style.source.write_text(style.source.read_text() + "# another thought\n")
    with pytest.raises(UsageError, match="style 'mine' has changed or is gone"):
        prepare(alone, folder, resume=True)
    with pytest.raises(UsageError, match=r"style 'mine' has changed or is gone .* give its --style-file again"):
        prepare(Request(), folder, resume=True)


def test_resume_of_a_folder_that_is_not_there_is_a_new_run(tmp_path):
    fresh = prepare(REQUEST, tmp_path / "run", resume=True)
    assert not fresh.resumed
    assert not (tmp_path / "run").exists()


def test_rows_are_on_the_disk_before_they_are_told(tmp_path):
    folder = tmp_path / "run"
    launch, _started = dying(TURNS)
    told: Iterator[Any] = measure(prepare(REQUEST, folder), launch)
    for count, found in enumerate(told, start=1):
        rows = read_run(folder).measurements
        assert len(rows) == count
        assert rows["style"].iloc[-1] == found.case.style


def test_a_size_too_large_for_the_memory_is_a_skipped_row_with_the_estimate(tmp_path):
    request = replace(REQUEST, styles=("numpy_manual",), sizes=("8,5,4,3", "100000000,100000,100,10"), blocks=1)
    folder = tmp_path / "run"
    launch, started = dying(10)
    list(measure(prepare(request, folder), launch))
    assert len(started) == 1
    rows = read_run(folder).measurements
    assert rows["status"].tolist() == ["skipped", "ok"]
    assert rows["reason"].iloc[0].startswith("needs about ")
    assert "GiB on cpu" in rows["reason"].iloc[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_without_a_gpu_each_of_its_cases_is_a_row_with_the_reason_before_the_first_process(
    tmp_path, monkeypatch, preset
):
    """So that a run that is ended among its ceilings has its table too."""

    def killed(*_asked: object) -> None:
        raise KilledError

    monkeypatch.setattr("bench.runner.floor.measure_ceilings", killed)
    folder, there = tmp_path / "run", make_plan(Request(preset=preset), find_implementations(), WITH_CUDA)
    wanted = {one.key for one in (*there.cases, *(skip.case for skip in there.skips)) if not one.key.on_cpu}
    with pytest.raises(KilledError):
        list(measure(prepare(Request(preset=preset, anyway=True), folder)))
    rows = read_run(folder).measurements
    on_gpu = rows[rows["device"] != "cpu"]
    assert set(map(CaseKey.of, on_gpu[list(CASE_COLUMNS)].itertuples(index=False))) == wanted
    assert len(on_gpu) == len(wanted) > 0
    assert set(rows["status"]) == {"skipped"}
    assert set(on_gpu["reason"]) == {REASON}
    launch, _started = dying(after=3)
    with pytest.raises(KilledError):
        list(measure(prepare(Request(), folder, resume=True), launch))
    assert (read_run(folder).measurements["status"] == "skipped").sum() == len(rows)


def test_two_runs_never_write_into_one_folder(tmp_path):
    folder = tmp_path / "run"
    first = measure(prepare(REQUEST, folder), dying(10)[0])
    next(first)
    with pytest.raises(UsageError, match="another run is writing there"):
        next(measure(prepare(Request(), folder, resume=True), dying(10)[0]))
    first.close()
    list(measure(prepare(Request(), folder, resume=True), dying(10)[0]))


def test_a_run_is_not_finished_on_another_gpu(tmp_path, monkeypatch):
    def probe(model, free):
        devices = {"cpu": {"model": "a processor"}, "cuda:0": {"model": model, "free_bytes": free}}
        return lambda: {**PROBE, "devices": devices}

    folder = tmp_path / "run"
    monkeypatch.setattr("bench.runner.session.probe_devices", probe("A", 2**33))
    next(measure(prepare(REQUEST, folder), dying(10)[0]))
    monkeypatch.setattr("bench.runner.session.probe_devices", probe("A", 2**32))
    assert prepare(Request(), folder, resume=True).resumed
    monkeypatch.setattr("bench.runner.session.probe_devices", probe("B", 2**33))
    with pytest.raises(UsageError, match="was begun elsewhere"):
        prepare(Request(), folder, resume=True)


def test_options_that_leave_no_case_are_refused(tmp_path):
    with pytest.raises(UsageError, match="the options leave no case"):
        prepare(Request(styles=("numpy_manual",), devices=("cuda",)), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_plan_writes_nothing(tmp_path):
    found: Session = prepare(REQUEST, tmp_path / "run")
    assert found.seconds > 0
    assert found.probe["gflops"] == PROBE["gflops"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written: no permission in"):
        prepare(REQUEST, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_style_whose_source_reaches_for_frames_is_said_to_be_suspicious_and_no_other(tmp_path):
    honest = write_style(tmp_path, HONEST, "honest")
    reaching = write_style(tmp_path, "    import sys\n    sys._getframe(1)\n" + HONEST, "reaching")
    case = a_case("honest")
    said: list[str] = []
    warn_of_styles(a_plan([case], styles={"honest": honest, "reaching": reaching}), said.append)
    (line,) = said
    assert line.startswith("style 'reaching' is suspicious, line ")
    assert "sys._getframe(1); read it before you believe its times" in line
