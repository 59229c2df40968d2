"""Which cases a run measures: presets, the grid that they span, and what cannot run here, with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from bench.case import Case, Size
from bench.device import canonical_name, device_kind, unsupported
from bench.problem import TUTORIAL_SIZE, Problem, stable_learning_rate
from implementations import Implementation


@dataclass(frozen=True, slots=True)
class Leg:
    """A full grid: every style on every device at every size, dtype, thread count and precision."""

    styles: tuple[str, ...] = ()  # empty: all
    devices: tuple[str, ...] = ("cpu", "cuda")
    dtypes: tuple[str, ...] = ("float32",)
    threads: tuple[str, ...] = ("1",)
    sizes: tuple[Size, ...] = (TUTORIAL_SIZE,)
    precisions: tuple[str, ...] = ("ieee",)
    blocks: int | None = None  # fewer blocks than the rest of the plan
    program: bool = False


@dataclass(frozen=True, slots=True)
class Preset:
    """A named plan. `limit_s` caps each timed phase of a process, `budget_s` the whole run, in seconds."""

    name: str
    summary: str
    blocks: int
    legs: tuple[Leg, ...]
    limit_s: float = 10.0
    budget_s: float | None = None
    charts: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """What the grid has to know: cores, devices, the reason why each kind is out of reach, free bytes.

    `altered`: workers run without variables that the shell has.
    """

    cpus: int
    devices: frozenset[str]
    missing: Mapping[str, str]  # kind -> reason
    free_bytes: Mapping[str, int]  # device name -> bytes; "cpu" is the host
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """A case that cannot be measured here, and why."""

    case: Case
    reason: str


@dataclass(frozen=True, slots=True)
class Grid:
    """The cases of a plan, how many blocks each has where that differs, and the skipped ones."""

    cases: tuple[Case, ...]
    skips: tuple[Skip, ...]
    blocks: tuple[int, ...]  # for each case


def scaled(*scales: float) -> tuple[Size, ...]:
    """The tutorial's size times each scale in every dimension; work grows with the cube."""
    return tuple(tuple(max(1, round(side * scale)) for side in TUTORIAL_SIZE) for scale in scales)  # type: ignore[misc]


SWEEP_SIZES = scaled(0.25, 0.5, 1, 2, 4, 8)
GPU_SIZES = scaled(0.5, 2, 4, 8, 16)
NUMPY = ("numpy_manual", "numpy_in_place")
AS_WRITTEN = Leg(("numpy_manual",), ("cpu",), ("float64",), ("1", "all"))

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "a first answer in about a minute: a ladder of styles, three sizes",
            3,
            (
                Leg((*NUMPY, "torch_tensors", "torch_autograd")),
                Leg(("numpy_manual",), ("cpu",), ("float64",)),
                Leg(NUMPY, ("cpu",), sizes=scaled(0.5, 2)),
                Leg(("torch_tensors",), ("cuda",), sizes=scaled(0.5, 2)),
            ),
            limit_s=1.0,
        ),
        Preset(
            "tutorial",
            "every style on every device at the tutorial's size",
            10,
            (
                Leg(program=True),
                Leg(threads=("all",)),
                replace(AS_WRITTEN, program=True),
                Leg(("numpy_in_place",), ("cpu",), ("float64",)),
            ),
        ),
        Preset(
            "sweep",
            "the telling styles from 0.4 MFLOP to 13 GFLOP an iteration",
            5,
            (
                Leg(("numpy_in_place", "torch_tensors", "torch_autograd"), sizes=SWEEP_SIZES),
                Leg(("numpy_in_place", "torch_tensors"), ("cpu",), threads=("all",), sizes=SWEEP_SIZES),
                replace(AS_WRITTEN, sizes=SWEEP_SIZES),
            ),
            limit_s=2.0,
        ),
        Preset(
            "claim",
            "the fewest cases that judge the 50x claim: named baselines against the GPU, seven sizes",
            10,
            (
                Leg(("numpy_in_place", "torch_tensors"), ("cpu",), threads=("1", "all"), sizes=SWEEP_SIZES),
                replace(AS_WRITTEN, sizes=SWEEP_SIZES),
                Leg(("torch_tensors", "torch_autograd"), ("cuda",), sizes=(*SWEEP_SIZES, *scaled(12))),
                Leg(("torch_tensors",), ("cuda",), sizes=SWEEP_SIZES, precisions=("tf32",)),
            ),
            limit_s=4.0,
        ),
        Preset(
            "gpu",
            "the 50x question on a machine with one GPU, in at most 9 minutes",
            5,
            (
                # the headline: what the tutorial writes, the best CPU, every style on the GPU
                replace(AS_WRITTEN, program=True),
                Leg(NUMPY, ("cpu",), threads=("1", "all")),
                Leg(("torch_tensors", "torch_autograd"), ("cpu",)),
                Leg(devices=("cuda",)),
                Leg(("torch_autograd",), ("cuda",), program=True),
                # from which size on
                Leg(("numpy_in_place",), ("cpu",), threads=("1", "all"), sizes=GPU_SIZES, blocks=3),
                replace(AS_WRITTEN, sizes=GPU_SIZES[:-1], blocks=3),
                Leg(("torch_tensors",), ("cuda",), sizes=GPU_SIZES, blocks=3),
                Leg(("torch_tensors",), ("cuda",), sizes=scaled(4, 16), precisions=("tf32",), blocks=3),
                # what each style costs on the CPU
                Leg(devices=("cpu",), threads=("1", "all"), blocks=3),
            ),
            limit_s=2.0,
            budget_s=520.0,
            charts=False,
        ),
    )
}


def expand(
    legs: Iterable[Leg], styles: Mapping[str, Implementation], machine: Machine, *, blocks: int, seed: int
) -> Grid:
    """The grid that `legs` span over `styles`, each case once, split into what can run here and what cannot."""
    wanted: dict[tuple[str | int, ...], tuple[Case, int]] = {}
    for leg in legs:
        for case in _cases(leg, styles, machine.cpus, seed):
            known, count = wanted.get(case.key, (case, 0))
            merged = replace(known, program=known.program or case.program)
            wanted[case.key] = (merged, max(count, min(leg.blocks or blocks, blocks)))
    cases, skips, counts = [], [], []
    for case, count in wanted.values():
        reason = _reason(case, styles[case.style], machine)
        if reason is None:
            cases.append(case)
            counts.append(count)
        else:
            skips.append(Skip(case, reason))
    return Grid(tuple(cases), tuple(skips), tuple(counts))


def with_as_found(grid: Grid) -> Grid:
    """`grid` with the tutorial's numpy at the tutorial's size once more, in the environment as found."""
    chosen = [at for at, case in enumerate(grid.cases) if _is_as_written(case)]
    cases = tuple(replace(grid.cases[at], as_found=True, program=False) for at in chosen)
    return replace(grid, cases=grid.cases + cases, blocks=grid.blocks + tuple(grid.blocks[at] for at in chosen))


def _is_as_written(case: Case) -> bool:
    written = (case.style, case.device, case.problem.dtype, case.problem.size)
    return written == ("numpy_manual", "cpu", "float64", TUTORIAL_SIZE)


def _cases(leg: Leg, styles: Mapping[str, Implementation], cpus: int, seed: int) -> Iterator[Case]:
    for name in leg.styles or styles:
        style = styles[name]
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
            )


def _reason(case: Case, style: Implementation, machine: Machine) -> str | None:
    kind = device_kind(case.device)
    return (
        style.missing
        or machine.missing.get(kind)
        or (None if case.device in machine.devices else f"no {case.device}; here: {', '.join(sorted(machine.devices))}")
        or unsupported(case.framework, kind, case.problem.dtype, case.precision)
        or _too_large(case, machine)
    )


def _too_large(case: Case, machine: Machine) -> str | None:
    needs = {"cpu": case.problem.host_bytes}
    needs[case.device] = needs.get(case.device, 0) + case.problem.device_bytes
    for name, need in needs.items():
        free = machine.free_bytes.get(name)
        if free is not None and need > free:
            return f"needs about {need / 2**30:,.1f} GiB on {name}, {free / 2**30:,.1f} GiB are free"
    return None
