"""Predictions written down: `python -m bench.advice.prediction DIR` validates them, `--card NAME` freezes them.

`--measured DIR` holds frozen ones against what was measured.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from bench.advice.cards import on_card
from bench.advice.held import HELD, CardRow, Held, hold, off_by
from bench.advice.held import summary as held_words
from bench.advice.network.asked import Counted, Operation, Processor
from bench.advice.predict import COVERED, Asked, LeftOut, Speed, fit, leave_out
from bench.advice.rows import count_of, jobs_of, on_cpu, path_of, rows_of, step_us
from bench.bounds.cards import all_cards
from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import Problem
from bench.errors import UsageError, known
from bench.tables.csv_files import columns_of, read_as, write_as, write_rows
from bench.tables.files import replace_text
from bench.words import complaint, microseconds, number, percent

OPERATIONS, PREDICTIONS, CHART = "operations.csv", "predictions.csv", "predicted"
WIDE = 160  # columns of a printed table
STYLES = ("torch_tensors", "torch_autograd")


@dataclass(frozen=True, slots=True)
class Step:
    """A network at a batch."""

    network: str
    batch: int


def operations_of(folder: Path, steps: Iterable[tuple[str, int]]) -> dict[tuple[str, int], list[Operation]]:
    """The operations of each step on a CPU, from the folder's table, which is made where there is none.

    A step with work that nobody could count is left out.
    """
    path = folder / OPERATIONS
    if not path.exists():
        rows = []
        for network, batch in steps:
            counted = count_of(path_of("small"), network, batch, foreach=False)
            if not counted.uncounted and not counted.why:
                rows += [{"network": network, "batch": batch, **asdict(one)} for one in counted.work]
        write_rows(path, (*columns_of(Step), *columns_of(Operation)), rows)
    found: dict[tuple[str, int], list[Operation]] = {}
    for step, one in zip(read_as(path, Step), read_as(path, Operation), strict=True):
        found.setdefault((step.network, step.batch), []).append(one)
    return found


def validate(folder: Path) -> tuple[list[LeftOut], list[str], Speed]:
    """Each measured step predicted without its network; what has no prediction; the speed that all of them give."""
    rows = on_cpu(rows_of(folder))
    measured = list(step_us(rows))
    work = operations_of(folder, [(network, batch) for network, batch, _ in measured])
    there = [one for one in measured if one[:2] in work]
    if len({network for network, _, _ in there}) < 3:
        raise UsageError(f"{folder}: measure networks first: fiftyx advise --preset small --out {folder}")
    us = np.array([one[2] for one in there])
    asked = Asked.of([work[one[:2]] for one in there])
    found = leave_out([one[0] for one in there], [one[1] for one in there], asked, us)
    without = dict.fromkeys(network for network, batch, _ in measured if (network, batch) not in work)
    return found, list(without), fit(asked, us, np.ones(len(there), bool))


def summary(found: Sequence[LeftOut], without: Sequence[str], speed: Speed) -> Iterator[str]:
    """What the validation comes to, in sentences."""
    off = off_by([one.predicted_us / one.measured_us for one in found])
    networks = len({one.network for one in found})
    inside = sum(one.inside for one in found) / len(found)
    width = median(one.high_us / one.predicted_us for one in found)
    yield (
        f"{len(found)} steps of {networks} networks, each predicted without its network: {off}. "
        f"The {percent(COVERED)} interval, a factor of {number(width)} up and down, holds {percent(inside)}."
    )
    step, call, convolving, product, convolution, half, near, far, costly, _ = map(float, astuple(speed))
    yield (
        f"Fitted to all: {microseconds(step)} us a step, {microseconds(call)} us a call, {microseconds(convolving)} of "
        f"a convolution; {number(product)} GFLOP/s in products, {number(convolution)} in convolutions, half at a side "
        f"of {number(half)}; {number(near)} GB/s up to 1 MiB of an operation, {number(far)} beyond, {number(costly)} "
        "in costly ones."
    )
    worst = sorted(found, key=lambda one: -abs(math.log(one.predicted_us / one.measured_us)))[:5]
    yield "Farthest off (predicted / measured): " + ", ".join(
        f"{one.network} at {one.batch} {number(one.predicted_us / one.measured_us)}" for one in worst
    )
    if without:
        yield f"Not predicted, since not all of its work can be counted: {', '.join(without)}."


def freeze(folder: Path, name: str) -> list[CardRow]:
    """A card's times for the two-layer network, the networks of the claim's source and ten more, written down."""
    known("card", [name], [card.name for card in all_cards()])
    card = next(one for one in all_cards() if one.name == name)
    steps = list(_steps())
    rows = []
    for precision in ("ieee", "tf32"):
        each = on_card(card, [counted.work for _, _, counted in steps], tf32=precision == "tf32")
        rows += [
            CardRow(
                name, network, batch, precision, counted.operations, counted.product_flops + counted.other_flops,
                *(round(us, 1) for ends in (one.latency, one.throughput) for us in (ends[1], ends[0], ends[2])),
            )
            for (network, batch, counted), one in zip(steps, each, strict=True)
        ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_as(folder / PREDICTIONS, CardRow, rows)
    return rows


def _steps() -> Iterator[tuple[str, int, Counted]]:
    """Network, batch and work of every step that is predicted for a card."""
    for size in SWEEP_SIZES:
        for style in STYLES:
            yield f"{style} {size}", size.n, style_work(style, Problem(*size))
    for job in jobs_of("cnn", ["all"], [Processor()]):
        yield job.function, job.batch, count_of(job.path, job.function, job.batch)
    for job in jobs_of("frozen", [], [Processor()]):
        yield job.function, job.batch, count_of(job.path, job.function, job.batch)


def style_work(name: str, problem: Problem) -> Counted:
    """What an iteration of one of the tutorial's styles asks for."""
    import torch
    from torch import nn

    from bench.advice.network.counts import count_step
    from implementations import find_implementations

    n, d_in, hidden, d_out = problem.size
    shapes = ((n, d_in), (n, d_out), (d_in, hidden), (hidden, d_out))
    inputs = tuple(torch.empty(shape, device="meta") for shape in shapes)
    loop = find_implementations()[name].train(*inputs, 1e-6, 3)
    next(loop)
    return count_step(lambda: next(loop), nn.Module(), inputs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate or freeze; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.advice.prediction", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--card", help="freeze predictions for this card of bench/bounds/gpus.csv")
    parser.add_argument("--measured", type=Path, nargs="+", metavar="DIR", help="hold them against these folders")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.card is not None:
            rows = freeze(chosen.folder, chosen.card)
            sys.stdout.write(f"{chosen.folder}: {len(rows)} predictions for {chosen.card}\n")
            return 0
        if chosen.measured:
            return _hold(chosen.folder, chosen.measured)
        found, without, speed = validate(chosen.folder)
    except UsageError as error:
        sys.stderr.write(f"{complaint(str(error))}\n")
        return 2
    lines = list(summary(found, without, speed))
    write_validation(chosen.folder, found, lines)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _hold(folder: Path, measured: Sequence[Path]) -> int:
    """Write and print predictions beside measurements; the predictions themselves stay as they are."""
    from rich.console import Console

    from bench.advice.held import held_sheet
    from bench.report.sheet import print_sheet

    predictions = read_as(folder / PREDICTIONS, CardRow)
    if not predictions:
        raise UsageError(f"{folder}: holds no {PREDICTIONS}; freeze some with --card NAME")
    found = hold(predictions, measured)
    write_as(folder / HELD, Held, found)
    print_sheet(Console(file=sys.stdout, width=WIDE, highlight=False, markup=False), held_sheet(found))
    sys.stdout.write("\n".join(held_words(predictions, found)) + f"\n{folder / HELD}: {len(found)} rows\n")
    return 0


README = """\
# Predicted training steps against measured ones

`fiftyx advise --preset small --blocks {blocks} --out {folder}` measured the networks of
`implementations/networks/small.py` on one thread of {machine}, torch {torch}: a row a process in
`networks.csv`. `python -m bench.advice.prediction {folder}` counted what each step asks for
(`operations.csv`), predicted each network from constants fitted to the others alone
(`predictions.csv`) and wrote this page. An interval is a factor up and down that covers {share} of
the errors of the other networks, each of these predicted without itself too. The formula is in
[METHOD.md](../../bench/METHOD.md).

![Predicted against measured]({chart}.png)

{lines}
"""


def write_validation(folder: Path, found: Sequence[LeftOut], lines: Sequence[str]) -> None:
    """Predictions, chart and page of a validation."""
    from bench.charts.drawing.style import Words
    from bench.charts.prediction import save_prediction

    write_as(folder / PREDICTIONS, LeftOut, found)
    rows = on_cpu(rows_of(folder))
    footer = f"{rows[0].cpu_model}, one thread, torch {rows[0].torch}. From {PREDICTIONS}."
    points = [(one.measured_us, one.predicted_us, one.low_us, one.high_us) for one in found]
    save_prediction(points, Words("A training step predicted without its network", lines[0], footer), folder / CHART)
    page = README.format(
        blocks=1 + max(row.block for row in rows), folder=f"results/{folder.name}", machine=rows[0].cpu_model,
        torch=rows[0].torch, share=percent(COVERED), chart=CHART, lines="\n\n".join(lines),
    )  # fmt: skip
    replace_text(folder / "README.md", page)


if __name__ == "__main__":
    sys.exit(main())
