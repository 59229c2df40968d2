"""What a device costs before it computes: each figure by itself, with its spread; run as a process."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic, perf_counter_ns
from typing import Any, TypeAlias

from bench.cases.problem import Problem
from bench.machine.device import Device, device_kind
from bench.machine.frameworks import wait_for
from bench.machine.process import answer
from bench.plain import to_plain
from bench.worker.ceilings import operands, product

Figure: TypeAlias = dict[str, float]
Item: TypeAlias = tuple[str, Callable[[], Any]]
CALLS, ROUNDS = 2000, 5
NUMBERS = {"x": 64 * 1000, "256 MiB": 2**26}  # float32 numbers of what is copied


def measure_floors(items: Iterable[Item], wrote: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Every item by its name; one that fails leaves its reason. `wrote` gets all that is known after each."""
    found: dict[str, Any] = {"figures": {}, "seconds": {}, "errors": {}}
    for name, measure in items:
        start = monotonic()
        try:
            found["figures"][name] = to_plain(measure())
        except Exception as error:  # whatever fails is a line, and the rest goes on
            found["errors"][name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        found["seconds"][name] = round(monotonic() - start, 2)
        wrote(found)
    return found


def each_us(device: Device, call: Callable[[], Any], calls: int = CALLS, *, waited: bool = False) -> Figure:
    """Microseconds a call, over a few rounds of calls: queued one after another, or each waited for."""
    wait = device.synchronize or (lambda: None)
    found = []
    for _ in range(ROUNDS):
        wait_for(device)
        start = perf_counter_ns()
        for _ in range(calls):
            call()
            if waited:
                wait()
        wait_for(device)
        found.append((perf_counter_ns() - start) / calls / 1e3)
    return figure(found, ROUNDS * calls)


def figure(rounds: Sequence[float], n: int) -> Figure:
    """The median of the rounds, the least and the most of them, and the calls that they are of."""
    return {"median": statistics.median(rounds), "low": min(rounds), "high": max(rounds), "n": n}


def divided(found: Figure, by: float) -> Figure:
    """The same for one of `by` parts of a call."""
    return figure([found["low"] / by, found["median"] / by, found["high"] / by], int(found["n"]))


def as_rate(found: Figure, size: int) -> Figure:
    """A figure in us a call as 1e9 bytes a second, of calls that move `size` bytes."""
    return figure([size / found[name] / 1e3 for name in ("low", "median", "high")], int(found["n"]))


def products_of(
    framework: str, device: Device, dtype: str, problem: Problem | None = None
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The five products of an iteration, at the tutorial's size or a problem's, each into an array that is there."""
    for name, left, right, out in operands(device, dtype, (problem or Problem()).size):
        yield name, product(framework, left, right, out)


def measure(device: str, path: str = "", styles: Sequence[str] = (), *, quick: bool = False) -> dict[str, Any]:
    """The floors of a device, at `path` too once each is known; on a GPU profiles of `styles`. Raises DeviceError."""
    from bench.doctor import _cpu_floors, _gpu_floors

    def write(found: Mapping[str, Any]) -> None:
        if path:
            Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    calls = CALLS // 10 if quick else CALLS
    on_cpu = device_kind(device) == "cpu"
    items = _cpu_floors.items(calls) if on_cpu else _gpu_floors.items(device, styles, calls, watch=not quick)
    found = measure_floors(items, write)
    for name, why in found["errors"].items():
        sys.stderr.write(f"{device}: {name}: {why}\n")
    return found


if __name__ == "__main__":
    answer(lambda job: measure(**job))
