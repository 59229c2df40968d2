"""Which charts a run folder gets, and where they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import chart_data
from bench.report import PRIMARY, chosen_baselines, thread_count
from bench.speedup import BASELINES, Speedup, speedups
from bench.table import Run, read_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CHARTS = "charts"
Named = tuple[str, "Figure"]


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


def why_nothing(folder: Path) -> str:
    """One line that says why `draw` found nothing to draw. Raises TableError."""
    rows = read_run(folder).measurements
    if rows.empty:
        return f"{folder}: nothing to draw: measurements.csv has no rows yet; finish the run with --resume"
    counts = ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().sort_index().items())
    reason = next((text for text in rows["reason"] if text), "no reason given")
    return f"{folder}: nothing to draw: no case was measured ({counts}); the first reason: {reason}"


def figures(run: Run) -> Iterator[Named]:
    """Every chart of the run with the name of its file, without a suffix."""
    ok = chart_data.usable(run)
    if ok.empty:
        return
    found = [one for one in speedups(ok) if one.scope == "iteration"]
    yield from ladders(run, ok, found)
    yield from against_work(run, ok, found)


def ladders(run: Run, ok: pd.DataFrame, found: Sequence[Speedup]) -> Iterator[Named]:
    """Speedups at one size over each chosen baseline, and apart from them those of the other trainings."""
    from bench import charts
    from bench.chart_style import Words

    size = chart_data.shown_size(ok)
    rows = chart_data.at_size(ok, size)
    here = [one for one in found if one.contender[5:] == size]
    for name in chosen_baselines(here):
        chosen = [one for one in here if one.baseline == name]
        style, device, dtype, _precision, threads = chosen[0].baseline_case[:5]
        title = f"Speedup of each style over {style}, {device} {dtype}, {thread_count(int(threads))}"
        about = f"baseline {name}: {BASELINES[name]}\n{chart_data.size_words(size)}"
        foot = chart_data.footer(run, rows[rows["oracle"] == "sgd"])
        yield f"speedup-{name}", charts.speedup_ladder(chosen, Words(title, about, foot))
    apart = set(rows.loc[rows["oracle"] != "sgd", "style"])
    others = [one for one in here if one.baseline == "own" and one.contender[0] in apart]
    if others:
        title = "Adam and the dynamic net: speedup of each over itself on one CPU thread"
        about = (
            f"baseline own: {BASELINES['own']}; they train another way than the ladder\n{chart_data.size_words(size)}"
        )
        foot = chart_data.footer(run, rows[rows["style"].isin(apart)])
        yield "speedup-apart", charts.speedup_ladder(others, Words(title, about, foot))


def against_work(run: Run, ok: pd.DataFrame, found: Sequence[Speedup]) -> Iterator[Named]:
    """Speedup and time against the work of an iteration, where there is more than one size."""
    from bench import chart_work
    from bench.chart_style import Words

    ladder = ok[ok["oracle"] == "sgd"]
    if ladder["flops"].nunique() < 2:
        return
    foot = chart_data.footer(run, ladder)
    for name in chosen_baselines(found) or (PRIMARY,):
        chosen = [one for one in found if one.baseline == name]
        if len({one.contender[5:] for one in chosen}) > 1:
            title = f"From which size on is it faster? Speedup over {name}"
            about = (
                f"baseline {name}, at each size anew: {BASELINES[name]}\nlog-log; bands and bars: 95% intervals paired "
                "by block"
            )
            words = Words(title, about, foot)
            yield f"speedup-against-work-{name}", chart_work.speedup_against_work(chosen, words)
    about = "log-log; a point is the median of its blocks, bands and bars reach from the fastest block to the slowest"
    words = Words("How long an iteration takes as its work grows", about, foot)
    yield "time-against-work", chart_work.time_against_work(ladder, words)
