"""How far a run is and how long the rest will take: a line drawn between processes, never while one measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bench.cases.forecast import case_seconds
from bench.runner.session import Session
from bench.runner.turns import Progress, schedule
from bench.words import duration


@dataclass(slots=True)
class Pace:
    """How long turns took, to say how long the rest will take."""

    session: Session
    started: float
    expected: float = 0.0  # what the turns measured so far were thought to take
    spent: float = 0.0

    def left(self, progress: Progress, now: float) -> float:
        """Seconds until the end: what is left as estimated, corrected by how the turns so far turned out."""
        plan = progress.plan or self.session.plan
        ahead = schedule(plan)[progress.done :]
        rest = sum(case_seconds(slot.case, plan.rule, self.session.probe) for slot in ahead)
        factor = self.spent / self.expected if self.expected > 0 else 1.0
        left = rest * factor
        return left if plan.budget_s is None else min(left, max(0.0, plan.budget_s - (now - self.started)))


@contextmanager
def progress_line(session: Session, console: Console) -> Iterator[Callable[[Progress], None]]:
    """A line that says which turn runs and how long the rest takes; drawn between processes only.

    A terminal sees one line rewritten, a file a line whenever a twentieth of the run is done.
    """
    pace = Pace(session, time.monotonic())
    last: dict[str, Any] = {"slot": None, "at": 0.0, "shown": -1}

    def told(progress: Progress) -> None:
        now = time.monotonic()
        if last["slot"] is not None:
            pace.expected += case_seconds(last["slot"].case, session.plan.rule, session.probe)
            pace.spent += now - last["at"]
        last.update(slot=progress.slot, at=now)
        blocks = (progress.plan or session.plan).blocks
        text = (
            f"{progress.done + 1}/{progress.total}  block {progress.slot.block + 1}/{blocks}  "
            f"{progress.slot.case.label}  {duration(pace.left(progress, now))} left"
        )
        if console.is_terminal:
            console.file.write("\r\x1b[2K" + text[: max(20, console.width - 1)])
            console.file.flush()
        elif progress.done * 20 // progress.total > last["shown"]:
            last["shown"] = progress.done * 20 // progress.total
            console.file.write(text + "\n")
            console.file.flush()

    try:
        yield told
    finally:
        if console.is_terminal:
            console.file.write("\r\x1b[2K")
            console.file.flush()
