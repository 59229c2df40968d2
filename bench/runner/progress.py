"""How far a run is and how long the rest will take: one line, written between processes, never while one measures."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from bench.cases.forecast import case_seconds
from bench.cases.plan import Plan
from bench.runner.floor import Say
from bench.runner.session import Session
from bench.runner.turns import Progress, schedule
from bench.words import duration

EVERY_S = 10.0  # at least, between two lines in a file
BAR_WIDTH = 24


@contextmanager
def status_line(file: IO[str], *, rewritten: bool, width: int = 10**4, ended: str = "") -> Iterator[Say]:
    """One line that is rewritten where somebody watches, in a file a line now and then; `ended` is what stays at last.

    A line too long ends at a word: no figure and no name is cut.
    Only a carriage return and spaces, which terminals and notebooks alike understand.
    """
    shown, last = 0, -EVERY_S

    def say(text: str) -> None:
        nonlocal shown, last
        if rewritten:
            text = textwrap.shorten(text, max(20, width - 1), placeholder=" ...")
            file.write("\r" + text.ljust(shown))
            shown = len(text)
        elif time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            file.write(text + "\n")
        file.flush()

    try:
        yield say
    finally:
        if rewritten and (shown or ended):
            file.write("\r" + ended.ljust(shown) + ("\n" if ended else "\r"))
            file.flush()


@dataclass(slots=True)
class Pace:
    """How long turns took, to say how long the rest will take. The plan is laid out once, not at every turn."""

    session: Session
    started: float = field(default_factory=time.monotonic)
    plan: Plan | None = None
    ahead_s: list[float] = field(default_factory=list)  # of each turn and all after it, as estimated
    expected_s: float = 0.0  # what the turns so far were thought to take
    spent_s: float = 0.0
    last: tuple[int, float] | None = None  # which turn began, and when

    def left(self, progress: Progress, now: float) -> float:
        """Seconds until the end: what is left as estimated, corrected by how the turns so far turned out."""
        plan = progress.plan or self.session.plan
        if plan is not self.plan:
            self.plan, self.ahead_s = plan, [0.0]
            for slot in reversed(schedule(plan)):
                self.ahead_s.append(self.ahead_s[-1] + case_seconds(slot.case, plan, self.session.probe))
            self.ahead_s.reverse()
        elif self.last is not None:
            done, began = self.last
            self.expected_s += self.ahead_s[done] - self.ahead_s[done + 1]
            self.spent_s += now - began
        self.last = progress.done, now
        left = self.ahead_s[progress.done] * (self.spent_s / self.expected_s if self.expected_s > 0 else 1.0)
        return left if plan.budget_s is None else min(left, max(0.0, plan.budget_s - (now - self.started)))


def turn_words(session: Session, say: Say, *, bar: bool = False) -> Callable[[Progress], None]:
    """Says of each turn before it starts which it is and how long the rest takes; with a `bar` for a notebook."""
    pace = Pace(session)

    def starting(progress: Progress) -> None:
        left, label = duration(pace.left(progress, time.monotonic())), progress.slot.case.label
        if bar:
            full = BAR_WIDTH * progress.done // progress.total
            drawn = "█" * full + "░" * (BAR_WIDTH - full)
            say(f"{drawn} {progress.done}/{progress.total}, {left} left: {label}")
            return
        say(f"{progress.done + 1}/{progress.total}, {left} left: {label}")

    return starting
