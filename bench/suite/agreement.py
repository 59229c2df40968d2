"""Whether `pytest --benchmark-only` and `run` find the same: medians of both, taken in turn on this machine."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import time

from bench.cases.case import CASE_COLUMNS
from bench.cases.request import Request
from bench.machine.environment import ROOT
from bench.runner.turns import process_launcher, run
from bench.suite.grid import make_grid
from bench.tables.run import read_run

ALLOWED = 0.05
Medians = dict[tuple[str | int, ...], list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Take turns, print a line a case, 1 where a case's medians differ by more than is allowed."""
    parser = argparse.ArgumentParser(prog="scripts/agreement", description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="times that each way measures every case (default: 5)")
    parser.add_argument("--style", action="append", default=[], help="only this style (repeatable)")
    parser.add_argument("--preset", help="the cases of this preset rather than every style")
    given = parser.parse_args(arguments)
    request = Request(preset=given.preset, styles=tuple(given.style), devices=("cpu",), threads=("1",))
    in_pytest: Medians = defaultdict(list)
    in_processes: Medians = defaultdict(list)
    for turn in range(given.turns):
        start = time()
        add_pytest(request, in_pytest)
        middle = time()
        add_run(request, in_processes, seed=turn)
        seconds = f"pytest {middle - start:.0f} s, run {time() - middle:.0f} s"
        sys.stderr.write(f"turn {turn + 1}/{given.turns}: {seconds}\n")
    lines, worst = compare(in_processes, in_pytest)
    sys.stdout.write("\n".join(lines) + "\n")
    return int(worst > ALLOWED)


def add_pytest(request: Request, found: Medians) -> None:
    """One session of pytest over the iterations of the suite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "benchmark.json")
        options = [f"--fiftyx-style={style}" for style in request.styles]
        options += [f"--fiftyx-device={device}" for device in request.devices]
        options += [f"--fiftyx-preset={request.preset}"] * bool(request.preset)
        command = [sys.executable, "-m", "pytest", "bench/suite", "-q", "-k", "test_iteration"]
        command += ["--benchmark-only", f"--benchmark-json={path}", *options]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"pytest ended with exit code {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        measurements = read_run(path).measurements
    for row in measurements[measurements["status"] == "ok"].to_dict("records"):
        found[tuple(row[name] for name in CASE_COLUMNS)].append(row["latency_median_us"])


def add_run(request: Request, found: Medians, seed: int) -> None:
    """One block of `run` over the same cases, each in a fresh process."""
    plan = replace(make_grid(request, 1).plan, seed=seed, skips=())
    for measurement in run(plan, process_launcher(plan)):
        if measurement.status != "ok":
            raise SystemExit(f"{measurement.case.label}: {measurement.status}: {measurement.reason}")
        value = measurement.values["latency_median_us"]
        assert isinstance(value, float)
        found[measurement.case.key].append(value)


def compare(in_processes: Medians, in_pytest: Medians) -> tuple[list[str], float]:
    """Both medians of each case and their difference, as lines; the largest, inf where a case is missing in one."""
    worst = 0.0
    lines = [f"{'median us':60} {'run':>9} {'pytest':>9}  difference"]
    for key in sorted(set(in_processes) | set(in_pytest), key=str):
        name = " ".join(map(str, key))
        if not (in_processes.get(key) and in_pytest.get(key)):
            lines.append(f"{name:60} measured by one of the two only")
            worst = float("inf")
            continue
        one, other = median(in_processes[key]), median(in_pytest[key])
        difference = other / one - 1
        worst = max(worst, abs(difference))
        lines.append(f"{name:60} {one:9.1f} {other:9.1f}  {difference:+.1%}")
    return [*lines, f"largest difference {worst:.1%}, allowed {ALLOWED:.0%}"], worst


if __name__ == "__main__":
    sys.exit(main())
