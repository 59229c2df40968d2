"""The line between a process and its witness: both ends of it."""

from __future__ import annotations

import os
import socket
import struct
import threading
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from bench.machine.orphans import cpu_of_helpers
from bench.machine.witness import Record, WitnessError, cpu_clock

FRAME = struct.Struct("<cqqq")  # what, two numbers, bytes that follow
NUMBER = struct.Struct("<q")
SEED, OPEN, MARK, SHUT, READ, END, KEEP = b"s", b"o", b"m", b"c", b"r", b"e", b"k"
MOST_BYTES = 2**29  # of what is kept of one process
LINGER_S = 1.0


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
        elif what == MARK:
            record.mark()
        elif what == SHUT:
            record.shut(array("d", body))
            self.ours.sendall(NUMBER.pack(0))  # it waits for this, so that nothing that it does next counts as before
        elif what == READ:
            record.heard(array("d", body))
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

    def mark(self) -> None:
        """See `Witness`. Nobody waits for an answer: a process that slept would begin with cold caches."""
        self._line.sendall(FRAME.pack(MARK, 0, 0, 0))

    def shut(self, losses: Sequence[float]) -> None:
        """See `Witness`."""
        body = array("d", losses).tobytes()
        self._ask(FRAME.pack(SHUT, 0, 0, len(body)) + body)

    def heard(self, reading: Sequence[float]) -> None:
        """See `Witness`."""
        body = array("d", reading).tobytes()
        self._line.sendall(FRAME.pack(READ, 0, 0, len(body)) + body)

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
