"""What `verdict --published` prints of two more published comparisons, after the source that the claim cites."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.console import Console

from bench.report.published.cited_source import rows_of
from bench.report.run_tables import times_cell
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.verdict.published.other_audits import DEEPBENCH_SOURCE, LARGEST, PYHPC_SOURCE, deepbench_ratios, pyhpc_ratios
from bench.words import number

V100 = "NV_V100"


def print_others(console: Console, threshold: float) -> None:
    """Each source in a paragraph, then its table."""
    kernels, products = pyhpc_ratios(), deepbench_ratios()
    for words, table in (
        (pyhpc_words(kernels, threshold), _pyhpc_sheet(kernels)),
        (deepbench_words(products), _deepbench_sheet(products)),
    ):
        console.print()
        for line in words:
            print_words(console, line)
        console.print()
        print_sheet(console, table)


def pyhpc_words(found: pd.DataFrame, threshold: float) -> Iterator[str]:
    """What the figures say, in sentences."""
    known = found.dropna(subset=["over_best"])
    reaching = int((known["over_best"] >= threshold).sum())
    yield f"Another source: {PYHPC_SOURCE}. Three kernels of an ocean model, {LARGEST:,} elements."
    yield (
        f"The best GPU backend is {_range(known['over_numpy'])} as fast as numpy on one core, but "
        f"{_range(known['over_best'])} as fast as the best backend on that same core: {threshold:g}x or more in "
        f"{reaching} of {len(known)} cells. The CPU had one core of many throughout."
    )
    if len(known) < len(found):
        yield (
            f"Of {len(found) - len(known)} cells no ratio can be taken: their GPU time is printed with one digit, "
            f"{found['gpu_s'].min():g} s."
        )


def deepbench_words(found: pd.DataFrame) -> Iterator[str]:
    """What the figures say, in sentences."""
    exact, half = (found[(found["device"] == V100) & (found["half"] == flag)].iloc[0] for flag in (False, True))
    most = found[~found["half"]]["high"].max()
    yield f"Another source: {DEEPBENCH_SOURCE}. Matrix products of training, against a Xeon Phi 7250F of 68 cores."
    yield (
        f"In float32 the V100 is {_span(exact)}, median {exact['median']:.1f}x; no card is above {most:.1f}x. "
        f"With float16 inputs, against float32 on the Xeon Phi, it is {_span(half)}, median {half['median']:.1f}x."
    )


def _range(values: pd.Series) -> str:
    return f"{number(float(values.min()))}-{number(float(values.max()))}x"


def _span(row: Any) -> str:
    return f"{row['low']:.2f}-{row['high']:.2f}x"


def _pyhpc_sheet(found: pd.DataFrame) -> Sheet:
    def ratio(value: float) -> Cell:
        return Cell("one digit", sort=math.nan) if math.isnan(value) else times_cell(value)

    rows = [
        {
            "host": Cell(one.host),
            "kernel": Cell(one.kernel),
            "GPU": Cell(one.gpu),
            "over numpy, 1 core": ratio(one.over_numpy),
            "over the best, 1 core": ratio(one.over_best),
            "that is": Cell(one.cpu),
        }
        for one in rows_of(found)
    ]
    return sheet(f"the fastest GPU backend at {LARGEST:,} elements", rows)


def _deepbench_sheet(found: pd.DataFrame) -> Sheet:
    rows = [
        {
            "device": Cell(one.device),
            "its sheet": Cell(one.sheet),
            "lowest-highest": Cell(f"{one.low:.2f}-{one.high:.2f}x", sort=one.high),
            "median": Cell(f"{one.median:.2f}x", sort=one.median),
            "products": Cell(str(one.products), sort=one.products),
        }
        for one in rows_of(found)
    ]
    return sheet("over the Xeon Phi 7250F in float32, a row a device and sheet", rows)


def other_values(threshold: float) -> list[dict[str, Any]]:
    """As plain values for JSON; a ratio that cannot be taken is null."""
    kernels, products = pyhpc_ratios(), deepbench_ratios()
    rows = kernels.astype(object).where(kernels.notna(), None).to_dict("records")
    return [
        {"source": PYHPC_SOURCE, "elements": LARGEST, "cells": rows, "notes": list(pyhpc_words(kernels, threshold))},
        {"source": DEEPBENCH_SOURCE, "devices": products.to_dict("records"), "notes": list(deepbench_words(products))},
    ]
