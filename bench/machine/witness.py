"""The witness: what this process draws for another that it watches, hears from it, and times by its own clock."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol


class WitnessError(RuntimeError):
    """A process that does not say what it should; the message is the reason."""


class Witness(Protocol):
    """Who hands out what a style must not know beforehand, and takes down at once what it answers."""

    def seed(self) -> int:
        """Of the data."""
        ...

    def open(self, first: int, count: int) -> int:
        """Iterations begin, `count` from `first` on: the seed of their flips."""
        ...

    def mark(self) -> None:
        """Those of them that count begin."""
        ...

    def shut(self, losses: Sequence[float]) -> None:
        """They have ended with these losses."""
        ...

    def heard(self, reading: Sequence[float]) -> None:
        """A reading of the core's speed, in us."""
        ...

    def end(self) -> None:
        """The last of them has ended."""
        ...

    def keep(self, weight: Any) -> None:
        """A weight where training ended: float64, two-dimensional."""
        ...


@dataclass(slots=True)
class Seen:
    """One stretch of iterations: the seed that was drawn for it, wall and CPU seconds from first to last, its losses.

    `counted_s` are wall and CPU seconds of those that count, None where none was marked. CPU seconds are of all threads
    of the watched process; None where the system does not tell.
    """

    first: int
    count: int
    seed: int
    wall_s: float = 0.0
    cpu_s: float | None = None
    losses: Sequence[float] | None = None
    counted_s: tuple[float, float] | None = None


@dataclass(slots=True)
class Record:
    """What was handed out and what was heard, in order; the witness itself, where both are one process.

    `cpu_s` reads the watched process's CPU seconds, `helpers_s` those of the processes that it started, which is
    not asked where the watched process is this one; `helped_s` is what these took in all, `helped_first_s` what
    they took until iterations that count began for the first time, asked where it `compiles`. `between_s` are the
    wall and the CPU seconds between stretches, all together. `fault` says what it did that no worker does.
    """

    data_seed: int
    cpu_s: Callable[[], float | None] | None = None
    helpers_s: Callable[[], float] | None = None
    seen: list[Seen] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    readings: list[tuple[float, ...]] = field(default_factory=list)
    helped_s: float = 0.0
    helped_first_s: float = 0.0
    compiles: bool = False
    between_s: tuple[float, float] = (0.0, 0.0)
    whole: bool = False
    fault: str = ""
    _began: tuple[float, float | None] = (0.0, None)
    _marked: tuple[float, float | None] | None = None
    _ended: tuple[float, float | None] = (0.0, None)
    _helped: float | None = None

    @property
    def watched(self) -> bool:
        """Whether the clock was another process's than the one that is timed."""
        return self.helpers_s is not None

    def seed(self) -> int:
        """See `Witness`."""
        return self.data_seed

    def open(self, first: int, count: int) -> int:
        """See `Witness`. Raises WitnessError before the last has ended."""
        if self.seen and self.seen[-1].losses is None:
            raise WitnessError("began a stretch before the last one had ended")
        seed = int.from_bytes(os.urandom(6), "big")
        self.seen.append(Seen(first, count, seed))
        if self._helped is None and self.helpers_s is not None:
            self._helped = self.helpers_s()
        wall_s = time.perf_counter()  # before the CPU time, and at the end after it: what it used lies in what passed
        self._began = wall_s, self._cpu()
        if self._ended[1] is not None and self._began[1] is not None:
            wall, cpu = self.between_s
            self.between_s = wall + self._began[0] - self._ended[0], cpu + self._began[1] - self._ended[1]
        return seed

    def mark(self) -> None:
        """See `Witness`."""
        self._marked = time.perf_counter(), self._cpu()
        if self.compiles and not self.helped_first_s and self.helpers_s is not None and self._helped is not None:
            self.helped_first_s = self.helpers_s() - self._helped

    def shut(self, losses: Sequence[float]) -> None:
        """See `Witness`. Raises WitnessError before one has begun."""
        cpu_s, wall_s = self._cpu(), time.perf_counter()
        if not self.seen or self.seen[-1].losses is not None:
            raise WitnessError("ended a stretch that had not begun")
        last, before = self.seen[-1], self._began
        last.wall_s, last.losses = wall_s - before[0], losses
        last.cpu_s = None if cpu_s is None or before[1] is None else cpu_s - before[1]
        if self._marked is not None and self._marked[1] is not None and cpu_s is not None:
            last.counted_s = wall_s - self._marked[0], cpu_s - self._marked[1]
        self._marked, self._ended = None, (wall_s, cpu_s)

    def heard(self, reading: Sequence[float]) -> None:
        """See `Witness`."""
        self.readings.append(tuple(reading))

    def end(self) -> None:
        """See `Witness`."""
        self.whole = True
        if self.helpers_s is not None and self._helped is not None:
            self.helped_s = self.helpers_s() - self._helped

    def keep(self, weight: Any) -> None:
        """See `Witness`."""
        self.weights.append(weight)

    def _cpu(self) -> float | None:
        return self.cpu_s() if self.cpu_s is not None else None


def cpu_clock(pid: int) -> Callable[[], float | None]:
    """A function that reads the CPU seconds of all threads of a process: Linux's clock of it, else None."""

    def read() -> float | None:
        if sys.platform != "linux":
            return None
        with suppress(OSError):
            return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED, see clock_getcpuclockid(3)
        return None

    return read
