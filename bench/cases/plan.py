"""The plan of a run, and its way into machine.json and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cases.case import Case
from bench.cases.grid import Skip
from bench.cases.limits import (
    MOST_BLOCKS,
    MOST_SECONDS,
    MOST_SEED,
    MOST_TIMEOUT_S,
    beyond,
    words_of,
)  # fmt: skip
from bench.cases.phases import Rule
from bench.cases.problem import DTYPES
from bench.errors import UsageError
from bench.machine.device import KINDS, device_kind
from bench.machine.process import DEFAULT_TIMEOUT_S
from bench.plain import ShapeError, from_plain, to_plain
from implementations import Implementation

MORE_BLOCKS = (20, 30)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides what a run does, so that a second start does the same.

    `cases` maps each case to the number of its blocks, at most `blocks`.
    """

    preset: str
    cases: Mapping[Case, int]
    blocks: int
    styles: Mapping[str, Implementation]
    skips: tuple[Skip, ...] = ()
    seed: int = 0
    rule: Rule = field(default_factory=Rule)
    timeout_s: float = DEFAULT_TIMEOUT_S
    budget_s: float | None = None
    keep_env: bool = False
    decide: float | None = None  # after `blocks`, more only where an interval holds this threshold
    retried: bool = True  # a noisy turn is taken once more, half as often as its case has blocks

    @property
    def spare(self) -> dict[Case, int]:
        """How often each case may be taken once more."""
        return {case: count // 2 if self.retried else 0 for case, count in self.cases.items()}

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of blocks after which intervals are judged."""
        return (self.blocks, *(more for more in MORE_BLOCKS if self.decide is not None and more > self.blocks))


@dataclass(frozen=True, slots=True)
class Written:
    """A plan as machine.json holds it: styles by the fingerprint of their source, blocks with their cases."""

    preset: str
    blocks: int
    seed: int
    timeout_s: float
    budget_s: float | None
    keep_env: bool
    decide: float | None
    looks: tuple[int, ...]
    rule: Rule
    cases: tuple[Case, ...]
    case_blocks: tuple[int, ...]
    skips: tuple[Skip, ...]
    styles: Mapping[str, str]
    style_files: tuple[str, ...] = ()
    retried: bool = True


def dump_plan(plan: Plan, style_files: Sequence[str] = ()) -> dict[str, Any]:
    """For machine.json: all that `load_plan` needs, with a fingerprint of each style's source."""
    same = (
        "preset", "blocks", "seed", "timeout_s", "budget_s", "keep_env", "decide", "looks", "rule", "retried", "skips",
    )  # fmt: skip
    written: dict[str, Any] = to_plain(
        Written(
            **{name: getattr(plan, name) for name in same},
            cases=tuple(plan.cases),
            case_blocks=tuple(plan.cases.values()),
            styles={name: fingerprint(style) for name, style in plan.styles.items()},
            style_files=tuple(Path(path).name for path in style_files),
        )
    )
    return written


def load_plan(raw: Mapping[str, Any], styles: Mapping[str, Implementation]) -> Plan:
    """What `dump_plan` wrote. Raises UsageError where a style is gone or has changed, or another version wrote it."""
    try:
        written = from_plain(Written, raw, "plan")
        for fault in _faults(written):
            raise ShapeError(fault)
    except ShapeError as error:
        raise UsageError(
            f"--resume: the plan in machine.json is not of this version ({error}); start a new run with another --out"
        ) from error
    for name, mark in written.styles.items():
        if name not in styles or fingerprint(styles[name]) != mark:
            raise UsageError(
                f"--resume: style '{name}' has changed or is gone since the run began; "
                "give its --style-file again if it has one, or start a new run with another --out"
            )
    return Plan(
        preset=written.preset,
        cases=dict(zip(written.cases, written.case_blocks, strict=False)),
        blocks=written.blocks,
        styles={name: styles[name] for name in written.styles},
        skips=written.skips,
        seed=written.seed,
        rule=written.rule,
        timeout_s=written.timeout_s,
        budget_s=written.budget_s,
        keep_env=written.keep_env,
        decide=written.decide,
        retried=written.retried,
    )


def _faults(written: Written) -> Iterator[str]:
    """What no plan of ours holds."""
    blocks = {f"case_blocks[{at}]": count for at, count in enumerate(written.case_blocks)}
    for name, value, limits in (
        *((name, count, (1, MOST_BLOCKS)) for name, count in {"blocks": written.blocks, **blocks}.items()),
        ("seed", written.seed, (0, MOST_SEED)),
        ("timeout_s", written.timeout_s, (1e-3, MOST_TIMEOUT_S)),
        ("budget_s", written.budget_s, (1e-3, MOST_SECONDS)),
        ("decide", written.decide, (1e-12, 1e12)),
        *((f"rule.{name}", value, (int(type(value) is int), 1e9)) for name, value in asdict(written.rule).items()),
    ):
        if value is not None and not limits[0] <= value <= limits[1]:
            yield f"plan.{name} is {value}, expected a number {words_of(limits)}"
    if len(blocks) != len(written.cases):
        yield f"plan has {len(written.cases)} cases and the blocks of {len(blocks)}"
    for case in (*written.cases, *(skip.case for skip in written.skips)):
        problem = case.problem
        values = {**case.key._asdict(), "learning_rate": problem.learning_rate, "seed": problem.seed}
        yield from (f"plan.cases: {fault}" for fault in beyond(values))
        if problem.dtype not in DTYPES or device_kind(case.device) not in KINDS:
            yield f"plan.cases: no dtype {problem.dtype!r:.40} or no device {case.device!r:.40}"
    for case in written.cases:
        if case.style not in written.styles:
            yield f"plan.styles has no {case.style!r:.40}, which is to be measured"


def same_plan(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two dumped plans measure the same cases the same way; a timeout may differ."""
    try:
        first, second = (replace(from_plain(Written, raw), timeout_s=0, style_files=()) for raw in (one, other))
    except ShapeError:  # of another version
        return False
    return first == second


def fingerprint(style: Implementation) -> str:
    """Of a style's source file."""
    return hashlib.sha256(style.source.read_bytes()).hexdigest()[:16]
