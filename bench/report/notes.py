"""What stands below a table of a size: who its baselines are, and which ratios are not of the times beside them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.cases.problem import Size
from bench.tables.by_case import cases_in
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.speedup import BASELINES, Speedup
from bench.words import microseconds, several


def baseline_notes(evidence: Evidence, size: Size, baselines: Sequence[str]) -> list[str]:
    """Who each baseline is at this size, and its time; `own` is another case in every row."""
    notes = []
    for name in baselines:
        case, us = evidence.baseline(size, name, "iteration")
        here = "" if case is None else f"; here {case.label}, {microseconds(us)} us"
        notes += [f"{name}: {BASELINES[name]}{here}"] if here or name == "own" else []
    return notes


def common_notes(rows: pd.DataFrame, shown: Sequence[Speedup]) -> list[str]:
    """Whose ratio is of fewer blocks than the times beside it, so that these do not divide into it."""
    blocks = {case: len(same) for case, same in cases_in(rows)}
    fewer = [one for one in shown if one.ratio.blocks < max(blocks[one.contender], blocks[one.baseline_case])]
    names = several(list(dict.fromkeys(one.contender.label for one in fewer)))
    return [f"Speedups of the blocks that both sides have, not of the times shown: {names}."] if fewer else []
