"""Which benchmarks the suite has: the cases of a preset, one a test, with the reason where one cannot run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.cases.case import Case
from bench.cases.grid import Skip, expand
from bench.cases.measurement import Job
from bench.cases.phases import Rule
from bench.cases.plan import Plan
from bench.cases.presets import PRESETS, Leg
from bench.cases.problem import TUTORIAL_ITERATIONS, work_flops
from bench.cases.request import ACCELERATOR, NO_CASE, Request, check, override, the_device
from bench.errors import UsageError
from bench.machine.device import cpu_model, device_kind
from bench.machine.environment import available_cpus
from bench.machine.facts import as_grid_machine, probe_devices
from bench.words import counted
from implementations import Implementation

# Every style at the tutorial's size, and the tutorial's own float64: a minute or two on two cores.
AS_WRITTEN = Leg(("numpy_manual",), ("cpu",), ("float64",))
LIMIT_S = 1.0
LOOP_FLOPS = 150e9  # 500 iterations beyond this are no tutorial: seconds a round
PARAMETERS = ("style", "device", "dtype", "precision", "threads", "size")


@dataclass(frozen=True, slots=True)
class Entry:
    """A case of the suite, its name in test ids, and why it is skipped here (None: it runs)."""

    case: Case
    reason: str | None

    @property
    def name(self) -> str:
        """`torch_autograd-cuda-float32-64x1000x100x10`; threads and precision only where they are not the usual."""
        case = self.case
        parts = [case.style, case.device.removesuffix(":0").replace(":", ""), case.problem.dtype]
        parts += [case.precision] * (case.precision != "ieee")
        parts.append(self.size)
        parts += [f"{case.threads}threads"] * (case.threads != 1)
        return "-".join(parts)

    @property
    def size(self) -> str:
        """`64x1000x100x10`."""
        return str(self.case.problem.size)

    @property
    def parameters(self) -> tuple[str | int, ...]:
        """Values of PARAMETERS, so that `--benchmark-group-by=param:style` works."""
        case = self.case
        return case.style, case.device, case.problem.dtype, case.precision, case.threads, self.size

    @property
    def loops(self) -> bool:
        """Whether the tutorial's 500 iterations are short enough at this size to be timed as one round."""
        return work_flops(self.case.problem, self.case.oracle) * TUTORIAL_ITERATIONS <= LOOP_FLOPS


@dataclass(frozen=True, slots=True)
class Grid:
    """All entries by name, the plan they make, and what a probe saw of this machine."""

    entries: Mapping[str, Entry]
    plan: Plan
    probe: Mapping[str, Any]

    def job(self, name: str) -> Job:
        """What the clock knows about one entry."""
        case = self.entries[name].case
        return Job(case, self.plan.styles[case.style], self.plan.rule)


def make_grid(request: Request, threads: int) -> Grid:
    """The suite that `request` asks for in a process of `threads` threads. Raises UsageError, StyleError."""
    styles = check(request)
    preset = PRESETS[request.preset] if request.preset else None
    probe = probe_devices() if ACCELERATOR in request.devices else None
    if probe is not None:
        machine = as_grid_machine(probe)
        request = replace(request, devices=tuple(the_device(one, machine) for one in request.devices))
    legs = list(_legs(request, styles, threads))
    probe = probe or look_around(legs, styles)
    found = expand(legs, styles, as_grid_machine(probe), blocks=1, seed=request.seed or 0)
    reasons = {skip.case.key: skip.reason for skip in found.skips}
    for case in found.cases:
        if case.ahead > 1:
            reasons[case.key] = f"it starts {case.ahead} iterations at once and has no time by iteration"
        elif case.threads != threads:
            mine = f"this process runs {counted(threads, 'thread')}, the case {case.threads}"
            reasons[case.key] = f"{mine}; give --fiftyx-threads {case.threads}"
    cases = [*found.cases, *(skip.case for skip in found.skips)]
    if not cases:
        raise UsageError(NO_CASE)
    entries = [Entry(case, reasons.get(case.key)) for case in sorted(cases, key=_turn)]
    plan = Plan(
        preset=request.preset or "suite",
        cases={entry.case: 1 for entry in entries if entry.reason is None},
        blocks=1,
        styles=styles,
        skips=tuple(Skip(entry.case, entry.reason) for entry in entries if entry.reason is not None),
        seed=request.seed or 0,
        rule=preset.rule if preset else Rule(limit_s=LIMIT_S),
    )
    return Grid({entry.name: entry for entry in entries}, plan, probe)


def _legs(request: Request, styles: Mapping[str, Implementation], threads: int) -> Iterator[Leg]:
    if request.preset:
        yield from (override(leg, request, styles) for leg in PRESETS[request.preset].legs)
        return
    here = (str(threads),)
    yield override(Leg(threads=here), request, styles)
    if not request.styles or AS_WRITTEN.styles[0] in request.styles:
        yield override(replace(AS_WRITTEN, threads=here), replace(request, styles=(), style_files=()), styles)


def _turn(case: Case) -> tuple[Any, ...]:
    # numpy before anything imports torch, accelerators last, and small before large: what a large case leaves
    # with the allocator spares a smaller one its page faults
    return case.device != "cpu", case.framework != "numpy", case.problem.flops, case.key


def look_around(legs: list[Leg], styles: Mapping[str, Implementation]) -> dict[str, Any]:
    """What a probe sees, in a process of its own: this one imports torch only when a torch style's turn comes.

    Where no leg leaves the CPU there is nothing to find.
    """
    wanted = {(name, device_kind(device)) for leg in legs for name in leg.styles or styles for device in leg.devices}
    if all(kind == "cpu" for name, kind in wanted if kind in styles[name].devices):
        return {"devices": {"cpu": {"model": cpu_model()}}, "missing": {}}
    return probe_devices()


def thread_count(text: str) -> int:
    """Threads that `1`, `all` or a number means here."""
    return available_cpus() if text == "all" else int(text)
