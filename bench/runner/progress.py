"""How far a run is and how long the rest will take, said before each process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cases.forecast import case_seconds
from bench.cases.plan import Plan
from bench.runner.session import Session
from bench.runner.turns import Progress, schedule
from bench.status import Say
from bench.words import duration

BAR_WIDTH = 24


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
