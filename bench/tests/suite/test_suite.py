"""`pytest --benchmark-only`: the cases of `run`, its clock's samples as rounds, its gate, its tables in the JSON."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cases.case import CASE_COLUMNS, Case
from bench.cases.problem import Problem
from bench.cases.request import Request
from bench.errors import UsageError
from bench.machine.environment import ROOT, THREAD_VARIABLES
from bench.suite import grid as suite_grid
from bench.suite.grid import Entry, make_grid
from bench.suite.process import back_on_its_cores, prepare_process
from bench.suite.timing import record
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.pytest_json import benchmark_iterations
from bench.tables.run import read_iterations, read_run
from bench.tests.fakes import PROBE
from bench.verdict.ratios.speedup import speedups

STYLES = '''
import time

import numpy as np

from implementations import implementation

calls = []


@implementation(framework="numpy", devices=("cpu",))
def dropped_in(x, y, w1, w2, learning_rate, steps):
    """A correct style whose first call takes its time, as a compilation does."""
    if not calls:
        time.sleep(0.3)
    calls.append(1)
    for _ in range(steps):
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
        loss = np.square(y_pred - y).sum()
        grad_y = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y)
        grad_h = grad_y.dot(w2.T)
        grad_h[h < 0] = 0
        w1 -= learning_rate * x.T.dot(grad_h)
        w2 -= learning_rate * grad_w2
        yield loss
    return w1, w2


@implementation(framework="numpy", devices=("cpu",))
def liar(x, y, w1, w2, learning_rate, steps):
    """Does no work."""
    for _ in range(steps):
        yield np.square(y).sum()
    return w1, w2


@implementation(framework="numpy", devices=("cpu",))
def idles(x, y, w1, w2, learning_rate, steps):
    """Trains, but not where it is asked for 3 iterations or for 500."""
    if steps in (3, 500):
        for _ in range(steps):
            yield np.square(y).sum()
        return w1, w2
    return (yield from dropped_in(x, y, w1, w2, learning_rate, steps))
'''


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    styles = folder / "styles.py"
    styles.write_text(STYLES, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--fiftyx-style-file={styles}"]
    command += ["--fiftyx-device=cpu", "--fiftyx-size=8,16,8,4", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a timed session printed, and its JSON file."""
    folder = tmp_path_factory.mktemp("timed")
    file = folder / "x.json"
    names = ("numpy_manual", "dropped_in", "liar")
    chosen = [f"--fiftyx-style={name}" for name in names]
    ended = run_pytest(folder, "--benchmark-only", f"--benchmark-json={file}", "--fiftyx-dtype=float32", *chosen)
    return ended.stdout + ended.stderr, file


def stats(file: Path, name: str) -> dict[str, Any]:
    raw = json.loads(file.read_text(encoding="utf-8"))
    return next(one for one in raw["benchmarks"] if one["name"] == name)


def test_a_style_from_a_file_appears_under_a_name_that_reads_well(timed):
    found = stats(timed[1], "test_iteration[dropped_in-cpu-float32-8x16x8x4]")
    assert found["group"] == "iteration 8x16x8x4"
    assert found["params"]["style"] == "dropped_in"


def test_a_slow_first_call_does_not_change_the_number_of_rounds(timed):
    slow, plain = (
        stats(timed[1], f"test_iteration[{name}-cpu-float32-8x16x8x4]")["stats"]
        for name in ("dropped_in", "numpy_manual")
    )
    assert slow["rounds"] == plain["rounds"] == 500


def test_a_wrong_style_fails_with_the_reason_and_gets_no_time(timed):
    printed, file = timed
    assert re.search("2 failed, 4 passed in ", printed)  # and no error beside them
    assert printed.count("liar-cpu-float32-8x16x8x4: wrong: loss of iteration 0 is") <= 4  # where it failed, in the end
    assert "Traceback" not in printed
    assert "Warning" not in printed
    assert all("liar" not in one["name"] for one in json.loads(file.read_text("utf-8"))["benchmarks"])


@pytest.mark.parametrize(("option", "only"), [("--benchmark-only", "test_tutorial_loop"),
                                                   ("--benchmark-disable", "")])  # fmt: skip
def test_a_style_that_trains_only_where_it_expects_to_be_checked_is_wrong(tmp_path, option, only):
    """Nothing is compared with what it knows beforehand: neither how many iterations there are nor the data."""
    chosen = [f"--fiftyx-style={name}" for name in ("idles", "dropped_in")]
    ended = run_pytest(tmp_path, option, "bench/suite", f"-k={only}", "--fiftyx-dtype=float32", *chosen)
    steps = 500 if only else 3
    assert f"idles-cpu-float32-8x16x8x4: wrong: in {steps} iterations: loss of iteration 0 is" in ended.stdout
    assert "Traceback" not in ended.stdout
    failed = 1 if only else 2
    assert re.search(f"{failed} failed, {failed} passed", ended.stdout)


def test_a_session_of_wrong_styles_alone_ends_with_their_reason_and_no_file_of_times(tmp_path):
    """In this folder warnings are errors, and pytest-benchmark warns that it has nothing to write."""
    file = tmp_path / "x.json"
    chosen = ["--fiftyx-style=liar", "--fiftyx-dtype=float32", f"--benchmark-json={file}", "bench/suite"]
    ended = run_pytest(tmp_path, *chosen)
    assert ended.returncode == 1
    assert "liar-cpu-float32-8x16x8x4: wrong: loss of iteration 0 is" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not file.exists()


def test_the_rounds_are_the_samples_of_our_own_clock(timed):
    found = stats(timed[1], "test_iteration[numpy_manual-cpu-float32-8x16x8x4]")
    assert found["stats"]["median"] * 1e6 == pytest.approx(found["extra_info"]["latency_median_us"], rel=1e-9)


def test_the_whole_loop_is_a_group_of_its_own(timed):
    found = stats(timed[1], "test_tutorial_loop[numpy_manual-cpu-float32-8x16x8x4]")
    assert found["group"] == "500 iterations 8x16x8x4"
    assert found["stats"]["rounds"] == 3


def test_a_json_file_is_read_as_a_run_of_one_block(timed):
    run = read_run(timed[1])
    rows = run.measurements.set_index("style")
    assert list(run.measurements.columns) == list(MEASUREMENT_COLUMNS)
    assert rows["status"].to_dict() == {"numpy_manual": "ok", "dropped_in": "ok", "liar": "wrong"}
    assert set(rows["block"]) == {0}
    assert set(rows["run_id"]) == {run.machine["run_id"]}
    assert run.machine["plan"]["blocks"] == 1
    assert run.machine["cpu_model"] is not None
    assert len(read_iterations(timed[1])) == 1000


def test_one_process_gives_a_speedup_without_an_interval(timed):
    found = [one for one in speedups(read_run(timed[1]).measurements) if one.scope == "iteration"]
    assert found
    assert all(one.ratio.value > 0 and math.isnan(one.ratio.low) and math.isnan(one.ratio.high) for one in found)


def test_what_a_shared_process_cannot_tell_stays_empty(timed):
    rows = read_run(timed[1]).measurements
    assert rows[["first_iteration_seconds", "import_seconds", "peak_rss_bytes"]].isna().all().all()


def test_a_file_that_lacks_cases_of_its_grid_is_no_unfinished_run(timed):
    run = read_run(timed[1])
    assert replace(run, measurements=run.measurements.iloc[:1]).left == 0
    assert replace(run, measurements=run.measurements.iloc[:1], folder=timed[1].parent).left == 2


def test_no_host_name_gets_into_the_file(timed):
    assert "node" not in json.loads(timed[1].read_text("utf-8"))["machine_info"]


def test_without_a_request_for_times_each_benchmark_is_checked_once(tmp_path: Path):
    ended = run_pytest(tmp_path, "bench/suite", "--fiftyx-style=dropped_in", "--fiftyx-style=liar", "-q")
    assert "2 failed, 2 passed" in ended.stdout
    assert "Rounds" not in ended.stdout


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--fiftyx-style=dropped", "no style 'dropped'; did you mean 'dropped_in'?"),
        ("--fiftyx-threads=9999", "--fiftyx-threads 9999: only "),
        ("--fiftyx-size=8,5,4", "--fiftyx-size 8,5,4: give four whole numbers"),
    ],
)
def test_a_wrong_option_is_one_line_with_the_cure(tmp_path: Path, option: str, complaint: str):
    ended = run_pytest(tmp_path, "bench/suite", option)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert complaint in ended.stderr


def test_a_style_file_whose_folder_became_the_root_is_refused_with_the_cure(tmp_path: Path):
    style = tmp_path / "mine.py"
    style.write_text(STYLES, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--benchmark-only", "--fiftyx-style-file", str(style)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--fiftyx-style-file={style}: give it with =" in ended.stderr


def test_the_settings_of_all_other_tests_load_no_numpy_before_the_suite_has_set_what_that_reads():
    """The documented `pytest --benchmark-only` names no folder, so that pytest reads both folders' settings first."""
    code = "import sys, bench.tests.conftest; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_gpu_is_the_accelerator_that_is_there_and_a_complaint_where_none_is(seen, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="--device gpu: no accelerator here: no CUDA device"):
        make_grid(Request(devices=("gpu",)), 1)
    a_gpu = {**PROBE, "devices": {**PROBE["devices"], "cuda:0": {"model": "a GPU"}}, "missing": {}}
    monkeypatch.setattr(suite_grid, "probe_devices", lambda: a_gpu)
    entries = make_grid(Request(devices=("gpu",), styles=("torch_nn",)), 1).entries
    assert {name: one.reason for name, one in entries.items()} == {"torch_nn-cuda-float32-64x1000x100x10": None}


def test_options_that_leave_no_case_are_refused(seen):
    with pytest.raises(UsageError, match="the options leave no case"):
        make_grid(Request(devices=("cuda",), styles=("numpy_in_place",)), 1)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, probed: dict[str, Any]) -> None:
    monkeypatch.setattr(suite_grid, "probe_devices", lambda: probed)


def test_every_style_is_there_and_a_missing_device_is_a_skip_with_its_reason(seen):
    entries = make_grid(Request(), 1).entries
    assert entries["torch_autograd-cpu-float32-64x1000x100x10"].reason is None
    assert "no CUDA device" in str(entries["torch_autograd-cuda-float32-64x1000x100x10"].reason)
    assert "numpy_manual-cpu-float64-64x1000x100x10" in entries


def test_numpy_comes_before_anything_that_loads_torch(seen):
    frameworks = [entry.case.framework for entry in make_grid(Request(), 1).entries.values()]
    numpy = frameworks.count("numpy")
    assert set(frameworks[:numpy]) == {"numpy"}
    assert "torch" in frameworks[numpy:]


def test_a_case_of_other_threads_is_skipped_with_the_option_that_runs_it(seen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.machine.facts.available_cpus", lambda: 4)
    entries = make_grid(Request(preset="tutorial"), 1).entries
    assert entries["torch_nn-cpu-float32-64x1000x100x10"].reason is None
    reason = "this process runs 1 thread, the case 4; give --fiftyx-threads 4"
    assert entries["torch_nn-cpu-float32-64x1000x100x10-4threads"].reason == reason


@pytest.mark.parametrize("preset", ["tutorial", "sweep", "claim", "gpu", "gpu-sweep"])
def test_no_two_cases_of_a_preset_share_a_name(seen, preset: str):
    grid = make_grid(Request(preset=preset), 1)
    cases = [*grid.plan.cases, *(skip.case for skip in grid.plan.skips)]
    assert len(grid.entries) == len(cases) == len({case.key for case in cases})


def test_a_name_shows_precision_threads_and_a_second_device_only_where_unusual():
    case = Case("s", "cuda:0", Problem(1, 2, 3, 4))
    assert Entry(case, None).name == "s-cuda-float32-1x2x3x4"
    case = replace(case, device="cuda:1", precision="tf32", threads=2)
    assert Entry(case, None).name == "s-cuda1-float32-tf32-1x2x3x4-2threads"


def test_the_process_drops_what_distorts_and_says_what_it_could_not_take_back():
    environ = {"OPENBLAS_CORETYPE": "Haswell", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "7", "HOME": "/"}
    found = prepare_process(1, environ, modules=())
    assert found.found == {"OPENBLAS_CORETYPE": "Haswell", "MALLOC_ARENA_MAX": "1"}
    assert found.kept == {"MALLOC_ARENA_MAX": "1"}
    assert found.name == "kept"
    assert environ == {"HOME": "/"} | dict.fromkeys(THREAD_VARIABLES, "1")


def test_a_variable_that_numpy_has_read_already_counts_as_kept():
    found = prepare_process(1, {"OPENBLAS_CORETYPE": "Haswell"}, modules=("numpy",))
    assert found.kept == {"OPENBLAS_CORETYPE": "Haswell"}


def test_samples_reach_the_statistics_unchanged():
    kept: list[float] = []
    fake = SimpleNamespace(_make_stats=lambda _iterations: SimpleNamespace(update=kept.append))
    record(fake, [0.25, 0.5])
    assert kept == [0.25, 0.5]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is not JSON"),
        ("[]", "is no file of pytest-benchmark"),
        ('{"benchmarks": []}', "are not those of bench/suite"),
    ],
)
def test_another_json_file_is_refused_with_the_cure(tmp_path: Path, content: str, complaint: str):
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as caught:
        read_run(path)
    assert "pytest --benchmark-only" in str(caught.value)


def test_a_file_saved_without_its_rounds_says_how_to_keep_them(tmp_path: Path, timed):
    raw = json.loads(timed[1].read_text("utf-8"))
    for one in raw["benchmarks"]:
        del one["stats"]["data"]
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert len(read_run(path).measurements) == 3
    with pytest.raises(UsageError, match="--benchmark-save-data"):
        benchmark_iterations(path, ("run_id", "block", *CASE_COLUMNS))


def fail_on(cores):
    os.sched_setaffinity(0, cores)
    return 1 / 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is kept to cores here")
def test_a_case_that_keeps_to_few_cores_leaves_the_others_all():
    cores = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), back_on_its_cores():
        fail_on(sorted(cores)[:1])
    assert os.sched_getaffinity(0) == cores
