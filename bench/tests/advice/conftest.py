"""What tests of advice share: a machine with a CPU alone, which no process is asked about."""

from __future__ import annotations

import pytest

from bench.tests.fakes import PROBE


@pytest.fixture(autouse=True)
def without_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    monkeypatch.setattr("bench.advice.processors.probe_devices", lambda: dict(PROBE))
