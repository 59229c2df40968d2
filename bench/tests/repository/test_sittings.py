"""The sittings on a GPU: presets that fit their minutes, and a script that nothing ends before its time."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cases.forecast import case_seconds, ceiling_seconds
from bench.cases.plan import Plan
from bench.cases.presets import PRESETS
from bench.cases.request import Request, make_plan
from bench.machine.facts import Machine
from bench.runner.floor import ceiling_jobs
from bench.tests.fakes import CPU_ONLY, REASON
from implementations import find_implementations

ROOT = Path(__file__).resolve().parents[3]
SITTINGS = ("gpu", "gpu-sweep")
STYLES = {name: replace(style, imports=()) for name, style in find_implementations().items()}  # all installed
SIXTEEN = Machine(16, frozenset({"cpu", "cuda:0"}), {"mps": "-", "xpu": "-"}, {"cpu": 2**36, "cuda:0": 2**36})
# seconds of starts and GFLOP/s of one core: what a cloud machine with one GPU is likely to be, and one that is slow
LIKELY = {"numpy_seconds": 0.15, "torch_seconds": 2.3, "probe_seconds": 2.9, "seconds": 3.2, "gflops": 55.0, "cpus": 16}
SLOW = {"numpy_seconds": 0.2, "torch_seconds": 4.0, "probe_seconds": 4.9, "seconds": 5.3, "gflops": 35.0, "cpus": 16}


def plan_of(preset: str) -> Plan:
    return make_plan(Request(preset=preset), STYLES, SIXTEEN)


def block_seconds(plan: Plan, probe: Mapping[str, Any]) -> float:
    return sum(case_seconds(case, plan, probe) for case in plan.cases)


@pytest.mark.parametrize("preset", SITTINGS)
@pytest.mark.parametrize("seed", range(5))
def test_all_blocks_of_a_sitting_fit_its_minutes_on_any_machine_no_slower_than_a_likely_one(preset, seed):
    random = np.random.default_rng(seed)
    share = random.uniform(0.3, 1.0, len(LIKELY))
    faster = {name: LIKELY[name] * one for name, one in zip(LIKELY, share, strict=True)}
    faster |= {"seconds": faster["probe_seconds"] + 0.3 * share[0], "gflops": LIKELY["gflops"] / share[-2], "cpus": 16}
    plan = plan_of(preset)
    for probe in (LIKELY, faster):
        assert plan.blocks * block_seconds(plan, probe) <= 480
    assert plan.budget_s is not None
    assert plan.budget_s <= 480


@pytest.mark.parametrize(("preset", "blocks"), [("gpu", 3), ("gpu-sweep", 3)])
def test_a_slow_machine_still_gets_blocks_enough_for_an_interval(preset, blocks):
    plan = plan_of(preset)
    assert plan.budget_s is not None
    assert blocks * block_seconds(plan, SLOW) + ceiling_seconds(ceiling_jobs(plan), SLOW) <= plan.budget_s


def test_the_headline_has_every_baseline_and_every_faster_style_at_the_tutorials_size_alone():
    cases = plan_of("gpu").cases
    assert {case.problem.size for case in cases} == {(64, 1000, 100, 10)}
    on_cpu = {(c.style, c.problem.dtype, c.threads) for c in cases if c.device == "cpu"}
    numpy32 = {(name, "float32", k) for name in ("numpy_manual", "numpy_in_place") for k in (1, 4, 16)}
    numpy32 |= {("numpy_kept", "float32", 1)}
    assert on_cpu == numpy32 | {("numpy_manual", "float64", k) for k in (1, 16)} | {("torch_tensors", "float32", 1)}
    assert {case.style for case in cases if case.device != "cpu"} == {
        "torch_tensors", "torch_autograd", "torch_optim_sgd", "torch_cuda_graph", "torch_cuda_graph_in_place",
        "torch_compile", "torch_triton", "cupy_manual", "jax_jit",
    }  # fmt: skip
    assert {case.style for case in cases if case.program} == {"numpy_manual", "numpy_in_place", "torch_autograd"}
    assert set(cases.values()) == {6}


def test_the_sweep_has_five_sizes_on_the_gpu_and_none_on_the_cpu_at_the_largest():
    cases = plan_of("gpu-sweep").cases
    sides: dict[bool, set[int]] = {True: set(), False: set()}
    for case in cases:
        sides[case.device == "cpu"].add(case.problem.n)
    assert sides == {True: {32, 128, 256, 512}, False: {32, 128, 256, 512, 1024}}
    assert set(cases.values()) == {4}


@pytest.mark.parametrize("preset", PRESETS)
def test_without_a_gpu_every_preset_says_why_its_gpu_cases_are_skipped(preset):
    plan = make_plan(Request(preset=preset, anyway=True), find_implementations(), CPU_ONLY)
    assert plan.cases
    assert {skip.reason for skip in plan.skips if skip.case.device != "cpu"} == {REASON}


def test_one_framework_measures_the_ceilings_of_a_gpu():
    jobs = [job for job in ceiling_jobs(plan_of("gpu")) if job["device"] != "cpu"]
    assert [(job["framework"], job["device"], job["dtypes"]) for job in jobs] == [("torch", "cuda:0", ["float32"])]
    only_jax = make_plan(Request(preset="gpu", styles=("jax_jit",)), STYLES, SIXTEEN)
    assert [job["framework"] for job in ceiling_jobs(only_jax) if job["device"] != "cpu"] == ["jax"]


FAKE = """#!/usr/bin/env bash
# A Python that does what the file `does` says: lines `WORDS ACTION`, a + for each blank; the first that fits
case "$*" in *version_info*) echo "$0"; exit 0 ;; *tarfile*) exec PYTHON "$@" ;; esac
while read -r word action; do
  case "$*" in *"${word//+/ }"*) eval "$action"; exit ;; esac
done <"$(dirname "$0")/does"
echo "did $*"
"""
RUN = 'out=$(echo "$*" | sed "s/.*--out //;s/ .*//"); mkdir -p "$out"; echo a row >"$out/measurements.csv"; '


def sit(tmp_path: Path, *does: str, sitting: str = "headline", seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """A sitting with a Python that does what it is asked to."""
    (tmp_path / "does").write_text("".join(f"{line}\n" for line in does))
    fake = tmp_path / "python"
    fake.write_text(FAKE.replace("PYTHON", sys.executable))
    fake.chmod(0o755)
    environment = {**os.environ, "FIFTYX_PYTHON": str(fake), "FIFTYX_SITTING_S": str(seconds)}
    return subprocess.run(
        [str(ROOT / "scripts/gpu"), sitting, str(tmp_path / "out")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def steps(tmp_path: Path) -> dict[str, dict[str, str]]:
    with open(tmp_path / "out/steps.csv", encoding="utf-8", newline="") as file:
        return {row["step"]: row for row in csv.DictReader(file)}


def tar_of(tmp_path: Path, sitting: str) -> set[str]:
    with tarfile.open(tmp_path / f"out/{sitting}-run.tar.gz") as tar:
        return {Path(name).name for name in tar.getnames()}


@pytest.mark.parametrize(
    ("sitting", "wanted"),
    [
        ("alive", ["clocks", "cpu", "doctor", "floors", "gpu", "libraries", "list", "run", "table", "tests"]),
        ("headline", ["gpu", "libraries", "run", "table", "values", "verdict"]),
        ("sweep", ["gpu", "libraries", "run", "table", "values", "verdict"]),
    ],
)
def test_a_sitting_takes_every_step_and_leaves_few_files_the_run_as_one_tar(tmp_path, sitting, wanted):
    ended = sit(tmp_path, f"bench+run {RUN}", sitting=sitting)
    assert sorted(steps(tmp_path)) == wanted
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) <= 8
    assert {path.parent for path in files} == {tmp_path / "out"}
    assert tar_of(tmp_path, sitting) == {f"{sitting}-run", "measurements.csv"}
    assert all(name in ended.stdout for name in wanted)


@pytest.mark.parametrize("sitting", ["alive", "headline", "sweep"])
def test_whatever_fails_is_a_row_and_a_line_and_the_next_step_begins(tmp_path, sitting):
    ended = sit(tmp_path, "-c exit 9", "-m kill -SEGV $$", sitting=sitting)
    found = steps(tmp_path)
    assert ended.returncode == 1
    assert found["libraries"]["exit_code"] == "9"
    assert {row["outcome"] for row in found.values()} <= {"failed", "done"}
    last = "floors" if sitting == "alive" else "values"
    assert found[last]["outcome"] == "failed"
    assert f"{last}: failed (exit code " in ended.stdout


def test_a_refuted_claim_and_a_failed_case_are_answers_and_no_trouble(tmp_path):
    ended = sit(tmp_path, f"bench+run {RUN} exit 1", "bench+verdict exit 3")
    found = steps(tmp_path)
    assert (found["run"]["exit_code"], found["verdict"]["exit_code"]) == ("1", "3")
    assert {found[name]["outcome"] for name in ("run", "verdict")} == {"answer no or open"}
    assert ended.returncode == (0 if found["gpu"]["outcome"] == "done" else 1)  # nvidia-smi may not be here


def test_the_verdict_as_json_is_what_stdout_had_and_what_went_wrong_beside_it_is_kept(tmp_path):
    values = "bench+verdict case \"$*\" in *--json) echo '{}'; echo beside >&2 ;; *) echo in words ;; esac"
    sit(tmp_path, f"bench+run {RUN}", values)
    assert (tmp_path / "out/verdict.json").read_text() == "{}\n"
    assert (tmp_path / "out/verdict.txt").read_text() == "--- verdict\nin words\n--- values\nbeside\n"


def test_a_run_that_takes_too_long_is_stopped_and_what_it_left_comes_back(tmp_path):
    sit(tmp_path, f"bench+run {RUN} exec sleep 600", seconds=3)
    found = steps(tmp_path)
    assert found["run"]["outcome"] == "timed out"
    assert found["values"]["outcome"] == "no time left"
    assert tar_of(tmp_path, "headline") == {"headline-run", "measurements.csv"}


def test_a_second_sitting_in_a_folder_is_refused_and_the_first_stays(tmp_path):
    sit(tmp_path, f"bench+run {RUN}")
    before = (tmp_path / "out/steps.csv").read_text()
    ended = sit(tmp_path, f"bench+run {RUN}")
    assert (ended.returncode, (tmp_path / "out/steps.csv").read_text()) == (2, before)
    assert "holds a sitting already" in ended.stderr


def test_a_python_that_is_given_is_used_as_it_is_and_nothing_is_installed(tmp_path):
    (tmp_path / "scripts").mkdir()
    setup = tmp_path / "scripts/setup"
    setup.write_text((ROOT / "scripts/setup").read_text())
    say = f'. "{setup}"; echo "$python"; "$python" -c "import sys; print(sys.path[1])"'
    environment = {**os.environ, "FIFTYX_PYTHON": sys.executable}
    ended = subprocess.run(["bash", "-c", say], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [sys.executable, str(tmp_path)]
    assert list(tmp_path.iterdir()) == [tmp_path / "scripts"]
    environment["FIFTYX_PYTHON"] = "/no/such/python"
    ended = subprocess.run(["bash", "-c", say], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "FIFTYX_PYTHON=/no/such/python is no Python 3.11 or newer" in ended.stderr
