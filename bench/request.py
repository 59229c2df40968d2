"""What a person asked `run` for: options checked, with the cure in every complaint, and made into a plan."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.case import Case, Size
from bench.device import KINDS
from bench.errors import UsageError
from bench.plan import PRESETS, Leg, Machine, Skip, expand, with_as_found
from bench.problem import DTYPES, Problem
from bench.rule import Rule
from bench.runner import Plan
from implementations import Implementation, find_implementations

PRECISIONS = ("ieee", "tf32")
DEFAULT_TIMEOUT_S = 300.0


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
        if threads != "all" and not (threads.isascii() and threads.isdigit() and int(threads) > 0):
            raise UsageError(f"--threads {threads}: give a number from 1 up, or all")
    if request.blocks is not None and request.blocks < 1:
        raise UsageError(f"--blocks {request.blocks}: give at least 1; an interval needs 2, a sharp one 10")
    if request.timeout_s is not None and not request.timeout_s > 0:
        raise UsageError(f"--timeout {request.timeout_s:g}: give seconds above 0")
    if request.decide is not None and not request.decide > 0:
        raise UsageError(f"--at-least {request.decide:g}: give a speedup above 0, such as 50")
    if request.seed is not None and request.seed < 0:
        raise UsageError(f"--seed {request.seed}: give a whole number from 0 up")
    return styles


def known(what: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raises UsageError for the first of `names` that is not in `there`, with the nearest that is."""
    choices = list(there)
    for name in names:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, 1, 0.5)
            hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(choices)}."
            raise UsageError(f"no {what} '{name}'{hint} See: fiftyx list")


def check_device(device: str) -> None:
    """Raises UsageError for what is no device name: `cpu`, `cuda`, `cuda:1`, `mps`, `xpu`."""
    kind, colon, index = device.partition(":")
    known("device", [kind], KINDS)
    if colon and not (kind in ("cuda", "xpu") and index.isascii() and index.isdigit()):
        raise UsageError(f"--device {device}: give {kind}" + (f" or {kind}:0" if kind in ("cuda", "xpu") else ""))


def parse_size(text: str) -> Size:
    """`64,1000,100,10` as (n, d_in, hidden, d_out). Raises UsageError."""
    parts = text.replace("x", ",").split(",")
    if len(parts) != 4 or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise UsageError(f"--size {text}: give four whole numbers N,D_in,H,D_out, such as 64,1000,100,10")
    n, d_in, hidden, d_out = (int(part) for part in parts)
    if 0 in (n, d_in, hidden, d_out):
        raise UsageError(f"--size {text}: each of N,D_in,H,D_out must be at least 1")
    return n, d_in, hidden, d_out


def make_plan(request: Request, styles: Mapping[str, Implementation], machine: Machine) -> Plan:
    """The plan that a checked request means on this machine."""
    preset = PRESETS[request.preset or "quick"]
    seed = request.seed or 0
    blocks = request.blocks or preset.blocks
    legs = [override(leg, request, styles) for leg in preset.legs]
    grid = expand(legs, styles, machine, blocks=blocks, seed=seed)
    if request.blocks:
        grid = replace(grid, blocks=(blocks,) * len(grid.cases))
    if machine.altered and not request.keep_env:
        grid = with_as_found(grid)
    used = {case.style for case in grid.cases}
    return Plan(
        preset=preset.name,
        cases=grid.cases,
        case_blocks=grid.blocks,
        skips=grid.skips,
        blocks=blocks,
        seed=seed,
        rule=Rule(limit_s=preset.limit_s),
        timeout_s=request.timeout_s or DEFAULT_TIMEOUT_S,
        budget_s=preset.budget_s,
        keep_env=request.keep_env,
        decide=request.decide,
        styles={name: style for name, style in styles.items() if name in used},
    )


def override(leg: Leg, request: Request, styles: Mapping[str, Implementation]) -> Leg:
    """A preset's leg with every dimension that the request names put in its place.

    Styles from `--style-file` join every leg beside the built-in ones, unless `--style` chooses.
    """
    own = tuple(name for name, style in styles.items() if str(style.source) in _resolved(request.style_files))
    beside = (*leg.styles, *own) if leg.styles else ()
    return replace(
        leg,
        styles=request.styles or beside,
        devices=request.devices or leg.devices,
        sizes=tuple(parse_size(size) for size in request.sizes) or leg.sizes,
        dtypes=request.dtypes or leg.dtypes,
        threads=request.threads or leg.threads,
        precisions=request.precisions or leg.precisions,
    )


def _resolved(paths: Sequence[str]) -> set[str]:
    return {str(Path(path).resolve()) for path in paths}


def dump_plan(plan: Plan, style_files: Sequence[str] = ()) -> dict[str, Any]:
    """For machine.json: all that `load_plan` needs, with a fingerprint of each style's source."""
    return {
        "preset": plan.preset,
        "blocks": plan.blocks,
        "seed": plan.seed,
        "timeout_s": plan.timeout_s,
        "budget_s": plan.budget_s,
        "keep_env": plan.keep_env,
        "decide": plan.decide,
        "looks": list(plan.looks),
        "rule": asdict(plan.rule),
        "cases": [_case_values(case) for case in plan.cases],
        "case_blocks": list(plan.case_blocks),
        "skips": [{"case": _case_values(skip.case), "reason": skip.reason} for skip in plan.skips],
        "styles": {name: fingerprint(style) for name, style in plan.styles.items()},
        "style_files": [Path(path).name for path in style_files],
    }


def load_plan(raw: Mapping[str, Any], styles: Mapping[str, Implementation]) -> Plan:
    """What `dump_plan` wrote. Raises UsageError where a style is gone or has changed, or another version wrote it."""
    try:
        return _load_plan(raw, styles)
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"--resume: the plan in machine.json is not of this version ({error}); start a new run with another --out"
        ) from error


def _load_plan(raw: Mapping[str, Any], styles: Mapping[str, Implementation]) -> Plan:
    changed = [
        name for name, print_ in raw["styles"].items() if name not in styles or fingerprint(styles[name]) != print_
    ]
    if changed:
        raise UsageError(
            f"--resume: style '{changed[0]}' has changed or is gone since the run began; "
            "give its --style-file again, or start a new run with another --out"
        )
    return Plan(
        preset=raw["preset"],
        cases=tuple(_case(case) for case in raw["cases"]),
        case_blocks=tuple(raw["case_blocks"]),
        skips=tuple(Skip(_case(skip["case"]), skip["reason"]) for skip in raw["skips"]),
        blocks=raw["blocks"],
        seed=raw["seed"],
        rule=Rule(**raw["rule"]),
        timeout_s=raw["timeout_s"],
        budget_s=raw["budget_s"],
        keep_env=raw["keep_env"],
        decide=raw["decide"],
        styles={name: styles[name] for name in raw["styles"]},
    )


def same_plan(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two dumped plans measure the same cases the same way; a timeout may differ."""
    return all(
        one.get(name) == json.loads(json.dumps(other.get(name)))
        for name in set(one) | set(other)
        if name not in ("timeout_s", "style_files")
    )


def _case_values(case: Case) -> dict[str, Any]:
    """All that `_case` needs; `as_found` only where it is so, as the plans of older runs have it."""
    return {name: value for name, value in asdict(case).items() if name != "as_found" or value}


def _case(raw: Mapping[str, Any]) -> Case:
    names = {field.name for field in fields(Case)} - {"problem", "as_found"}
    return Case(
        **{name: raw[name] for name in names},
        as_found=raw.get("as_found", False),
        problem=Problem(**raw["problem"]),
    )


def fingerprint(style: Implementation) -> str:
    """Of a style's source file."""
    return hashlib.sha256(style.source.read_bytes()).hexdigest()[:16]
