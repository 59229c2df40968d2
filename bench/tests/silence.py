"""How long a command is silent, on a terminal and into a pipe: `python -m bench.tests.silence COMMAND...`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple


class Gap(NamedTuple):
    """Seconds without a byte, and what was on the line before them."""

    seconds: float
    after: str


def gaps(read: Callable[[], bytes], now: Callable[[], float] = time.monotonic) -> Iterator[Gap]:
    """Every wait for the next bytes of `read`, the start and the end included; `read` gives b"" at the end."""
    last, line = now(), "(its start)"
    while True:
        chunk = read()
        at = now()
        yield Gap(at - last, line)
        if not chunk:
            return
        last = at
        said = [part for part in chunk.decode("utf-8", "replace").replace("\r", "\n").split("\n") if part.strip()]
        line = said[-1].strip()[:70] if said else line


def on_a_terminal(command: Sequence[str]) -> Iterator[Gap]:
    """The gaps of a command that writes to a pseudo terminal of 80 columns."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)

    def read() -> bytes:
        try:
            return os.read(ours, 2**16)
        except OSError:  # the other end is closed
            return b""

    yield from gaps(read)
    process.wait()
    os.close(ours)


def into_a_pipe(command: Sequence[str]) -> Iterator[Gap]:
    """The gaps of a command whose stdout and stderr are one pipe."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    file = process.stdout.fileno()
    yield from gaps(lambda: os.read(file, 2**16))
    process.wait()


def words(where: str, found: Iterable[Gap], most: int = 3) -> str:
    """The longest gaps of all in a line."""
    each = sorted(found, reverse=True)
    longest = "; ".join(f"{gap.seconds:.1f} s after '{gap.after}'" for gap in each[:most])
    return f"{where}: {sum(gap.seconds for gap in each):.0f} s in all; silent for at most {longest}"


def main() -> None:
    """Run the command twice and say how silent it was."""
    command = sys.argv[1:]
    for where, run in (("terminal", on_a_terminal), ("pipe", into_a_pipe)):
        sys.stdout.write(words(where, run([part.replace("WHERE", where) for part in command])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
