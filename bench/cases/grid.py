"""Which cases a run measures: presets, the grid that they span, and what cannot run here, with its reason."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from bench.cases.case import Case, CaseKey
from bench.cases.presets import Leg
from bench.cases.problem import TUTORIAL_SIZE, Problem, judge_bytes, stable_learning_rate
from bench.machine.device import canonical_name, device_kind, unsupported
from bench.machine.facts import Machine
from implementations import Implementation


@dataclass(frozen=True, slots=True)
class Skip:
    """A case that cannot be measured here, and why."""

    case: Case
    reason: str


@dataclass(frozen=True, slots=True)
class Grid:
    """The cases of a plan, each with the number of its blocks, and the skipped ones."""

    cases: Mapping[Case, int]
    skips: tuple[Skip, ...]


def expand(
    legs: Iterable[Leg], styles: Mapping[str, Implementation], machine: Machine, *, blocks: int, seed: int
) -> Grid:
    """The grid that `legs` span over `styles`, each case once, split into what can run here and what cannot."""
    wanted: dict[CaseKey, tuple[Case, int]] = {}
    for leg in legs:
        for case in _cases(leg, styles, machine.cpus, seed):
            known, count = wanted.get(case.key, (case, 0))
            merged = replace(known, program=known.program or case.program)
            wanted[case.key] = (merged, max(count, min(leg.blocks or blocks, blocks)))
    reasons = {case: _reason(case, styles[case.style], machine) for case, _count in wanted.values()}
    skips = tuple(Skip(case, reason) for case, reason in reasons.items() if reason is not None)
    return Grid({case: count for case, count in wanted.values() if reasons[case] is None}, skips)


def with_as_found(grid: Grid, most: int) -> Grid:
    """`grid` with the tutorial's numpy at its size once more, as found, in at most `most` blocks."""
    more = {
        replace(case, as_found=True, program=False): min(count, most)
        for case, count in grid.cases.items()
        if _is_as_written(case)
    }
    return replace(grid, cases={**grid.cases, **more})


def _is_as_written(case: Case) -> bool:
    written = (case.style, case.device, case.problem.dtype, case.problem.size)
    return written == ("numpy_manual", "cpu", "float64", TUTORIAL_SIZE)


def _cases(leg: Leg, styles: Mapping[str, Implementation], cpus: int, seed: int) -> Iterator[Case]:
    for name in leg.styles or styles:
        style = styles[name]
        if leg.sgd and style.oracle != "sgd":
            continue
        grid = product(leg.devices, leg.sizes, leg.dtypes, leg.precisions, leg.threads)
        for device, size, dtype, precision, threads in grid:
            kind = device_kind(device)
            if kind not in style.devices:
                continue  # numpy on a GPU is no case at all, rather than a missing one
            problem = Problem(*size, dtype, stable_learning_rate(size, style.oracle), seed)
            # the host's threads only feed an accelerator: one thread, or each GPU case came twice
            count = cpus if threads == "all" else int(threads)
            yield Case(
                style=name,
                device=canonical_name(device),
                problem=problem,
                threads=count if kind == "cpu" else 1,
                precision=precision if dtype == "float32" else "ieee",
                framework=style.framework,
                oracle=style.oracle,
                program=leg.program,
                ahead=style.ahead,
            )


def _reason(case: Case, style: Implementation, machine: Machine) -> str | None:
    kind = device_kind(case.device)
    return (
        machine.missing.get(kind)
        or style.missing
        or (None if case.device in machine.devices else f"no {case.device}; here: {', '.join(sorted(machine.devices))}")
        or (_unbound(machine, case.threads) if (case.framework, kind) == ("jax", "cpu") else None)
        or (f"only {machine.cpus} cores may be used here" if case.threads > machine.cpus else None)
        or unsupported(case.framework, kind, case.problem.dtype, case.precision)
        or (_no_compiler() if style.compiled and (case.framework, kind) == ("torch", "cpu") else None)
        or _too_large(case, machine)
    )


def _unbound(machine: Machine, threads: int) -> str | None:
    """Why jax cannot have so few threads here, or None: it takes all cores, unless its process is kept to some."""
    if threads >= machine.cpus or hasattr(os, "sched_setaffinity"):
        return None
    return f"jax takes all {machine.cpus} cores here; give --threads all"


def _no_compiler() -> str | None:
    """Why torch.compile cannot make code for the CPU here, or None."""
    wanted = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return None if shutil.which(wanted) else f"torch.compile needs a C++ compiler, and there is no {wanted} here"


def _too_large(case: Case, machine: Machine) -> str | None:
    needs = {"cpu": case.problem.host_bytes + judge_bytes(case.problem, case.oracle)}
    needs[case.device] = needs.get(case.device, 0) + case.problem.device_bytes
    for name, need in needs.items():
        free = machine.free_bytes.get(name)
        if free is not None and need > free:
            return f"needs about {need / 2**30:,.1f} GiB on {name}, {free / 2**30:,.1f} GiB are free"
    return None
