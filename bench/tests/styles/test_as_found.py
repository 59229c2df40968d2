"""Turns as found: the tutorial's numpy with the variables of the user's shell, apart from every other row."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.adversary.lies import HONEST, write_style
from bench.cases.case import AS_FOUND
from bench.cases.measurement import Found, Job
from bench.cases.plan import dump_plan, load_plan
from bench.cases.problem import TUTORIAL_SIZE
from bench.cases.request import Request
from bench.cli import main
from bench.commands.run import sentence
from bench.errors import TableError, UsageError
from bench.machine.ceilings import Ceiling
from bench.machine.process import Answer
from bench.runner import turns as runner
from bench.runner.below import floor_us
from bench.runner.session import measure, prepare
from bench.runner.turns import process_launcher, schedule
from bench.tables.columns import SPEEDUP_COLUMNS, SPEEDUPS
from bench.tables.csv_files import read_table
from bench.tables.run import Run, read_iterations, read_machine, read_run
from bench.tests.fakes import a_case, a_job, a_plan, an_answer
from implementations import find_implementations

pytestmark = pytest.mark.usefixtures("probed", "handlers")

VARIABLE, VALUE = "OPENBLAS_CORETYPE", "Haswell"
REQUEST = Request(
    preset="tutorial", styles=("numpy_manual", "numpy_in_place"), devices=("cpu",), dtypes=("float64", "float32"),
    sizes=("64,1000,100,10", "8,5,4,3"), threads=("1",), blocks=2,
)  # fmt: skip
PLAIN, FOUND = 16, 2  # two styles, dtypes and sizes in two blocks; one of them as found in each


@pytest.fixture
def distorted(probed: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that has one variable that distorts."""
    monkeypatch.setenv(VARIABLE, VALUE)


class KilledError(Exception):
    """Stands for a signal that ends the process."""


def begin(folder: Path, after: int = 10**6, request: Request = REQUEST, *, resume: bool = False) -> list[bool]:
    """Run until killed in the turn number `after`; of each turn before it whether it was as found."""
    started: list[bool] = []

    def launch(job: Job) -> Found:
        if len(started) == after:
            raise KilledError
        started.append(job.case.as_found)
        return an_answer(300.0 if job.case.as_found else 100.0)

    try:
        for _ in measure(prepare(request, folder, resume=resume), launch):
            pass
    except KilledError:
        pass
    return started


def rows_as_found(folder: Path) -> list[dict[Hashable, Any]]:
    found = read_run(folder).as_found
    assert found is not None
    return found.to_dict("records")


@pytest.mark.usefixtures("distorted")
def test_the_tutorials_numpy_has_one_more_turn_in_every_block_shuffled_with_the_others(tmp_path):
    plan = prepare(REQUEST, tmp_path / "run").plan
    found = [slot for slot in schedule(plan) if slot.case.as_found]
    assert [slot.block for slot in found] == [0, 1]
    assert {slot.case.key for slot in found} == {("numpy_manual", "cpu", "float64", "ieee", 1, *TUTORIAL_SIZE)}
    assert Counter(slot.key for slot in schedule(plan)).most_common(1)[0][1] == 1
    orders = [
        [slot.case.as_found for slot in schedule(prepare(Request(blocks=2, seed=seed), tmp_path / "run").plan)]
        for seed in range(4)
    ]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.usefixtures("distorted")
@pytest.mark.parametrize("blocks", [None, 1, 7])
def test_quick_measures_as_found_once(tmp_path, blocks):
    plan = prepare(Request(blocks=blocks), tmp_path / "run").plan
    assert {count for case, count in plan.cases.items() if case.as_found} == {1}
    assert {count for case, count in plan.cases.items() if not case.as_found} == {blocks or 3}


@pytest.mark.usefixtures("distorted")
def test_every_thread_count_that_the_decomposition_may_start_at_is_measured_as_found(tmp_path):
    plan = prepare(Request(preset="tutorial"), tmp_path / "run").plan
    found = [case for case in plan.cases if case.as_found]
    written = [case for case in plan.cases if case.key in {one.key for one in found} and not case.as_found]
    assert [case.key for case in found] == [case.key for case in written]
    assert len({case.threads for case in found}) == len(found)
    assert not any(case.program for case in found)


@pytest.mark.usefixtures("distorted")
def test_its_rows_are_in_a_table_of_their_own_and_in_no_other(tmp_path):
    folder = tmp_path / "run"
    assert Counter(begin(folder)) == {False: PLAIN, True: FOUND}
    rows = rows_as_found(folder)
    assert [(row["style"], row["dtype"], row["block"], row["environment"]) for row in rows] == [
        ("numpy_manual", "float64", block, AS_FOUND) for block in (0, 1)
    ]
    assert {row["latency_median_us"] for row in rows} == {300.0}
    run = read_run(folder)
    assert len(run.measurements) == PLAIN
    assert set(run.measurements["environment"]) == {"clean"}
    assert set(run.measurements["latency_median_us"]) == {100.0}
    assert set(read_table(folder / SPEEDUPS, SPEEDUP_COLUMNS)["baseline_us"]) == {100.0, 90.0}
    assert len(read_iterations(folder)) == 4 * PLAIN
    orders = sorted([*run.measurements["order"], *(row["order"] for row in rows)])
    assert orders == list(range(PLAIN + FOUND))


def test_where_nothing_is_removed_there_is_no_such_turn_and_no_such_table(tmp_path):
    folder = tmp_path / "run"
    assert Counter(begin(folder)) == {False: PLAIN}
    assert read_run(folder).as_found is None
    assert not (folder / "as_found.csv").exists()


@pytest.mark.usefixtures("distorted")
@pytest.mark.parametrize("change", [{"keep_env": True}, {"sizes": ("8,5,4,3",)}, {"dtypes": ("float32",)}])
def test_kept_variables_another_size_or_another_dtype_give_no_such_turn(tmp_path, change):
    plan = prepare(Request(**{"styles": REQUEST.styles, **change}), tmp_path / "run").plan
    assert plan.cases
    assert not any(case.as_found for case in plan.cases)


def test_a_thread_count_alone_removes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert not any(case.as_found for case in prepare(REQUEST, tmp_path / "run").plan.cases)


@pytest.mark.usefixtures("distorted")
@pytest.mark.parametrize("killed_after", range(0, PLAIN + FOUND, 3))
def test_after_a_kill_each_turn_as_found_is_there_exactly_once(tmp_path, killed_after):
    folder = tmp_path / "run"
    before = begin(folder, killed_after)
    after = begin(folder, request=Request(), resume=True)
    assert Counter(before + after) == {False: PLAIN, True: FOUND}
    assert [row["block"] for row in rows_as_found(folder)] == [0, 1]
    assert len(read_run(folder).measurements) == PLAIN
    assert begin(folder, request=Request(), resume=True) == []


@pytest.mark.usefixtures("distorted")
@pytest.mark.parametrize("kept", [-1, -30, -700, 30, 1, 0])
def test_a_kill_in_the_middle_of_its_row_costs_that_turn_and_no_other(tmp_path, kept):
    folder = tmp_path / "run"
    begin(folder)
    path = folder / "as_found.csv"
    path.write_bytes(path.read_bytes()[:kept])
    lost = 1 if kept in (-1, -30) else 2
    assert begin(folder, request=Request(), resume=True) == [True] * lost
    assert sorted(row["block"] for row in rows_as_found(folder)) == [0, 1]


@pytest.mark.usefixtures("distorted")
def test_a_cut_or_spoiled_table_is_refused_in_one_line_with_the_cure(tmp_path, capsys):
    whole = tmp_path / "whole"
    begin(whole)
    spoils: Mapping[str, tuple[str, str]] = {
        "as_found.csv:3: the last line is cut off; finish the run with: fiftyx run --resume": ("", ""),
        "as_found.csv: has no column 'latency_median_us'": ("latency_median_us", "latency"),
        "as_found.csv:2: unknown status 'fine'": (",ok,", ",fine,"),
        "as_found.csv:2: column 'latency_median_us' is 'fast', which is not a number": ("300.0", "fast"),
        "as_found.csv: rows of 1 runs (other), machine.json is of run": (str(read_machine(whole)["run_id"]), "other"),
    }
    for complaint, (old, new) in spoils.items():
        folder = shutil.copytree(whole, tmp_path / "copy", dirs_exist_ok=True)
        path = folder / "as_found.csv"
        text = path.read_text()
        path.write_text(text.replace(old, new) if old else text[:-5])
        with pytest.raises(TableError) as caught:
            read_run(folder)
        assert complaint in str(caught.value)
        capsys.readouterr()
        assert main(["verdict", str(folder)]) == 2
        out, errors = capsys.readouterr()
        assert (out, errors.count("\n")) == ("", 1)
        assert complaint in errors


@pytest.mark.usefixtures("distorted")
def test_a_run_measured_as_found_is_not_finished_in_another_shell(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    begin(folder, 3)
    monkeypatch.delenv(VARIABLE)
    for request in (Request(), REQUEST):
        with pytest.raises(UsageError, match=r"begun with .*=Haswell, this shell has no variable that distorts"):
            prepare(request, folder, resume=True)
    monkeypatch.setenv(VARIABLE, "Zen")
    with pytest.raises(UsageError, match=r"this shell has OPENBLAS_CORETYPE=Zen, .* set them as they were"):
        prepare(Request(), folder, resume=True)
    monkeypatch.setenv(VARIABLE, VALUE)
    assert prepare(REQUEST, folder, resume=True).resumed


@pytest.mark.usefixtures("distorted")
def test_a_plan_remembers_which_cases_are_as_found_and_an_older_one_had_none(tmp_path):
    plan = prepare(REQUEST, tmp_path / "run").plan
    dumped = json.loads(json.dumps(dump_plan(plan)))
    assert load_plan(dumped, find_implementations()) == plan
    assert [case.pop("as_found") for case in dumped["cases"]] == [False] * (PLAIN // 2) + [True]
    assert not any(case.as_found for case in load_plan(dumped, find_implementations()).cases)


@pytest.mark.usefixtures("distorted")
def test_the_plan_says_how_many_turns_there_are_as_found_and_what_they_keep(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session = prepare(REQUEST, tmp_path / "run")
    assert "8 cases and 1 of them once more as found, 2 blocks, 18 processes" in sentence(session)
    monkeypatch.delenv(VARIABLE)
    assert prepare(REQUEST, tmp_path / "run").seconds < session.seconds
    monkeypatch.setenv(VARIABLE, VALUE)
    assert main(["run", "--style", "numpy_manual", "--dtype", "float64", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "numpy_manual as found" in out
    assert "as found: with OPENBLAS_CORETYPE=Haswell, as the shell has it; every other process runs without" in out


def test_its_tries_are_its_own():
    case, again = a_case("style0"), a_case("style0", as_found=True)
    launched = []

    def launch(job: Job) -> Found:
        launched.append(job.case.as_found)
        return an_answer(noisy=True)

    list(runner.run(a_plan([case, again]), launch))
    assert Counter(launched) == {False: 4, True: 4}


def test_its_process_has_the_shells_variables_and_its_threads_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_VERBOSE", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    body = "    import os\n    assert os.environ.get('OPENBLAS_VERBOSE') == {!r}\n    assert {}\n"
    threads = "os.environ['OMP_NUM_THREADS'] == '1'"
    for as_found, value in ((False, None), (True, "0")):
        place = tmp_path / str(as_found)
        place.mkdir()
        job = a_job(write_style(place, body.format(value, threads) + HONEST), as_found=as_found)
        found = process_launcher(a_plan([job.case]))(job)
        assert found.status == "ok", found


def test_only_its_own_process_keeps_the_variables(monkeypatch):
    kept = []

    def ask(_module: str, _question: Any, *, keep_env: bool, **_limits: Any) -> Answer:
        kept.append(keep_env)
        return Answer({"status": "ok"}, 1.0)

    monkeypatch.setattr(runner, "ask", ask)
    plan = a_plan([a_case("style0")])
    launch = process_launcher(plan)
    for as_found in (False, True, False):
        launch(a_job(plan.styles["style0"], as_found=as_found))
    assert kept == [False, True, False]


def test_a_ceiling_of_the_clean_environment_is_no_floor_under_it():
    ceiling = Ceiling("gemm", "numpy", "cpu", "float64", "ieee", 1, gflops=50.0)
    case = a_case(size=TUTORIAL_SIZE)
    assert floor_us(case, [ceiling]) is not None
    assert floor_us(a_case(size=TUTORIAL_SIZE, as_found=True), [ceiling]) is None


@pytest.mark.usefixtures("distorted")
def test_nothing_but_the_decomposition_looks_at_it(tmp_path, capsys):
    folder = tmp_path / "run"
    begin(folder)
    answers = []
    for _ in range(2):
        texts = []
        for command in ("table", "compare", "verdict"):
            main([command, str(folder), *{"compare": [str(folder)], "verdict": ["--all"]}.get(command, [])])
            texts.append(capsys.readouterr().out)
        answers.append(texts)
        (folder / "as_found.csv").unlink(missing_ok=True)
    assert answers[0][:2] == answers[1][:2]
    assert ("environment " in answers[0][2], "environment " in answers[1][2]) == (True, False)
    assert isinstance(read_run(folder), Run)
