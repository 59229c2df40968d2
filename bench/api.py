"""The way in from Python and notebooks: plan, measure, judge; tables are pandas, pictures are matplotlib."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench import asked
from bench.advice.own import advise as advise  # a way in of its own
from bench.cases.case import AS_FOUND, CASE_COLUMNS
from bench.cases.request import Request
from bench.errors import UsageError
from bench.report.pages.notebook import html
from bench.report.pages.page import in_order
from bench.runner.progress import turn_words
from bench.runner.session import Session
from bench.runner.session import measure as measure_session
from bench.runner.session import prepare as prepare_session
from bench.runner.turns import Launch
from bench.status import status_line
from bench.tables.columns import SPEEDUP_COLUMNS
from bench.tables.machine_words import processor
from bench.tables.run import Run, read_iterations, read_run
from bench.verdict.claim import Finding, at_least, find, known_baseline, known_scope
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import leads
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.speedup import PRIMARY
from bench.words import counted, duration, harmless

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Planned:
    """What `measure` would do: its cases, how long that takes, where it would write."""

    session: Session

    @property
    def folder(self) -> Path:
        """Where the tables will be."""
        return self.session.folder

    @property
    def seconds(self) -> float:
        """About how long all of it will take."""
        return self.session.seconds

    @property
    def cases(self) -> pd.DataFrame:
        """A row a case: CASE_COLUMNS, `blocks` (processes, 0 where it cannot run here) and the `reason` of that.

        A case that is measured as found too, with the shell's own variables, comes once more, with that as `reason`.
        """
        plan = self.session.plan
        rows = [(*case.key, blocks, AS_FOUND if case.as_found else "") for case, blocks in plan.cases.items()]
        rows += [(*skip.case.key, 0, skip.reason) for skip in plan.skips]
        return pd.DataFrame(rows, columns=[*CASE_COLUMNS, "blocks", "reason"])

    def __repr__(self) -> str:
        plan = self.session.plan
        what = f"preset {plan.preset}, {counted(len(plan.cases), 'case')}, {counted(plan.blocks, 'block')}"
        return f"<fiftyx plan: {what}; about {duration(self.seconds)}; into {self.folder}>"


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that was measured, now or before, as tables; times in us in columns that say so.

    A notebook shows its headline, its first table and its main chart.
    """

    run: Run

    @property
    def measurements(self) -> pd.DataFrame:
        """A row a case and block: measurements.csv."""
        return self.run.measurements

    @property
    def iterations(self) -> pd.DataFrame:
        """A row a timed iteration: iterations.csv. Raises UsageError where the run kept none."""
        return read_iterations(self.run.folder)

    @property
    def speedups(self) -> pd.DataFrame:
        """A row a case, baseline and scope, with its interval (NaN with one block): speedups.csv."""
        return pd.DataFrame([one.row() for one in Evidence.of(self.run).speedups], columns=list(SPEEDUP_COLUMNS))

    def figures(self) -> dict[str, Figure]:
        """Every chart that the run holds data for, by name; what `fiftyx chart` saves."""
        from bench.charts import draw as drawing
        from bench.charts.drawing import style as chart_style

        with chart_style.applied():
            return dict(drawing.figures(Evidence.of(self.run)))

    def plot(self, name: str | None = None) -> Figure:
        """One of `figures`, by default the answer: speedup by work, or the ladder at one size. Raises UsageError."""
        figures = self.figures()
        if not figures:
            raise UsageError(f"{self.run.name}: nothing to draw: no case was measured")
        if name is not None and asked.name("name", name, "'ladder'") not in figures:
            raise UsageError(f"{self.run.name}: no chart {name!r}; there are {', '.join(figures)}")
        baseline = next((one.baseline for one in leads(Evidence.of(self.run))), "")
        return figures[name or in_order(figures, baseline)[0]]

    def __repr__(self) -> str:
        ok = self.measurements[self.measurements["status"] == "ok"]
        cases = ok.groupby(list(CASE_COLUMNS), sort=False).ngroups
        what = f"{counted(cases, 'case')} measured, {counted(ok['block'].nunique(), 'block')}"
        return harmless(f"<fiftyx run {self.run.name}: {what}, {processor(self.run.machine)}>")

    def _repr_html_(self) -> str | None:
        if self.measurements.empty:
            return None
        evidence = Evidence.of(self.run)
        picture = None if evidence.rows.empty else self.plot()._repr_png_()  # type: ignore[attr-defined]
        return html(evidence, picture)


def prepare(
    preset: str | None = None,
    *,
    styles: Sequence[str] = (),
    devices: Sequence[str] = (),
    sizes: Sequence[tuple[int, int, int, int]] = (),
    dtypes: Sequence[str] = (),
    threads: Sequence[int | str] = (),
    style_files: Sequence[str | Path] = (),
    blocks: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
) -> Planned:
    """Plan a run: the options are those of `fiftyx run`, and nothing is measured or written yet.

    `preset` is quick by default, with `resume` that of the run in `out`, as all other options are. `sizes` are
    (N, D_in, H, D_out); `out` is results/run-<time> by default. Raises UsageError and StyleError, both ValueErrors with
    the cure in their message.
    """
    if resume and out is None:
        raise UsageError("resume=True: say which run with out=")
    request = Request(
        preset=None if preset is None else asked.name("preset", preset, "'quick'"),
        styles=asked.names("styles", styles, "'torch_nn'"),
        devices=asked.names("devices", devices, "'cpu'"),
        sizes=asked.sizes(sizes),
        dtypes=asked.names("dtypes", dtypes, "'float32'"),
        threads=tuple(map(str, asked.listed("threads", threads))),
        style_files=tuple(map(str, asked.listed("style_files", style_files))),
        blocks=asked.whole("blocks", blocks),
        seed=asked.whole("seed", seed),
    )
    if not isinstance(out, str | Path | None):
        raise UsageError(f"out={out!r}: give a folder, such as 'results/mine'")
    folder = Path(out) if out is not None else Path("results") / time.strftime("run-%Y%m%d-%H%M%S")
    return Planned(prepare_session(request, folder, resume=resume))


def measure(planned: Planned, *, progress: bool = True, launch: Launch | None = None) -> Measured:
    """Measure every case in every block, each in a fresh process; blocks until the last one is done.

    Every row is on the disk before the next process starts: after an interrupt, prepare again with `resume=True`.
    `launch` replaces the start of a process, for tests.
    """
    if not isinstance(planned, Planned):
        raise UsageError(f"measure({planned!r}): give what prepare returns, such as measure(prepare('quick'))")
    session, notebook = planned.session, "ipykernel" in sys.modules
    file = sys.stdout if notebook else sys.stderr
    ended = f"measured: {session.folder}" if notebook else ""
    line = status_line(file, rewritten=notebook or file.isatty(), ended=ended)
    with line if progress else nullcontext(lambda _text: None) as say:
        for _measurement in measure_session(session, launch, turn_words(session, say, bar=notebook), say):
            pass
    return load(planned.folder)


def load(path: str | Path) -> Measured:
    """A run folder, or a file of `pytest --benchmark-json`, as tables. Raises UsageError."""
    return Measured(read_run(Path(path)))


def judge(
    measured: Measured | str | Path, threshold: float = 50.0, *, baseline: str = PRIMARY, scope: str = "iteration"
) -> pd.DataFrame:
    """Is the best GPU style at least `threshold` times as fast as `baseline`? A row a size, in the order of its work.

    `outcome` is supported, refuted, undecided, untested or out of reach, `reason` says why; `at_most` is what published
    figures leave of a speedup that was not measured, on the best card, NaN where one was. A single process a case, as
    in a file of pytest-benchmark, has no interval and so is never supported. Raises UsageError.
    """
    if not isinstance(threshold, Real) or isinstance(threshold, bool):
        raise UsageError(f"threshold={threshold!r}: give a number, such as 50")
    run = (measured if isinstance(measured, Measured) else load(measured)).run
    base = known_baseline(asked.name("baseline", baseline, f"'{PRIMARY}'"))
    where = known_scope(asked.name("scope", scope, "'loop'"))
    found = find(Evidence.of(run), at_least(threshold), [base], scopes=[where])
    return pd.DataFrame([_verdict_row(one, threshold) for one in found])


def _verdict_row(one: Finding, threshold: float) -> dict[str, Any]:
    found, nan = one.speedup, float("nan")
    ratio = Ratio(nan, nan, nan, 0) if found is None else found.ratio
    return {
        **one.size._asdict(),
        "baseline": one.baseline,
        "scope": one.scope,
        "threshold": threshold,
        "outcome": one.verdict.outcome,
        "speedup": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        "blocks": ratio.blocks,
        "baseline_us": one.baseline_us,
        "contender_us": nan if found is None else found.contender_us,
        "contender": "" if found is None else " ".join(found.contender[:4]),
        "at_most": nan if one.reach is None else one.reach.best.at_most,
        "reason": one.verdict.reason,
    }
