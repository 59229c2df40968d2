"""Floors of a GPU: waits, launches, graphs, reads, copies, products, its clock at tiny kernels, kernels of styles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import Any

from bench.cases.problem import Problem
from bench.doctor.floors import NUMBERS, Figure, Item, as_rate, divided, each_us, products_of
from bench.machine.device import Device
from bench.machine.frameworks import open_device, wait_for
from bench.timing.counters import Meter, open_meters
from implementations import Implementation, find_implementations

NODES = (1, 10, 100)
WATCHED, WATCH_S = 20, 0.1  # readings of the clock under tiny kernels
UNROLLED = 20  # products in a graph, so that a launch is shared by them
PROFILED = 10  # iterations of a style
TOP = 12


def items(name: str, styles: Sequence[str], count: int, *, watch: bool) -> Iterator[Item]:
    """What is measured, in order: what is most telling first, profiles of styles last. Raises DeviceError."""
    device, clock_mhz = open_device("torch", name), open_meters(name).sm_clock_mhz
    yield "sm_clock_idle_mhz", clock_mhz
    yield from calls(device, count)
    yield from graphs(device, max(1, count // 4))
    yield from copies(device, count)
    yield from products(device)
    if watch:
        yield "sm_clock_under_tiny_kernels_mhz", lambda: watched(device, clock_mhz)
    known = find_implementations()
    for style in (known[one] for one in styles if one in known):
        if not watch and "torch.compile" in style.source.read_text(encoding="utf-8"):
            continue  # minutes of a run's time
        yield f"kernels of {style.name}", partial(kernels, device, style)
    yield "sm_clock_after_mhz", clock_mhz


def calls(device: Device, count: int) -> Iterator[Item]:
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

    yield "wait_us", lambda: each_us(device, device.synchronize or (lambda: None), count)
    yield (
        "wait_through_torch_us",
        lambda: each_us(device, lambda: getattr(torch.cuda, "synchronize")(device.name), count),  # noqa: B009
    )
    yield "launch_us", lambda: each_us(device, empty, count)
    yield "launch_and_wait_us", lambda: each_us(device, empty, count, waited=True)
    yield "elementwise_us", lambda: each_us(device, lambda: number.add_(0), count)
    yield "read_us", lambda: each_us(device, lambda: device.read(number), count)
    yield "launch_and_read_us", lambda: each_us(device, launch_and_read, count)
    yield "event_us", lambda: each_us(device, recorded(), count)


def graph_of(call: Callable[[], Any], nodes: int) -> Callable[[], Any]:
    """A CUDA graph of so many calls, as the function that replays it."""
    import torch

    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(nodes):
            call()
    return graph.replay


def graphs(device: Device, count: int) -> Iterator[Item]:
    """The replay of graphs of empty kernels, in us: queued, and waited for."""
    import torch

    def replayed(nodes: int, *, waited: bool) -> Figure:
        replay = graph_of(lambda: torch.cuda._sleep(1), nodes)  # type: ignore[no-untyped-call]
        return each_us(device, replay, count, waited=waited)

    for nodes in NODES:
        yield f"graph_of_{nodes}_us", partial(replayed, nodes, waited=False)
        yield f"graph_of_{nodes}_and_wait_us", partial(replayed, nodes, waited=True)


def copies(device: Device, count: int) -> Iterator[Item]:
    """Host to device, in GB/s, from memory as it comes and from pinned memory."""
    import torch

    def copied(numbers: int, *, pinned: bool) -> Figure:
        there, here = torch.empty(numbers, device=device.name), torch.ones(numbers)
        source = here.pin_memory() if pinned else here
        times = max(1, count // 10) if numbers < 2**20 else 4
        return as_rate(each_us(device, lambda: there.copy_(source, non_blocking=True), times, waited=True), 4 * numbers)

    for name, numbers in NUMBERS.items():
        for pinned, memory in ((False, "pageable"), (True, "pinned")):
            yield f"copy_{name}_{memory}_gbytes_per_s", partial(copied, numbers, pinned=pinned)


def products(device: Device) -> Iterator[Item]:
    """The five products of an iteration at the tutorial's size in float32, each alone, in us."""

    def alone(call: Callable[[], Any]) -> Figure:
        return divided(each_us(device, graph_of(call, UNROLLED), 20), UNROLLED)

    for name, call in products_of("torch", device, "float32"):
        yield f"product {name}_us", partial(alone, call)


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
    rows = [(name, len(us) / iterations, sum(us) / iterations) for name, us in each.items()]
    longest = sorted(rows, key=lambda row: -row[2])
    return {
        "an_iteration": sum(map(len, each.values())) / iterations,
        "busy_us": round(sum(map(sum, each.values())) / iterations, 3),
        "longest": longest[:TOP],
    }
