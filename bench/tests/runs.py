"""Run folders for the tests: written by the harness's own writer, from cases and their times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import Case
from bench.tables.run import Run, read_run
from bench.tables.writer import Writer, write_machine, write_speedups
from bench.tests.fakes import REASON, a_case, a_measurement
from bench.verdict.evidence import Evidence

MACHINE: Mapping[str, Any] = {
    "created": "2026-11-20T12:00:00Z",
    "cpu_model": "a processor",
    "cpus": 4,
    "cores": 4,
    "memory_bytes": 2**34,
    "system": "Linux",
    "release": "6.1",
    "python": "3.11.7",
    "packages": {"numpy": "2.4.6", "torch": "2.13.0"},
    "devices": {"cpu": {"model": "a processor"}},
    "missing": {"cuda": REASON},
    "environment": "clean",
    "distorting_variables": {},
    "plan": {"preset": "quick", "blocks": 4, "seed": 0, "keep_env": False, "rule": {}, "styles": {}, "style_files": []},
}
SPREAD = (0.998, 1.001, 1.0, 1.002)  # of four quiet processes


def write_run(
    folder: Path,
    times_us: Mapping[Case, Sequence[float]],
    *,
    run_id: str = "run1",
    others: Sequence[Any] = (),
    environment: str = "clean",
    noisy: bool = False,
    **machine: Any,
) -> Run:
    """A run of these cases, a process for each time; `others` are more measurements, `machine` changes machine.json."""
    folder.mkdir(parents=True)
    write_machine(folder, {"run_id": run_id, **json.loads(json.dumps(MACHINE)), **machine})
    writer = Writer(folder, run_id, environment)
    for case, times in times_us.items():
        for block, time_us in enumerate(times):
            values = {"latency_median_us": time_us, "throughput_us": time_us * 0.9, "first_iteration_seconds": 1e-3,
                      "flops": case.problem.flops}  # fmt: skip
            writer.append(a_measurement(case, block, time_us, values=values, noisy=noisy))
    for measurement in others:
        writer.append(measurement)
    run = read_run(folder)
    write_speedups(folder, [one.row() for one in Evidence.of(run).speedups])
    return run


def evidence_of(
    measurements: pd.DataFrame, *, machine: Mapping[str, Any] | None = None, as_found: pd.DataFrame | None = None
) -> Evidence:
    """The evidence in a table of measurements, of a run that no folder holds."""
    return Evidence.of(Run(Path("a-run"), measurements, machine or {}, as_found))


def around(middle_us: float, spread: Sequence[float] = SPREAD) -> list[float]:
    """Times of a few processes about `middle_us`."""
    return [middle_us * one for one in spread]


NUMPY = a_case("numpy_manual")
TORCH = a_case("torch_tensors", framework="torch")
