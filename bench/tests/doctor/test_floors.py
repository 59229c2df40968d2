"""Floors of a GPU: each item by itself, on the disk as soon as it is known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.doctor import floors
from bench.doctor.floors import each_us, main, measure_floors
from bench.machine.frameworks import torch_missing
from bench.tests.fakes import AsyncDevice, FakeClock


def failing() -> Any:
    raise RuntimeError("no such\ncounter")


@pytest.mark.parametrize("seed", range(5))
def test_an_item_that_fails_is_a_line_and_all_others_are_measured_and_written_at_once(seed):
    broken = {index for index in range(8) if random.Random(seed).random() < 0.4}
    written: list[int] = []

    def wrote(found: Any) -> None:
        written.append(len(found["figures"]) + len(found["errors"]))

    def item(index: int) -> tuple[str, Callable[[], Any]]:
        return f"item {index}", failing if index in broken else lambda: index

    found = measure_floors(map(item, range(8)), wrote)
    assert found["figures"] == {f"item {index}": index for index in range(8) if index not in broken}
    assert found["errors"] == {f"item {index}": "RuntimeError: no such counter" for index in sorted(broken)}
    assert written == list(range(1, 9))


@pytest.mark.parametrize(("waited", "waits"), [(False, 1), (True, 11)])
def test_a_call_is_queued_or_waited_for_each_time_and_the_device_is_idle_before_the_clock_starts(
    monkeypatch, waited, waits
):
    clock = FakeClock()
    monkeypatch.setattr(floors, "perf_counter_ns", clock)
    fake = AsyncDevice(clock)

    def synchronize() -> None:
        fake.waits += 1

    device = replace(fake.device(), synchronize=synchronize)
    us = each_us(device, lambda: clock.pass_ns(7_000), 10, waited=waited)
    assert us == 7.0
    assert fake.waits == floors.ROUNDS * (waits + 1)


def test_without_a_gpu_the_file_and_the_line_say_so(tmp_path, capsys):
    reason = torch_missing("cuda")
    if reason is None:
        pytest.skip("there is a GPU")
    assert main([str(tmp_path / "floors.json")]) == 3
    assert json.loads((tmp_path / "floors.json").read_text())["errors"] == {"cuda": reason}
    assert capsys.readouterr().err == f"no floors: {reason}\n"
