"""The words around a chart that come from a run: its size, n, what was left out, the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.cases.problem import Size
from bench.tables.run import Run
from bench.words import engineering, percent


def interval_words(confidence: float) -> str:
    """`95% interval`; a run that looked several times says `98.3% interval`."""
    return f"{percent(confidence)} interval"


def size_words(size: Size) -> str:
    """`N x D_in x H x D_out = 64x1000x100x10, 26.2 MFLOP an iteration`."""
    return f"N x D_in x H x D_out = {size}, {engineering(size.flops, 'FLOP')} an iteration"


def footer(run: Run, rows: pd.DataFrame, more: str = "") -> str:
    """n, what was left out and what `more` says of these rows, and the machine."""
    blocks = rows.groupby(list(CASE_COLUMNS))["block"].nunique()
    least, most = int(blocks.min()), int(blocks.max())
    count = f"n = {most}" if least == most else f"n = {least} to {most}"
    unit = "block" if most == 1 else "blocks"
    parts = [f"{count} {unit}, in each a fresh process a case", left_out(run.measurements)]
    if (rows["environment"] == "kept").any():
        parts.append("distorting variables kept: not comparable")
    return f"{'; '.join(filter(None, [*parts, more]))}\n{machine_words(run.machine, rows)}"


def left_out(rows: pd.DataFrame) -> str:
    """`not in the chart: 3 skipped, 1 wrong`, counted in cases; nothing where every case has its number."""
    bad = rows[rows["status"] != "ok"][["status", *CASE_COLUMNS]].drop_duplicates()
    counts = bad["status"].value_counts().sort_index()
    return f"not in the chart: {', '.join(f'{n} {status}' for status, n in counts.items())}" if len(counts) else ""


def machine_words(machine: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """The processor, the accelerators in these rows, versions of what matters, and the run."""
    cpus = machine.get("cpus")
    named = rows[rows["device"] != "cpu"].drop_duplicates("device").set_index("device")["device_model"]
    packages = machine.get("packages") or {}
    parts = [
        f"{machine.get('cpu_model') or 'unknown CPU'}" + (f", {cpus} CPUs" if cpus else ""),
        *(f"{device} {model or 'of unknown model'}" for device, model in named.items()),
        " ".join(f"{name} {packages[name]}" for name in ("numpy", "torch") if packages.get(name)),
        f"run {machine['run_id']}",
    ]
    return "; ".join(part for part in parts if part)
