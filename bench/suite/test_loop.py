"""The benchmarks: an iteration of every case, and the tutorial's whole loop."""

from __future__ import annotations

import pytest

from bench.suite.grid import PARAMETERS
from bench.suite.state import Suite
from bench.suite.timing import Unfit, fail, run_benchmark

pytestmark = pytest.mark.usefixtures(*PARAMETERS)  # plain values, for --benchmark-group-by=param:style


def test_iteration(benchmark, suite: Suite, entry_name: str):
    """A round is one iteration with its loss read on the host: latency, as `run` measures it."""
    _measure(benchmark, suite, entry_name, whole=False)


def test_tutorial_loop(benchmark, suite: Suite, entry_name: str):
    """A round is the transfer to the device and the tutorial's 500 iterations."""
    _measure(benchmark, suite, entry_name, whole=True)


def _measure(benchmark, suite, name, *, whole):
    what = "500 iterations" if whole else "iteration"
    group = f"{what} {suite.grid.entries[name].size}"
    try:
        found = run_benchmark(benchmark, suite.grid.job(name), group, whole=whole)
    except Unfit as unfit:
        suite.unfit(name, unfit.status, unfit.reason)
        fail(unfit, name)
    else:
        suite.keep(benchmark, name, found)
