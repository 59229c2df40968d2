"""The benchmarks: an iteration of every case, and the tutorial's whole loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.cases.measurement import Job, Measurement
from bench.suite.grid import PARAMETERS
from bench.suite.process import back_on_its_cores
from bench.suite.state import Suite
from bench.suite.timing import CLOCK, Unfit, check_once, time_iterations, time_loops

pytestmark = pytest.mark.usefixtures(*PARAMETERS)  # plain values, for --benchmark-group-by=param:style


def test_iteration(benchmark, suite: Suite, entry_name: str):
    """A round is one iteration with its loss read on the host: latency, as `run` measures it."""
    _measure(benchmark, suite, entry_name, whole=False)


def test_tutorial_loop(benchmark, suite: Suite, entry_name: str):
    """A round is the transfer to the device and the tutorial's 500 iterations."""
    _measure(benchmark, suite, entry_name, whole=True)


def _measure(benchmark, suite, name, *, whole):
    """Timed, or only checked where pytest-benchmark is disabled; a case that is unfit fails with its reason."""
    benchmark.group = f"{'500 iterations' if whole else 'iteration'} {suite.grid.entries[name].size}"
    work: Callable[[Any, Job], Measurement | None] = time_loops if whole else time_iterations
    if benchmark.disabled:
        work = check_once
    why: Unfit | None = None
    try:
        with back_on_its_cores():
            measured = work(benchmark, suite.grid.job(name))
        suite.keep(benchmark, name, measured)
    except Unfit as unfit:
        why = unfit
    if why is not None:
        suite.unfit(name, why.status, why.reason)
        benchmark._mode = CLOCK  # or pytest-benchmark complains, with a page of its source, that nobody used it
        pytest.fail(f"{name}: {why}", pytrace=False)  # the harness's own frames would hide the reason
