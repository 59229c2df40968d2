"""What the charts take from a run's tables: the size to show, configurations in order, and the words of a footer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS
from bench.cases.problem import Problem, Size
from bench.tables.run import Run, read_iterations
from bench.verdict.speedup import fastest
from bench.words import engineering, thread_count

CONFIG_COLUMNS = ("device", "dtype", "precision", "threads")


@dataclass(frozen=True, slots=True, order=True)
class Config:
    """Where and in which arithmetic a style ran: what a chart groups by. Sorts the CPU first."""

    device: str
    threads: int
    dtype: str
    precision: str

    @property
    def accelerated(self) -> bool:
        """Whether this is anything but the CPU."""
        return self.device != "cpu"

    @property
    def plain(self) -> bool:
        """Whether this is ordinary float32."""
        return (self.dtype, self.precision) == ("float32", "ieee")

    @property
    def label(self) -> str:
        """`cpu, 1 thread, float32`; `cuda:0, float32 tf32`."""
        threads = "" if self.accelerated else f", {thread_count(self.threads)}"
        precision = "" if self.precision == "ieee" else f" {self.precision}"
        return f"{self.device}{threads}, {self.dtype}{precision}"

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of this configuration."""
        return rows[
            (rows["device"] == self.device)
            & (rows["threads"] == self.threads)
            & (rows["dtype"] == self.dtype)
            & (rows["precision"] == self.precision)
        ]


def config_of(key: Sequence[Any]) -> Config:
    """The configuration in the values of CASE_COLUMNS."""
    _style, device, dtype, precision, threads = key[:5]
    return Config(str(device), int(threads), str(dtype), str(precision))


def configs_in(rows: pd.DataFrame) -> list[Config]:
    """Every configuration of these rows, the CPU with few threads first, accelerators last."""
    found = rows[["style", *CONFIG_COLUMNS]].drop_duplicates(list(CONFIG_COLUMNS)).itertuples(index=False)
    return in_order(config_of(cast(Sequence[Any], one)) for one in found)


def in_order(configs: Iterable[Config]) -> list[Config]:
    """Each once, the CPU with few threads first, accelerators last."""
    return sorted(set(configs), key=lambda one: (one.accelerated, one))


def interval_words(confidence: float) -> str:
    """`95% interval`; a run that looked several times says `98.3% interval`."""
    return f"{100 * confidence:.3g}% interval"


def size_words(size: Size) -> str:
    """`N x D_in x H x D_out = 64x1000x100x10, 26.2 MFLOP an iteration`."""
    work = engineering(Problem(*size).flops, "FLOP")
    return f"N x D_in x H x D_out = {'x'.join(map(str, size))}, {work} an iteration"


def footer(run: Run, rows: pd.DataFrame, *, n: bool = True) -> str:
    """n and what was left out (unless `n` is false: one process), and the machine."""
    if not n:
        return f"one process of the run\n{machine_words(run.machine, rows)}"
    blocks = rows.groupby(["style", *CONFIG_COLUMNS, *SIZE_COLUMNS])["block"].nunique()
    least, most = int(blocks.min()), int(blocks.max())
    count = f"n = {most}" if least == most else f"n = {least} to {most}"
    unit = "block" if most == 1 else "blocks"
    parts = [f"{count} {unit}, in each a fresh process a case", *left_out(run.measurements)]
    if (rows["environment"] == "kept").any():
        parts.append("distorting variables kept: not comparable")
    return f"{'; '.join(parts)}\n{machine_words(run.machine, rows)}"


def left_out(rows: pd.DataFrame) -> list[str]:
    """`left out: 3 skipped, 1 wrong`, counted in cases; nothing where every case has its number."""
    bad = rows[rows["status"] != "ok"][["status", "style", *CONFIG_COLUMNS, *SIZE_COLUMNS]].drop_duplicates()
    counts = bad["status"].value_counts().sort_index()
    return (
        [f"not in the chart: {', '.join(f'{number} {status}' for status, number in counts.items())}"]
        if len(counts)
        else []
    )


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


def process_shown(rows: pd.DataFrame) -> pd.Series:
    """The measurement of the process whose trace is shown; `rows` are `ok` and of one size.

    An accelerator before the CPU, SGD before other trainings, plain float32 before other arithmetic, then the
    fastest case; of its blocks the middle one.
    """
    first = rows[rows["device"] != "cpu"] if (rows["device"] != "cpu").any() else rows
    for column, wanted in (("oracle", "sgd"), ("dtype", "float32"), ("precision", "ieee")):
        first = first[first[column] == wanted] if (first[column] == wanted).any() else first
    case = fastest(first).sort_values(["latency_median_us", "block"])
    return case.iloc[len(case) // 2]


def iterations_of(folder: Path, measurement: pd.Series) -> pd.DataFrame:
    """The rows of iterations.csv of one process. Raises TableError."""
    table = read_iterations(folder)
    keys = ["block", *CASE_COLUMNS]
    return table[(table[keys] == measurement[keys].tolist()).all(axis=1)]
