"""What every test shares: one BLAS thread, a probe that starts no process, signal handlers put back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.machine.environment import THREAD_VARIABLES, distorting

# Before numpy and torch are loaded: the worker refuses more threads than a case asks for.
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    # a machine that only has what measuring needs, such as a lent GPU, still runs the tests without laws
    laws = (
        str(path) for path in Path(__file__).parent.rglob("test_*.py") if "from hypothesis" in path.read_text("utf-8")
    )
    collect_ignore = sorted(laws)
else:
    settings.register_profile(
        "here", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    settings.load_profile("here")


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A probe of a machine with a CPU alone, which no process is started for, and a shell that distorts nothing."""
    from bench.tests.fakes import PROBE  # not above: it loads numpy, before the suite has set what that reads

    for name in set(distorting(os.environ)) - set(THREAD_VARIABLES):
        monkeypatch.delenv(name)
    monkeypatch.setattr("bench.runner.session.probe_devices", lambda: dict(PROBE))
    monkeypatch.setattr("bench.machine.facts.probe_devices", lambda: dict(PROBE))
    return dict(PROBE)


@pytest.fixture
def handlers() -> Iterator[None]:
    """The command line takes SIGTERM; what was there comes back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be slow here: no line of what takes seconds comes before the one that a command answers with."""
    monkeypatch.setattr("bench.status.PATIENCE", 100.0)
