"""The way in from Python: plans, runs and judgements as tables, and a bar that a notebook can show."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import bench
from bench.cases.measurement import Found, Job
from bench.errors import UsageError
from bench.runner.progress import status_line, turn_words
from bench.runner.turns import Progress, schedule

SIZE = (8, 5, 4, 3)


def launch(job: Job) -> Found:
    """A process that says each framework takes as long as its name."""
    median_us = float(len(job.case.style))
    values = {"latency_median_us": median_us, "throughput_us": median_us, "flops": 1000.0, "bytes_moved": 10.0}
    return Found("ok", values=values, first_us=1.0, timed_us=[median_us])


@pytest.fixture
def planned(tmp_path: Path, probed: object) -> bench.Planned:
    return bench.prepare(
        styles=["numpy_manual", "torch_tensors"],
        sizes=[SIZE],
        dtypes=["float32"],
        devices=["cpu", "cuda"],
        blocks=2,
        out=tmp_path / "run",
    )


def test_a_plan_is_a_table_of_cases_and_writes_nothing(planned: bench.Planned) -> None:
    cases = planned.cases
    assert sorted(zip(cases["style"], cases["device"], cases["blocks"], strict=True)) == [
        ("numpy_manual", "cpu", 2),
        ("torch_tensors", "cpu", 2),
        ("torch_tensors", "cuda:0", 0),
    ]
    assert cases.loc[cases["blocks"] == 0, "reason"].str.contains("no CUDA device").all()
    assert planned.seconds > 0
    assert not planned.folder.exists()


def test_a_run_comes_back_as_tables_and_figures(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    assert (measured.measurements["status"] == "ok").sum() == 4
    assert len(measured.iterations) == 8
    found = measured.speedups.query("style == 'torch_tensors' and baseline == 'best-cpu' and scope == 'iteration'")
    assert found["speedup"].tolist() == [pytest.approx(len("numpy_manual") / len("torch_tensors"))]
    assert all(isinstance(figure, Figure) for figure in measured.figures().values())
    assert measured.figures()


def test_what_was_measured_can_be_loaded_and_judged_by_its_path(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    verdict = bench.judge(planned.folder, 50)
    assert verdict["outcome"].tolist() == ["untested"]
    assert "no CUDA device" in verdict["reason"][0]
    assert bench.load(planned.folder).speedups.equals(measured.speedups)


def test_a_single_string_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(UsageError, match=r"give a list, such as \['torch_nn'\]"):
        bench.prepare(styles="torch_nn")


def test_a_wrong_name_says_which_one_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'torch_optim_sgd'"):
        bench.prepare(styles=["torch_optm_sgd"])


def test_the_bar_is_one_line_that_rewrites_itself(planned: bench.Planned) -> None:
    file = io.StringIO()
    turns = schedule(planned.session.plan)
    with status_line(file, rewritten=True, ended="measured") as say:
        starting = turn_words(planned.session, say, bar=True)
        for done, slot in enumerate(turns):
            starting(Progress(done, len(turns), slot))
    drawn = file.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.count("\r") == len(turns) + 1
    assert "3/4" in drawn
    assert "\x1b" not in drawn


def test_a_file_gets_a_line_now_and_then_and_nobody_watching_gets_no_rewriting(planned: bench.Planned) -> None:
    file = io.StringIO()
    with status_line(file, rewritten=False) as say:
        for number in range(100):
            say(f"turn {number}")
    assert file.getvalue() == "turn 0\n"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, bench; dir(bench); print({'pandas', 'numpy', 'torch', 'rich'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        _ = bench.mesure  # type: ignore[attr-defined]
    assert {"prepare", "measure", "judge", "load"} <= set(dir(bench))
