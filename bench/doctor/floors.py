"""What a GPU costs before it computes: waits, launches, graphs, reads, copies, products; run as a process."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, perf_counter_ns
from typing import Any

from bench.cases.problem import Problem
from bench.machine.device import Device
from bench.machine.frameworks import open_device, torch_missing, wait_for
from bench.plain import to_plain
from bench.worker.counters import Meter, open_meters
from implementations import Implementation, find_implementations

Item = tuple[str, Callable[[], Any]]
CALLS, ROUNDS = 2000, 5
NODES = (1, 10, 100)
WATCHED, WATCH_S = 20, 0.1  # readings of the clock under tiny kernels
COPIES = {"x": 64 * 1000, "256 MiB": 2**26}  # float32 numbers
UNROLLED = 20  # products in a graph, so that a launch is shared by them
PROFILED = 10  # iterations of a style
TOP = 12


def measure_floors(items: Iterator[Item], wrote: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
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


def all_items(name: str = "cuda:0") -> Iterator[Item]:
    """What is measured, in order: what is most telling first, profiles of styles last."""
    device, clock_mhz = open_device("torch", name), open_meters(name).sm_clock_mhz
    yield "sm_clock_idle_mhz", clock_mhz
    yield from calls(device)
    yield from graphs(device)
    yield from copies(device)
    yield "products_us", lambda: products(device)
    yield "sm_clock_under_tiny_kernels_mhz", lambda: watched(device, clock_mhz)
    for style in find_implementations().values():
        if style.framework == "torch" and "cuda" in style.devices:
            yield f"kernels of {style.name}", lambda style=style: kernels(device, style)  # type: ignore[misc]
    yield "sm_clock_after_mhz", clock_mhz


def each_us(device: Device, call: Callable[[], Any], calls: int = CALLS, *, waited: bool = False) -> float:
    """Microseconds a call, the median of a few rounds: queued one after another, or each waited for."""
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
    return round(statistics.median(found), 3)


def calls(device: Device) -> Iterator[Item]:
    """Waits, launches and reads, in us."""
    import torch

    number = torch.ones((), device=device.name)

    def empty() -> None:
        torch.cuda._sleep(1)  # type: ignore[no-untyped-call]

    def launch_and_read() -> None:
        empty()
        device.read(number)

    def recorded() -> Callable[[], Any]:
        return torch.cuda.Event(enable_timing=True).record  # type: ignore[no-untyped-call]

    yield "wait_us", lambda: each_us(device, device.synchronize or (lambda: None))
    yield "wait_through_torch_us", lambda: each_us(device, lambda: getattr(torch.cuda, "synchronize")(device.name))  # noqa: B009
    yield "launch_us", lambda: each_us(device, empty)
    yield "launch_and_wait_us", lambda: each_us(device, empty, waited=True)
    yield "elementwise_us", lambda: each_us(device, lambda: number.add_(0))
    yield "read_us", lambda: each_us(device, lambda: device.read(number))
    yield "launch_and_read_us", lambda: each_us(device, launch_and_read)
    yield "event_us", lambda: each_us(device, recorded())


def graph_of(call: Callable[[], Any], nodes: int) -> Callable[[], Any]:
    """A CUDA graph of so many calls, as the function that replays it."""
    import torch

    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(nodes):
            call()
    return graph.replay


def graphs(device: Device) -> Iterator[Item]:
    """The replay of graphs of empty kernels, in us: queued, and waited for."""
    import torch

    def replays(nodes: int) -> dict[str, float]:
        replay = graph_of(lambda: torch.cuda._sleep(1), nodes)  # type: ignore[no-untyped-call]
        return {
            name: each_us(device, replay, 500, waited=waited) for name, waited in (("queued", False), ("waited", True))
        }

    for nodes in NODES:
        yield f"graph_of_{nodes}_us", lambda nodes=nodes: replays(nodes)  # type: ignore[misc]


def copies(device: Device) -> Iterator[Item]:
    """Host to device, in GB/s, from memory as it comes and from pinned memory."""
    import torch

    def rates(numbers: int) -> dict[str, float]:
        there = torch.empty(numbers, device=device.name)
        here = torch.ones(numbers)
        calls = 200 if numbers < 2**20 else 4
        found = {}
        for name, source in (("pageable", here), ("pinned", here.pin_memory())):
            us = each_us(device, lambda source=source: there.copy_(source, non_blocking=True), calls, waited=True)  # type: ignore[misc]
            found[name] = round(4 * numbers / us / 1e3, 3)
        return found

    for name, numbers in COPIES.items():
        yield f"copy_{name}_gbytes_per_s", lambda numbers=numbers: rates(numbers)  # type: ignore[misc]


def products(device: Device) -> dict[str, float]:
    """The five products of an iteration at the tutorial's size in float32, each alone, in us."""
    import torch

    x, y, w1, w2 = (device.put(array, "float32") for array in Problem().arrays())
    h, y_pred = x.mm(w1), x.mm(w1).mm(w2)
    each = {
        "x w1": lambda: torch.mm(x, w1, out=h),
        "h w2": lambda: torch.mm(h, w2, out=y_pred),
        "hT grad_y": lambda: h.t().mm(y),
        "grad_y w2T": lambda: y.mm(w2.t()),
        "xT grad_h": lambda: x.t().mm(h),
    }
    return {name: round(each_us(device, graph_of(call, UNROLLED), 20) / UNROLLED, 3) for name, call in each.items()}


def watched(device: Device, clock_mhz: Meter) -> list[int | None]:
    """The SM clock while nothing but tiny kernels is launched, every WATCH_S seconds."""
    number = device.put(0.0, "float32")
    found = []
    for _ in range(WATCHED):
        end = monotonic() + WATCH_S
        while monotonic() < end:
            number.add_(0)
        found.append(clock_mhz())
    return found


def kernels(device: Device, style: Implementation) -> dict[str, Any]:
    """Kernels and copies of an iteration at the tutorial's size, and the us that the GPU is busy with them."""
    from torch.profiler import ProfilerActivity, profile

    if style.missing:
        raise RuntimeError(style.missing)
    iterations = PROFILED * style.period
    loop = style.train(*[device.put(array, "float32") for array in Problem().arrays()], 1e-6, 10**9)
    for _ in range(2 * iterations):
        next(loop)
    wait_for(device)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(iterations):
            next(loop)
        wait_for(device)
    loop.close()
    each: dict[str, list[float]] = {}
    for event in seen.events() or ():
        if str(event.device_type).endswith("CUDA"):
            each.setdefault(event.name[:80], []).append(event.device_time_total)
    if not each:
        raise RuntimeError("the profiler saw no kernel")
    longest = sorted(((name, len(us) / iterations, sum(us) / iterations) for name, us in each.items()), key=_busy)
    return {
        "an_iteration": sum(map(len, each.values())) / iterations,
        "busy_us": round(sum(map(sum, each.values())) / iterations, 3),
        "longest": longest[:TOP],
    }


def _busy(row: tuple[str, float, float]) -> float:
    return -row[2]


def main(arguments: list[str]) -> int:
    """Write the floors of the first CUDA device to the file that is named; the exit code."""
    path = Path(arguments[0])
    reason = torch_missing("cuda")

    def write(found: Mapping[str, Any]) -> None:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    if reason is not None:
        write({"figures": {}, "seconds": {}, "errors": {"cuda": reason}})
        sys.stderr.write(f"no floors: {reason}\n")
        return 3
    found = measure_floors(all_items(), write)
    for name, why in found["errors"].items():
        sys.stderr.write(f"{name}: {why}\n")
    return 1 if found["errors"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
