"""The witness: what this process draws for another that it watches, hears from it, and times by its own clock."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.machine.orphans import cpu_of_helpers

FRAME = struct.Struct("<cqqq")  # what, two numbers, bytes that follow
NUMBER = struct.Struct("<q")
SEED, OPEN, SHUT, END, KEEP = b"s", b"o", b"c", b"e", b"k"
MOST_BYTES = 2**29  # of what is kept of one process
LINGER_S = 1.0


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

    def shut(self, losses: Sequence[float]) -> None:
        """They have ended with these losses."""
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

    CPU seconds are of all threads of the watched process; None where the system does not tell.
    """

    first: int
    count: int
    seed: int
    wall_s: float = 0.0
    cpu_s: float | None = None
    losses: Sequence[float] | None = None


@dataclass(slots=True)
class Record:
    """What was handed out and what was heard, in order; the witness itself, where both are one process.

    `cpu_s` reads the watched process's CPU seconds, `helpers_s` those of the processes that it started, which is not
    asked where the watched process is this one. `fault` says what it did that no worker does.
    """

    data_seed: int
    cpu_s: Callable[[], float | None] | None = None
    helpers_s: Callable[[], float] | None = None
    seen: list[Seen] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    helped_s: float = 0.0
    whole: bool = False
    fault: str = ""
    _began: tuple[float, float | None] = (0.0, None)
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
        self._began = self._now()
        return seed

    def shut(self, losses: Sequence[float]) -> None:
        """See `Witness`. Raises WitnessError before one has begun."""
        wall_s, cpu_s = self._now()
        if not self.seen or self.seen[-1].losses is not None:
            raise WitnessError("ended a stretch that had not begun")
        last, before = self.seen[-1], self._began
        last.wall_s, last.losses = wall_s - before[0], losses
        last.cpu_s = None if cpu_s is None or before[1] is None else cpu_s - before[1]

    def end(self) -> None:
        """See `Witness`."""
        self.whole = True
        if self.helpers_s is not None and self._helped is not None:
            self.helped_s = self.helpers_s() - self._helped

    def keep(self, weight: Any) -> None:
        """See `Witness`."""
        self.weights.append(weight)

    def _now(self) -> tuple[float, float | None]:
        return time.perf_counter(), self.cpu_s() if self.cpu_s is not None else None


def cpu_clock(pid: int) -> Callable[[], float | None]:
    """A function that reads the CPU seconds of all threads of a process: Linux's clock of it, else None."""

    def read() -> float | None:
        if sys.platform != "linux":
            return None
        with suppress(OSError):
            return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED, see clock_getcpuclockid(3)
        return None

    return read


class Line:
    """The line to a process that is about to start: `theirs` is the descriptor that it inherits."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.ours, self._theirs = socket.socketpair()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def theirs(self) -> int:
        """The number of the descriptor."""
        return self._theirs.fileno()

    def watch(self, pid: int, before: Sequence[int]) -> None:
        """The process `pid` has started; `before` are this process's older children."""
        self._theirs.close()
        self.record.cpu_s, self.record.helpers_s = cpu_clock(pid), lambda: cpu_of_helpers(pid, before)
        self.thread.start()

    def end(self) -> None:
        """The process is gone."""
        if self.thread.ident is not None:
            self.thread.join(LINGER_S)
        else:
            self._theirs.close()
        self.ours.close()

    def _serve(self) -> None:
        left = MOST_BYTES
        with suppress(OSError):  # it is gone, or its parent has no patience left
            try:
                while (head := self._read(FRAME.size)) is not None:
                    what, first, second, size = FRAME.unpack(head)
                    left -= size
                    if size < 0 or left < 0 or (body := self._read(size)) is None:
                        raise WitnessError("said more or less than it announced")
                    self._hear(what, first, second, body)
            except (WitnessError, ValueError) as error:
                self.record.fault = str(error)
                self.ours.shutdown(socket.SHUT_RDWR)

    def _hear(self, what: bytes, first: int, second: int, body: bytes) -> None:
        record = self.record
        if what == SEED:
            self.ours.sendall(NUMBER.pack(record.seed()))
        elif what == OPEN:
            self.ours.sendall(NUMBER.pack(record.open(first, second)))
        elif what == SHUT:
            record.shut(array("d", body))
        elif what == KEEP:
            import numpy as np

            record.keep(np.frombuffer(body, np.float64).reshape(first, second))
        elif what == END:
            record.end()
            self.ours.sendall(NUMBER.pack(0))
        else:
            raise WitnessError(f"said {what!r}")

    def _read(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            part = self.ours.recv(min(size - len(parts), 2**20))
            if not part:
                return None
            parts += part
        return bytes(parts)


class Messenger:
    """The other end: a witness in the process that started this one."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._line = socket.socket(fileno=descriptor)

    def seed(self) -> int:
        """See `Witness`."""
        return self._ask(FRAME.pack(SEED, 0, 0, 0))

    def open(self, first: int, count: int) -> int:
        """See `Witness`."""
        return self._ask(FRAME.pack(OPEN, first, count, 0))

    def shut(self, losses: Sequence[float]) -> None:
        """See `Witness`."""
        body = array("d", losses).tobytes()
        self._line.sendall(FRAME.pack(SHUT, 0, 0, len(body)) + body)

    def end(self) -> None:
        """See `Witness`."""
        self._ask(FRAME.pack(END, 0, 0, 0))

    def keep(self, weight: Any) -> None:
        """See `Witness`."""
        import numpy as np

        rows, columns = weight.shape
        body = np.ascontiguousarray(weight, np.float64).tobytes()
        self._line.sendall(FRAME.pack(KEEP, rows, columns, len(body)))
        self._line.sendall(body)

    def _ask(self, frame: bytes) -> int:
        self._line.sendall(frame)
        said = self._line.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(said) != NUMBER.size:
            raise WitnessError("nobody answers")
        return int(NUMBER.unpack(said)[0])


def witness_here(arguments: Sequence[str]) -> Messenger | None:
    """The witness whose descriptor the second of a process's `arguments` is, or None without one."""
    return Messenger(int(arguments[1])) if len(arguments) > 1 else None
