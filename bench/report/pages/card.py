"""The card of a run, share.json: its machine, its answer and a speedup a size, small enough to pass on and to list."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cases.limits import MOST_SIDE
from bench.cases.problem import Size
from bench.errors import TableError
from bench.plain import ShapeError, from_plain, to_plain
from bench.report.verdict import answer
from bench.tables.files import read_file, replace_text
from bench.tables.machine_words import accelerators, processor
from bench.verdict.claim import Finding
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import base_words, leads

CARD, PICTURE = "share.json", "share.png"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class AtSize:
    """The fastest GPU style at a size, or where none was measured the fastest CPU style, over a baseline with a name.

    `speedup` is None where nothing was faster or nothing was measured, `low` and `high` without an interval.
    """

    size: Size
    flops: int
    outcome: str  # of the claim
    baseline: str
    over: str
    contender: str = ""
    contender_us: float | None = None
    baseline_us: float | None = None
    speedup: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown of a run among others."""

    format: int
    name: str
    run_id: str
    date: str
    processor: str
    accelerators: tuple[str, ...]
    facts: tuple[str, ...]
    outcome: str
    headline: str
    sizes: tuple[AtSize, ...]

    @classmethod
    def of(cls, evidence: Evidence) -> Card:
        """The card of a run. Raises UsageError where it holds no measurement."""
        run = evidence.run
        outcome, headline = answer(evidence)
        return cls(
            format=FORMAT,
            name=run.name,
            run_id=str(run.machine.get("run_id") or ""),
            date=str(run.machine.get("created") or "")[:10],
            processor=processor(run.machine),
            accelerators=tuple(f"{name} {model}".strip() for name, model in accelerators(run.machine).items()),
            facts=tuple(run.facts),
            outcome=outcome,
            headline=headline,
            sizes=tuple(map(_at_size, leads(evidence))),
        )


def _at_size(one: Finding) -> AtSize:
    base = AtSize(one.size, one.size.flops, one.verdict.outcome, one.baseline, base_words(one.baseline))
    found = one.speedup
    if found is None:
        return base
    times = {"contender_us": found.contender_us, "baseline_us": found.baseline_us}
    ratio = {"speedup": found.ratio.value, "low": found.ratio.low, "high": found.ratio.high}
    short: dict[str, Any] = {
        name: float(f"{value:.6g}") for name, value in (times | ratio).items() if math.isfinite(value)
    }
    return replace(base, contender=found.contender.label, **short)


def text_of(card: Card) -> str:
    """The card as JSON; what is unknown or without an end is null."""
    return json.dumps(to_plain(card), indent=1, ensure_ascii=False) + "\n"


def write_card(card: Card, folder: Path) -> Path:
    """share.json in a run folder, whole or not at all; its path."""
    path = folder / CARD
    replace_text(path, text_of(card))
    return path


def read_card(path: Path) -> Card:
    """A card, ours or somebody else's. Raises TableError."""
    try:
        card = from_plain(Card, json.loads(read_file(path)))
    except (OSError, ValueError, ShapeError, RecursionError) as error:
        raise TableError(f"{path}: is no card of a run: {error}; make it again with: fiftyx share DIR") from error
    if card.format != FORMAT:
        raise TableError(f"{path}: is a card of format {card.format}, this fiftyx reads {FORMAT}")
    if any(not 1 <= side <= MOST_SIDE for one in card.sizes for side in one.size):
        raise TableError(f"{path}: a side of a size is none of 1 to {MOST_SIDE:,}")
    return card
