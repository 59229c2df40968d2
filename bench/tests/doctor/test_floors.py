"""Floors of a device: each item by itself, with its spread, on the disk as soon as it is known."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.cases.problem import Problem
from bench.cli import main
from bench.doctor import _cpu_floors, _gpu_floors, floors
from bench.doctor.floors import as_rate, divided, each_us, figure, measure, measure_floors, products_of
from bench.machine.frameworks import open_device
from bench.machine.process import Answer
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
    found = each_us(device, lambda: clock.pass_ns(7_000), 10, waited=waited)
    assert found == {"median": 7.0, "low": 7.0, "high": 7.0, "n": 10 * floors.ROUNDS}
    assert fake.waits == floors.ROUNDS * (waits + 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_figure_has_its_median_between_least_and_most_and_keeps_them_in_every_unit(seed):
    draw = random.Random(seed)
    rounds = [draw.uniform(1, 100) for _ in range(draw.randint(1, 9))]
    found = figure(rounds, 17)
    assert min(rounds) == found["low"] <= found["median"] <= found["high"] == max(rounds)
    assert found["n"] == 17
    rate, half = as_rate(found, 10**6), divided(found, 2)
    assert rate["low"] <= rate["median"] <= rate["high"]
    assert rate["median"] == pytest.approx(1e3 / found["median"])
    assert half["high"] == found["high"] / 2


@pytest.fixture
def gpu(monkeypatch) -> Iterator[AsyncDevice]:
    """A fake device whose kernels are queued for a thread and finished only when it is waited for."""
    clock = FakeClock()
    fake = AsyncDevice(clock, launch_ns=2_000)
    thread = threading.Thread(target=fake.work, daemon=True)
    thread.start()
    monkeypatch.setattr(floors, "perf_counter_ns", clock)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda _cycles: fake.launch("empty", 3_000), raising=False)
    yield fake
    fake.stop()
    thread.join()


def test_a_launch_a_wait_and_a_read_of_a_gpu_are_what_its_queue_takes(gpu):
    items = dict(_gpu_floors.calls(replace(gpu.device(), name="cpu"), 20))
    found = {
        name: items[name]()["median"] for name in ("wait_us", "launch_us", "launch_and_wait_us", "launch_and_read_us")
    }
    assert found == {"wait_us": 0, "launch_us": 5, "launch_and_wait_us": 5, "launch_and_read_us": 5}
    assert gpu.reads == 20 * floors.ROUNDS
    assert {"read_us", "elementwise_us", "event_us", "wait_through_torch_us"} <= set(items)


def test_products_are_the_five_of_an_iteration():
    each = dict(products_of("numpy", open_device("numpy", "cpu"), "float32"))
    assert list(each) == ["x w1", "h w2", "hT grad_y", "grad_y w2T", "xT grad_h"]
    shapes = {name: call().shape for name, call in each.items()}
    n, d_in, hidden, d_out = Problem().size
    assert shapes == {
        "x w1": (n, hidden), "h w2": (n, d_out), "hT grad_y": (hidden, d_out), "grad_y w2T": (n, hidden),
        "xT grad_h": (d_in, hidden),
    }  # fmt: skip


def test_every_floor_of_the_cpu_has_its_spread_and_its_file_holds_what_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(_cpu_floors, "NUMBERS", {"x": 1000})
    monkeypatch.setattr(floors, "CALLS", 20)
    path = tmp_path / "floors.json"
    found = measure("cpu", str(path))
    assert json.loads(path.read_text()) == found
    assert not set(found["errors"]) - {"page_fault_us"}
    for name in ("numpy_call_us", "torch_call_us", "torch_autograd_call_us", "torch float64 product x w1_us"):
        one = found["figures"][name]
        assert 0 < one["low"] <= one["median"] <= one["high"]
        assert one["n"] >= floors.ROUNDS
    faults = found["figures"].get("page_fault_us")
    assert faults is None or faults["n"] > floors.ROUNDS


def test_the_command_prints_a_row_a_figure_or_json_and_says_which_device_has_none(monkeypatch, capsys, probed):
    asked = []

    def ask(module, question, **_options):
        asked.append((module, question["device"]))
        return Answer({"figures": {"launch_us": figure([1.0, 2.0, 3.0], 15)}, "errors": {"read_us": "broke"}}, 1.0)

    monkeypatch.setattr("bench.machine.process.ask", ask)
    assert main(["floors"]) == 0
    assert asked == [("bench.doctor.floors", "cpu")]
    out = capsys.readouterr().out
    assert "launch_us" in out
    assert "1.00 to 3.00" in out
    assert "read_us: broke" in out
    assert main(["floors", "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["cpu"]["figures"]["launch_us"]["n"] == 15
    assert main(["floors", "--device", "gpu"]) == 3
    assert "no accelerator here" in capsys.readouterr().err
    assert main(["floors", "--device", "mps"]) == 2
    why = "process ended with exit code 1: bench.machine.device.DeviceError: no GPU"
    monkeypatch.setattr("bench.machine.process.ask", lambda *_args, **_options: Answer(None, 1.0, "failed", why))
    assert main(["floors", "--device", "cuda:0"]) == 3
    assert capsys.readouterr().err.endswith("no floors of cuda:0: no GPU\n")


@pytest.mark.usefixtures("handlers")
def test_a_file_of_floors_is_of_one_device_and_no_second_takes_its_place(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("bench.commands.doctor.floor_devices", lambda _asked: (["cpu", "cuda:0"], []))
    monkeypatch.setattr("bench.machine.process.ask", lambda *_args, **_options: pytest.fail("measured"))
    assert main(["floors", "--out", str(tmp_path / "floors.json")]) == 2
    assert "cpu, cuda:0" in capsys.readouterr().err
    monkeypatch.setattr("bench.commands.doctor.floor_devices", lambda _asked: (["cpu"], []))
    assert main(["floors", "--out", str(tmp_path)]) == 2
    assert "is a folder; give a file" in capsys.readouterr().err


@pytest.mark.usefixtures("probed", "handlers")
def test_a_device_without_any_figure_says_why_of_each(monkeypatch, capsys):
    found = Answer({"figures": {}, "errors": {"launch_us": "RuntimeError: broke"}}, 1.0)
    monkeypatch.setattr("bench.machine.process.ask", lambda *_args, **_options: found)
    assert main(["floors", "--device", "cpu"]) == 3
    assert "no floors of cpu: launch_us: RuntimeError: broke" in capsys.readouterr().err
