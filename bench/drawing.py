"""Which charts a run folder gets, and where they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import chart_data
from bench.report import PRIMARY, chosen_baselines
from bench.speedup import BASELINES, Speedup, speedups
from bench.table import Run, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHARTS = "charts"


def draw(folder: Path) -> list[Path]:
    """Draw every chart that the tables of `folder` hold data for into `folder/charts/`; the files written.

    PNG and SVG of each; the same tables give the same bytes. Empty when no case has a number. Raises TableError.
    """
    from bench import chart_style

    run = read_run(folder)
    written: list[Path] = []
    with chart_style.applied():
        for name, figure in figures(run):
            (folder / CHARTS).mkdir(exist_ok=True)
            written += chart_style.save(figure, folder / CHARTS / name)
    return written


def figures(run: Run) -> Iterator[tuple[str, Figure]]:
    """Every chart of the run with the name of its file, without a suffix."""
    ok = chart_data.usable(run)
    if ok.empty:
        return
    found = [one for one in speedups(ok) if one.scope == "iteration"]
    yield from speedup_figures(run, found)


def speedup_figures(run: Run, found: Sequence[Speedup]) -> Iterator[tuple[str, Figure]]:
    """The ladders at one size: against the chosen baselines, and apart from them the other trainings."""
    from bench import charts
    from bench.chart_style import Words

    ok = chart_data.usable(run)
    size = chart_data.shown_size(ok)
    here = [one for one in found if one.contender[5:] == size]
    rows = chart_data.at_size(ok, size)
    foot = chart_data.footer(run, rows)
    for name in chosen_baselines(here) or ((PRIMARY,) if here else ()):
        chosen = [one for one in here if one.baseline == name]
        if chosen:
            style, device, dtype, _precision, threads = chosen[0].baseline_case[:5]
            words = Words(
                f"Speedup of each style over {style} {device} {dtype}, {threads} threads",
                f"baseline {name}: {BASELINES[name]}. {chart_data.size_words(size)}",
                foot,
            )
            yield f"speedup-{name}", charts.speedup_ladder(chosen, words)
