"""The harness in a process that loads a style: whatever it replaces is told by its name."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from bench.adversary.cheats import Cheat
from bench.adversary.inroads import INROADS
from bench.adversary.lies import HONEST, write_style
from bench.cases.measurement import Job
from bench.machine.device import Device
from bench.tests.fakes import BRIEF, a_case
from bench.timing import clock, loops
from bench.verification import deviation, gate, oracle
from bench.worker import measure
from bench.worker.whole import imprint, replaced


def test_a_harness_that_nobody_touched_is_whole_though_more_of_it_was_loaded():
    before = imprint()
    import bench.worker.counting  # noqa: F401

    assert list(replaced(before)) == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (clock, "time_latency"), (clock, "perf_counter_ns"), (deviation, "reason"), (gate, "rehearse"),
        (loops.Course, "run"), (measure, "check"), (measure, "to_plain"), (oracle, "reference"), (Device, "name"),
        (time, "perf_counter"),
    ],
)  # fmt: skip
def test_whatever_is_replaced_is_named(owner, name, monkeypatch):
    before = imprint()
    monkeypatch.setattr(owner, name, lambda *_: None)
    label = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__name__}"
    assert f"{label}.{name}" in set(replaced(before))


@pytest.mark.parametrize("part", ["__defaults__", "__code__", "__kwdefaults__"])
def test_a_function_whose_parts_are_replaced_is_named(part, monkeypatch):
    def other(*_: Any, _now: Any = None) -> None:
        return None

    before = imprint()
    monkeypatch.setattr(clock.time_latency, part, {"__code__": other.__code__}.get(part), raising=True)
    monkeypatch.setattr(clock.time_batch, "__defaults__", (lambda: 0,))
    assert "bench.timing.clock.time_batch" in set(replaced(before))
    assert part == "__kwdefaults__" or "bench.timing.clock.time_latency" in set(replaced(before))


PATCHING = [one for one in INROADS if "from bench" in one.before or "'Found' in mine" in one.before]


@pytest.mark.parametrize("cheat", PATCHING, ids=lambda one: one.name)
def test_a_cheat_that_patches_the_harness_is_wrong_by_name(cheat: Cheat, tmp_path, monkeypatch):
    kept = [(module, name, value) for module in (clock, deviation, gate, measure) for name, value in
            list(vars(module).items())]  # fmt: skip
    parts = [(one, one.__defaults__) for one in (clock.time_latency, clock.time_batch, clock.time_pieces,
                                                 clock.time_batch_pieces)]  # fmt: skip
    monkeypatch.setattr("__main__.main", measure.main, raising=False)
    body = HONEST if "half" in cheat.name or "shaved" in cheat.name else cheat.body
    style = write_style(tmp_path, body, cheat.name, cheat.before, framework=cheat.framework)
    try:
        with threadpool_limits(1, user_api="blas"):
            found = measure.examine(Job(a_case(cheat.name), style, BRIEF))
    finally:
        for module, name, value in kept:
            setattr(module, name, value)
        for function, defaults in parts:
            function.__defaults__ = defaults
    assert found.status == "wrong", found
    assert "a part of what measures it" in found.reason
