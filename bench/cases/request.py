"""What a person asked `run` for: options checked, with the cure in every complaint, and made into a plan."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cases.grid import expand, with_as_found
from bench.cases.limits import MOST_BLOCKS, MOST_SEED, MOST_SIDE, MOST_THREADS, MOST_TIMEOUT_S
from bench.cases.plan import Plan
from bench.cases.presets import PRESETS, Leg
from bench.cases.problem import DTYPES, Size
from bench.errors import UsageError, known
from bench.machine.device import COUNTED, KINDS, device_kind
from bench.machine.facts import Machine
from bench.machine.process import DEFAULT_TIMEOUT_S
from bench.words import counted
from implementations import Implementation, find_implementations

PRECISIONS = ("ieee", "tf32")
ACCELERATOR = "gpu"  # whichever is there
NO_CASE = "the options leave no case: no chosen style runs on a chosen device. See: fiftyx list"


@dataclass(frozen=True, slots=True)
class Request:
    """The options of `run` as given; empty or None means that the preset decides."""

    preset: str | None = None
    styles: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    style_files: tuple[str, ...] = ()
    blocks: int | None = None
    timeout_s: float | None = None
    seed: int | None = None
    keep_env: bool = False
    decide: float | None = None
    anyway: bool = False  # a preset for a GPU even where there is none


def check(request: Request) -> Mapping[str, Implementation]:
    """Every style there is, once all names and numbers of `request` are found good. Raises UsageError, StyleError."""
    styles = find_implementations(request.style_files)
    known("preset", [request.preset] if request.preset else [], PRESETS)
    known("style", request.styles, styles)
    known("dtype", request.dtypes, DTYPES)
    known("precision", request.precisions, PRECISIONS)
    for device in request.devices:
        check_device(device)
    for size in request.sizes:
        parse_size(size)
    for threads in request.threads:
        if threads != "all" and not (_is_number(threads) and 0 < int(threads) <= MOST_THREADS):
            raise UsageError(f"--threads {threads[:40]}: give a number from 1 up, or all")
    if request.blocks is not None and not 1 <= request.blocks <= MOST_BLOCKS:
        raise UsageError(
            f"--blocks {str(request.blocks)[:40]}: give 1 to {MOST_BLOCKS:,}; an interval needs 2, a sharp one 10"
        )
    if request.timeout_s is not None and not 0 < request.timeout_s <= MOST_TIMEOUT_S:
        raise UsageError(f"--timeout {request.timeout_s:g}: give seconds above 0, at most {MOST_TIMEOUT_S:,.0f}")
    if request.decide is not None and not 0 < request.decide < math.inf:
        raise UsageError(f"--at-least {request.decide:g}: give a speedup above 0, such as 50")
    if request.seed is not None and not 0 <= request.seed <= MOST_SEED:
        raise UsageError(f"--seed {str(request.seed)[:40]}: give a whole number from 0 up, at most {MOST_SEED}")
    return styles


def check_device(device: str) -> None:
    """Raises UsageError for what is no device name: `cpu`, `cuda`, `cuda:1`, `mps`, `xpu`, `gpu`."""
    kind, colon, index = device.partition(":")
    known("device", [kind], (*KINDS, ACCELERATOR))
    if colon and not (kind in COUNTED and index.isascii() and index.isdigit()):
        raise UsageError(f"--device {device}: give {kind}" + (f" or {kind}:0" if kind in COUNTED else ""))


def parse_size(text: str) -> Size:
    """`64,1000,100,10` as (n, d_in, hidden, d_out). Raises UsageError."""
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    if len(parts) != 4 or not all(map(_is_number, parts)):
        raise UsageError(f"--size {shown}: give four whole numbers N,D_in,H,D_out, such as 64,1000,100,10")
    size = Size(*map(int, parts))
    if not (min(size) >= 1 and max(size) <= MOST_SIDE):
        raise UsageError(f"--size {shown}: each of N,D_in,H,D_out must be at least 1 and at most {MOST_SIDE:,}")
    return size


def _is_number(text: str) -> bool:
    """A whole number without a sign, not so long that reading it takes its time."""
    return text.isascii() and text.isdigit() and len(text) <= 30


def make_plan(request: Request, styles: Mapping[str, Implementation], machine: Machine) -> Plan:
    """The plan that a checked request means on this machine. Raises UsageError for what it cannot have here."""
    preset = PRESETS[request.preset or "quick"]
    check_cores(request.threads, machine.cpus)
    if preset.name.startswith(ACCELERATOR) and not (request.anyway or request.devices or accelerators(machine)):
        raise UsageError(
            f"--preset {preset.name}: {no_accelerator(machine)}; see what the CPU does with --preset tutorial, "
            "or measure this preset's CPU cases with --anyway"
        )
    request = replace(request, devices=tuple(dict.fromkeys(the_device(one, machine) for one in request.devices)))
    seed = request.seed or 0
    blocks = request.blocks or preset.blocks
    legs = [override(leg, request, styles) for leg in preset.legs]
    grid = expand(legs, styles, machine, blocks=blocks, seed=seed)
    if request.blocks:
        grid = replace(grid, cases=dict.fromkeys(grid.cases, blocks))
    if machine.altered and not request.keep_env:
        grid = with_as_found(grid, blocks if preset.retried else 1)
    used = {case.style for case in grid.cases}
    return Plan(
        preset=preset.name,
        cases=grid.cases,
        skips=grid.skips,
        blocks=blocks,
        seed=seed,
        rule=preset.rule,
        timeout_s=request.timeout_s or DEFAULT_TIMEOUT_S,
        budget_s=preset.budget_s,
        retried=preset.retried,
        keep_env=request.keep_env,
        decide=request.decide,
        styles={name: style for name, style in styles.items() if name in used},
    )


def check_cores(threads: Iterable[str], cpus: int) -> None:
    """Raises UsageError for more threads than there are cores to use."""
    for count in threads:
        if count != "all" and int(count) > cpus:
            most = f"1 to {cpus}, or all" if cpus > 1 else "1"
            raise UsageError(f"--threads {count}: only {counted(cpus, 'core')} may be used here; give {most}")


def accelerators(machine: Machine) -> list[str]:
    """The devices of a machine that are no CPU, the kinds in the order of KINDS."""
    return sorted(machine.devices - {"cpu"}, key=lambda name: (KINDS.index(device_kind(name)), name))


def no_accelerator(machine: Machine) -> str:
    """`no accelerator here: no CUDA device (...), ...`."""
    return f"no accelerator here: {', '.join(machine.missing.values()) or 'nobody knows why'}"


def the_device(name: str, machine: Machine) -> str:
    """`name`, and for `gpu` the accelerator that is there. Raises UsageError where there is none."""
    if name != ACCELERATOR:
        return name
    there = accelerators(machine)
    if not there:
        raise UsageError(f"--device gpu: {no_accelerator(machine)}")
    return there[0]


def override(leg: Leg, request: Request, styles: Mapping[str, Implementation]) -> Leg:
    """A preset's leg with every dimension that the request names put in its place.

    Styles from `--style-file` join the built-in ones in every leg, unless `--style` chooses.
    """
    own = tuple(name for name, style in styles.items() if str(style.source) in _resolved(request.style_files))
    added = (*leg.styles, *own) if leg.styles else ()
    if not leg.compiled and {device_kind(one) for one in request.devices or leg.devices} == {"cpu"}:
        added = tuple(name for name, style in styles.items() if not style.compiled or name in own)
    return replace(
        leg,
        styles=request.styles or added,
        sgd=leg.sgd and not request.styles,
        devices=request.devices or leg.devices,
        sizes=tuple(parse_size(size) for size in request.sizes) or leg.sizes,
        dtypes=request.dtypes or leg.dtypes,
        threads=request.threads or leg.threads,
        precisions=request.precisions or leg.precisions,
    )


def _resolved(paths: Sequence[str]) -> set[str]:
    return {str(Path(path).resolve()) for path in paths}
