"""Which charts a run folder gets, and where they are saved."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cases.case import CASE_COLUMNS
from bench.charts import rows as chart_data
from bench.tables.columns import ITERATIONS, LOSS_COLUMNS, LOSSES
from bench.tables.csv_files import read_table
from bench.tables.run import Run
from bench.verdict.decomposition import decompose
from bench.verdict.evidence import Evidence
from bench.verdict.speedup import BASELINES, PRIMARY, chosen_baselines
from bench.words import thread_count

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


CHARTS = "charts"
NAMES = ("speedup-", "time-against-work", "trace", "layers", "break-even", "decomposition", "losses")
CAPITALS = 84  # letters of a subtitle's line that holds names of variables, which are wider
Named = tuple[str, "Figure"]


def draw(evidence: Evidence) -> list[Path]:
    """Draw every chart that a run's tables hold data for into its folder's `charts/`; the files written.

    A --benchmark-json file x.json gets its charts into `x/charts/` beside it.
    PNG and SVG of each; the same tables give the same bytes. Empty when no case has a number. Raises TableError.
    """
    from bench.charts import style as chart_style

    folder = evidence.run.folder
    place = (folder if folder.is_dir() else folder.with_suffix("")) / CHARTS
    written: list[Path] = []
    with chart_style.applied():
        for name, figure in figures(evidence):
            place.mkdir(parents=True, exist_ok=True)
            written += chart_style.save(figure, place / name)
    remove_stale(place, written)
    return written


def remove_stale(charts: Path, written: Sequence[Path]) -> None:
    """Delete the charts of ours that the tables no longer give: they would speak of another run."""
    for path in charts.glob("*"):
        if path not in written and path.suffix in (".png", ".svg") and path.stem.startswith(NAMES):
            path.unlink()


def why_nothing(run: Run) -> str:
    """One line that says why `draw` found nothing to draw."""
    folder, rows = run.folder, run.measurements
    if rows.empty:
        return f"{folder}: nothing to draw: measurements.csv has no rows yet; finish the run with --resume"
    counts = ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().sort_index().items())
    reason = next((text for text in rows["reason"] if text), "no reason given")
    return f"{folder}: nothing to draw: no case was measured ({counts}); the first reason: {reason}"


def figures(evidence: Evidence) -> Iterator[Named]:
    """Every chart of the run with the name of its file, without a suffix."""
    if evidence.rows.empty:
        return
    yield from ladders(evidence)
    yield from against_work(evidence)
    yield from at_one_size(evidence)
    yield from of_losses(evidence.run)


def ladders(evidence: Evidence) -> Iterator[Named]:
    """Speedups at one size over each chosen baseline, and apart from them those of the other trainings."""
    from bench.charts import ladder as charts
    from bench.charts.style import Words

    run, size = evidence.run, evidence.shown_size
    rows, here = evidence.rows_at(size), evidence.by_iteration(size)
    for name in chosen_baselines(here):
        chosen = [one for one in here if one.baseline == name]
        base = chosen[0].baseline_case
        title = f"Speedup of each style over {base.style}, {base.device} {base.dtype}, {thread_count(base.threads)}"
        about = f"baseline {name}: {BASELINES[name]}\n{chart_data.size_words(size)}"
        foot = chart_data.footer(run, rows[rows["oracle"] == "sgd"])
        yield f"speedup-{name}", charts.speedup_ladder(chosen, Words(title, about, foot), evidence.confidence)
    apart = set(rows.loc[rows["oracle"] != "sgd", "style"])
    others = [one for one in here if one.baseline == "own" and one.contender.style in apart]
    if others:
        title = "Adam and the dynamic net: each over itself on one CPU thread"
        about = (
            f"baseline own: {BASELINES['own']}; they train another way than the ladder\n{chart_data.size_words(size)}"
        )
        foot = chart_data.footer(run, rows[rows["style"].isin(apart)])
        yield "speedup-apart", charts.speedup_ladder(others, Words(title, about, foot), evidence.confidence)


def against_work(evidence: Evidence) -> Iterator[Named]:
    """Speedup and time against the work of an iteration, where there is more than one size."""
    from bench.charts import against_work as chart_work
    from bench.charts.style import Words

    ok, found = evidence.rows, evidence.by_iteration()
    ladder = ok[(ok["oracle"] == "sgd") & (ok["latency_median_us"] > 0)]
    if ladder["flops"].nunique() < 2:
        return
    foot = chart_data.footer(evidence.run, ladder)
    for name in chosen_baselines(found) or (PRIMARY,):
        chosen = [one for one in found if one.baseline == name]
        if len({one.contender.size for one in chosen}) > 1:
            title = f"From which size on is it faster? Speedup over {name}"
            about = (
                f"baseline {name}, at each size anew: {BASELINES[name]}\nlog-log; bands and bars: "
                f"{chart_data.interval_words(evidence.confidence)}s paired by block"
            )
            words = Words(title, about, foot)
            yield f"speedup-against-work-{name}", chart_work.speedup_against_work(chosen, words)
    about = "log-log; a point is the mean of its blocks, bands and bars reach from the fastest block to the slowest"
    words = Words("How long an iteration takes as its work grows", about, foot)
    yield "time-against-work", chart_work.time_against_work(ladder, words)


def at_one_size(evidence: Evidence) -> Iterator[Named]:
    """Inside one process, what each layer costs, and break-even, all at the size of the ladder."""
    run, size = evidence.run, evidence.shown_size
    rows = evidence.rows_at(size)
    about = chart_data.size_words(size)
    if (run.folder / ITERATIONS).exists():
        yield from of_one_process(run, rows, about)
    ladder = rows[rows["oracle"] == "sgd"]
    if len(ladder):
        yield from of_layers(evidence, ladder, about)
        yield from of_totals(run, ladder, about)
        yield from of_factors(evidence, ladder, about)


def of_one_process(run: Run, rows: pd.DataFrame, about: str) -> Iterator[Named]:
    """The trace and the distribution of one process."""
    from bench.charts import trace as chart_process
    from bench.charts.style import Words

    row = chart_data.process_shown(rows)
    as_timed = run.measurements.loc[[row.name]].iloc[0]  # the trace shows samples, so their own median
    samples = chart_data.iterations_of(run.folder, row)
    if not (samples["phase"] == "timed").any():
        return
    config = chart_data.config_of([row[name] for name in CASE_COLUMNS])
    words = Words(
        "Inside one process: first call, warm-up, steady state",
        f"{row['style']}, {config.label}, block {row['block']}\n{about}",
        chart_data.footer(run, rows[(rows["style"] == row["style"]) & (rows["block"] == row["block"])], n=False),
    )
    yield "trace", chart_process.trace(chart_process.trace_of(samples, as_timed), words)


def of_layers(evidence: Evidence, ladder: pd.DataFrame, about: str) -> Iterator[Named]:
    """What each layer of abstraction adds, on every configuration where two layers were measured."""
    from bench.charts import layers as chart_cost
    from bench.charts.style import Words

    run, confidence, configs = evidence.run, evidence.confidence, chart_data.configs_in(ladder)
    groups = [(config, chart_cost.rungs(config.of(ladder), confidence)) for config in configs]
    groups = [(config, found) for config, found in groups if found]
    if not groups:
        return
    names = {one.name for _config, found in groups for one in found}
    interval = chart_data.interval_words(confidence)
    told = f"means over blocks; coloured: what a layer adds to the one above it, or saves; black: its {interval}"
    foot = chart_data.footer(run, ladder[ladder["style"].isin(names)])
    yield (
        "layers",
        chart_cost.layers(groups, Words("What each layer of abstraction costs", f"{told}\n{about}", foot), interval),
    )


def of_totals(run: Run, ladder: pd.DataFrame, about: str) -> Iterator[Named]:
    """Time from a cold start against iterations."""
    from bench.charts import break_even as chart_total
    from bench.charts.style import Words

    starts = chart_total.starts(ladder)
    if not starts:
        return
    told = "import, transfer and first iteration as timed, then the median iteration over and over; bands: all blocks"
    foot = chart_data.footer(run, ladder)
    words = Words("When does the start pay off? Total time from cold", f"{told}\n{about}", foot)
    yield "break-even", chart_total.break_even(starts, words)


def of_factors(evidence: Evidence, ladder: pd.DataFrame, about: str) -> Iterator[Named]:
    """The tutorial's headline as a product of factors, where its numpy and something faster were measured."""
    from bench.charts import factors
    from bench.charts.style import Words

    found = decompose(evidence, evidence.shown_size)
    if found is None or not any(math.isfinite(factor) for _label, factor in found.waterfall()):
        return
    title = f"What makes the speedup over {found.start.style}, {found.start.device} {found.start.dtype}"
    merged = f"; not measured apart: {', '.join(found.unmeasured)}" if found.unmeasured else ""
    told = f"from {found.start_words} to {found.end.label}{merged}\n{textwrap.fill(found.environment, CAPITALS)}"
    noisy = "; noisy" if found.noisy else ""
    foot = chart_data.footer(evidence.run, ladder).replace("\n", f"{noisy}; each factor with its 95% interval\n", 1)
    ratios = [*(one.ratio for one in found.factors), found.headline]
    bounds = [(ratio.low, ratio.high) for ratio in ratios]
    yield "decomposition", factors.waterfall(found.waterfall(), Words(title, f"{told}\n{about}", foot), bounds)


def of_losses(run: Run) -> Iterator[Named]:
    """The losses of all styles, where the folder has a losses.csv; Adam and the dynamic net train another way."""
    from bench.charts import losses
    from bench.charts.style import Words

    if not (run.folder / LOSSES).exists():
        return
    rows = read_table(run.folder / LOSSES, LOSS_COLUMNS)
    rows = rows[(rows["oracle"] == "sgd") & (rows["dtype"] == "float32") & (rows["precision"] == "ieee")]
    # one line a style: the rehearsal of its first case, on one CPU thread where there was one
    order = rows.sort_values(["device", "threads"], kind="stable").groupby("style", sort=False)[["device", "threads"]]
    first = order.transform("first").reindex(rows.index)
    frame = rows[(rows["device"] == first["device"]) & (rows["threads"] == first["threads"])]
    words = Words(
        "One training loop: the losses of all styles on top of each other",
        "the rehearsal in float32 at the tutorial's size and learning rate; each line is thinner than the one\n"
        "below it, so that where all agree they show as one striped line",
        chart_data.machine_words(run.machine, run.measurements[run.measurements["status"] == "ok"]),
    )
    if len(frame):
        yield "losses", losses.losses(frame, words)
