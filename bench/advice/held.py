"""Frozen predictions of a card held against what was measured on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np

from bench.advice.rows import rows_of
from bench.bounds.cards import card_of
from bench.errors import UsageError
from bench.report.sheet import Cell, Sheet, sheet
from bench.tables.by_case import cases_in
from bench.tables.columns import MEASUREMENTS, NETWORKS
from bench.tables.run import read_run
from bench.words import counted, microseconds, number, percent, several

HELD = "held.csv"
SCOPES = ("iteration", "throughput")
FARTHEST = 5


@dataclass(frozen=True, slots=True)
class CardRow:
    """A step on a card as float32, ieee or tf32, in eager code: us with the ends of their 80% intervals."""

    card: str
    network: str
    batch: int
    precision: str
    launches: int
    flops: float
    latency_us: float
    latency_low_us: float
    latency_high_us: float
    throughput_us: float
    throughput_low_us: float
    throughput_high_us: float

    @property
    def step(self) -> Step:
        """What is predicted."""
        return self.network, self.batch, self.precision


Step = tuple[str, int, str]  # network, batch, precision


@dataclass(frozen=True, slots=True)
class Held:
    """A predicted time in a scope, the ends of its interval, and what so many processes took; all in us a step."""

    card: str
    network: str
    batch: int
    precision: str
    scope: str
    predicted_us: float
    low_us: float
    high_us: float
    measured_us: float
    processes: int
    inside: bool

    @property
    def factor(self) -> float:
        """Predicted over measured."""
        return self.predicted_us / self.measured_us


@dataclass(frozen=True, slots=True)
class Took:
    """What a process took, us a step, and the device's own name of itself."""

    step: Step
    model: str
    latency_us: float
    throughput_us: float


def hold(predictions: Sequence[CardRow], folders: Iterable[Path]) -> list[Held]:
    """Each prediction of which a folder holds a measurement, in the order of the predictions, by scope.

    Measured is the geometric mean over processes. Raises UsageError: nothing in common, or measured on another card.
    """
    took: dict[Step, list[Took]] = {}
    frozen = {one.step for one in predictions}
    for folder in folders:
        for one in _took(folder):
            if one.step in frozen:
                took.setdefault(one.step, []).append(one)
                _refuse_other_card(folder, one.model, predictions[0].card)
    if not took:
        raise UsageError("none of the predicted steps was measured there on a GPU")
    return [
        one for row in predictions if row.step in took for scope in SCOPES for one in _held(row, took[row.step], scope)
    ]


def _refuse_other_card(folder: Path, model: str, card: str) -> None:
    found = card_of(model)
    if found is None or found.name != card:
        raise UsageError(f"{folder}: was measured on {model or 'no known device'}; the predictions are of {card}")


def _took(folder: Path) -> Iterator[Took]:
    """Every process of a folder on an accelerator: of networks, or of a run's styles in float32."""
    if not any((folder / name).is_file() for name in (NETWORKS, MEASUREMENTS)):
        raise UsageError(f"{folder}: holds neither {NETWORKS} nor {MEASUREMENTS}")
    for row in rows_of(folder):
        if row.status == "ok" and row.device != "cpu" and row.latency_us and row.throughput_us:
            step = (row.network, row.batch, row.precision)
            yield Took(step, row.device_model, row.latency_us, row.throughput_us)
    if not (folder / MEASUREMENTS).is_file():
        return
    measured = read_run(folder).measurements
    for case, rows in cases_in(measured[measured["status"] == "ok"]):
        if not case.on_cpu and case.dtype == "float32":
            step = (f"{case.style} {case.size}", case.size.n, case.precision)
            columns = (rows["device_model"], rows["latency_median_us"], rows["throughput_us"])
            for model, latency_us, throughput_us in zip(*columns, strict=True):
                yield Took(step, str(model), float(latency_us), float(throughput_us))


def _held(row: CardRow, took: Sequence[Took], scope: str) -> Iterator[Held]:
    if scope == "iteration":
        ends, times = (row.latency_low_us, row.latency_us, row.latency_high_us), [one.latency_us for one in took]
    else:
        ends = (row.throughput_low_us, row.throughput_us, row.throughput_high_us)
        times = [one.throughput_us for one in took]
    times = [us for us in times if math.isfinite(us) and us > 0]
    if times:
        us, (low, middle, high) = geometric_mean(times), ends
        inside = low <= us <= high
        yield Held(row.card, *row.step, scope, middle, low, high, us, len(times), inside)


def held_sheet(held: Sequence[Held]) -> Sheet:
    """A row a step and scope: predicted with its interval, measured, and whether the interval holds it."""
    rows = [
        {
            "network": Cell(one.network),
            "batch": Cell(str(one.batch), sort=one.batch),
            "precision": Cell(one.precision),
            "by": Cell(one.scope),
            "predicted us": Cell(
                microseconds(one.predicted_us),
                f"[{microseconds(one.low_us)}, {microseconds(one.high_us)}]",
                one.predicted_us,
            ),
            "measured us": Cell(microseconds(one.measured_us), sort=one.measured_us),
            "processes": Cell(str(one.processes), sort=one.processes),
            "predicted / measured": Cell(number(one.factor), sort=one.factor),
            "inside": Cell("yes" if one.inside else "no"),
        }
        for one in held
    ]
    return sheet(f"{held[0].card}: predicted before anything was measured, 80% intervals", rows, once=("network",))


def summary(predictions: Sequence[CardRow], held: Sequence[Held]) -> Iterator[str]:
    """How many intervals hold, how far the predictions are off, the farthest misses, what was not measured."""
    steps = {(one.network, one.batch, one.precision) for one in held}
    inside = sum(one.inside for one in held)
    yield (
        f"{counted(len(steps), 'step')} of {len(predictions)} predicted for {held[0].card} measured. The 80% intervals "
        f"hold {inside} of {len(held)} times ({percent(inside / len(held))}): {', '.join(_parts(held))}."
    )
    yield f"{off_by([one.factor for one in held]).capitalize()}."
    missed = sorted((one for one in held if not one.inside), key=lambda one: -abs(math.log(one.factor)))[:FARTHEST]
    if missed:
        yield "Farthest misses (predicted / measured): " + ", ".join(
            f"{one.network} at {one.batch} {one.precision} by {one.scope} {number(one.factor)}" for one in missed
        )
    without = [f"{one.network} at {one.batch} {one.precision}" for one in predictions if one.step not in steps]
    if without:
        yield f"Not measured: {several(without)}."


def off_by(factors: Sequence[float]) -> str:
    """How far predictions are off, from `factors` of predicted over measured."""
    away = [math.exp(abs(math.log(one))) for one in factors]
    usual, most = number(median(away)), number(float(np.quantile(away, 0.8)))
    return f"off by a factor of {usual} (median), {most} (80%), {number(max(away))} (worst)"


def _parts(held: Sequence[Held]) -> Iterator[str]:
    for precision in dict.fromkeys(one.precision for one in held):
        for scope in SCOPES:
            mine = [one for one in held if (one.precision, one.scope) == (precision, scope)]
            if mine:
                yield f"{precision} by {scope} {sum(one.inside for one in mine)} of {len(mine)}"
