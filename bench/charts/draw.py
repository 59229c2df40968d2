"""Which charts a run folder gets, and where they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.charts import against_work, break_even, costs, ladder, losses, trace
from bench.charts.drawing import style
from bench.charts.drawing.width import PHONE_IN, drawn_at
from bench.tables.run import Run
from bench.verdict.evidence import Evidence

FOLDER = "charts"
CARD_DPI = 150  # a card is 8 x 4.2 inches
CHARTS = (ladder, against_work, trace, costs, break_even, losses)
"""Each has `charts(evidence)`, which yields (name, Figure) for what the tables hold, and all NAMES it may give."""


def draw(evidence: Evidence) -> list[Path]:
    """Draw every chart that a run's tables hold data for into its folder's `charts/`; the files written.

    A --benchmark-json file x.json gets its charts into `x/charts/` next to it.
    PNG and SVG of each; the same tables give the same bytes. Empty when no case has a number. Raises TableError.
    """
    folder = evidence.run.folder
    place = (folder if folder.is_dir() else folder.with_suffix("")) / FOLDER
    written: list[Path] = []
    with style.applied():
        for name, figure in figures(evidence):
            place.mkdir(parents=True, exist_ok=True)
            written += style.save(figure, place / name)
    remove_stale(place, written)
    return written


def save_card(evidence: Evidence, headline: str, path: Path) -> Path:
    """The one picture of a run, 1200 x 630 pixels, at `path`."""
    with style.applied():
        ladder.card(evidence, headline).savefig(path, dpi=CARD_DPI, metadata={"Software": "fiftyx"})
    return path


def for_phones(evidence: Evidence) -> dict[str, bytes]:
    """The SVG of every chart by name, narrow, so that its letters can be read on a phone; nothing is saved."""
    with style.applied(), drawn_at(PHONE_IN):
        return {name: style.svg_of(figure) for name, figure in figures(evidence)}


def figures(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """Every chart of the run with the name of its file, without a suffix."""
    if not evidence.rows.empty:
        for chart in CHARTS:
            yield from chart.charts(evidence)


def remove_stale(place: Path, written: Sequence[Path]) -> None:
    """Delete the charts of ours that the tables no longer give: they would speak of another run."""
    ours = {f"{name}{suffix}" for chart in CHARTS for name in chart.NAMES for suffix in style.SUFFIXES}
    for path in place.glob("*"):
        if path not in written and path.name in ours and path.is_file() and style.is_ours(path.read_bytes()):
            path.unlink()


def why_nothing(run: Run) -> str:
    """One line that says why `draw` found nothing to draw."""
    folder, rows = run.folder, run.measurements
    if rows.empty:
        return f"{folder}: nothing to draw: measurements.csv has no rows yet; finish the run with --resume"
    if (rows["status"] == "ok").any():
        return f"{folder}: nothing to draw: no case has a time by iteration"
    counts = ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().sort_index().items())
    reason = next((text for text in rows["reason"] if text), "no reason given")
    return f"{folder}: nothing to draw: no case was measured ({counts}); the first reason: {reason}"
