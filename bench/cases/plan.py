"""The plan of a run, and its way into machine.json and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.cases.case import Case
from bench.cases.grid import Skip
from bench.cases.phases import Rule
from bench.cases.problem import Problem
from bench.errors import UsageError
from implementations import Implementation

DEFAULT_TIMEOUT_S = 300.0


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


MORE_BLOCKS = (20, 30)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides what a run does, so that a second start does the same."""

    preset: str
    cases: tuple[Case, ...]
    case_blocks: tuple[int, ...]
    skips: tuple[Skip, ...]
    blocks: int
    seed: int
    rule: Rule
    timeout_s: float
    budget_s: float | None
    keep_env: bool
    styles: Mapping[str, Implementation]
    decide: float | None = None  # after `blocks`, more only where an interval holds this threshold

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of blocks after which intervals are looked at."""
        return (self.blocks, *(more for more in MORE_BLOCKS if self.decide is not None and more > self.blocks))
