"""The line that says what is being done, so that nobody has to guess whether anything is.

As a program, for scripts/setup: `python bench/status.py WORDS COMMAND...`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

Say = Callable[[str], None]
EVERY_S = 2.5  # at most of silence
PATIENCE = 0.6
MOST_OF_A_LINE = 160  # characters of what another program says, which may name a hundred packages


@dataclass(slots=True)
class Status:
    """One line that is rewritten where somebody watches; in a file a line now and then.

    A line too long ends at a word: no figure and no name is cut. Only a carriage return and spaces, which terminals
    and notebooks alike understand. What takes longer than EVERY_S is said again, with how long it has taken.
    """

    file: IO[str]
    rewritten: bool
    width: int = 10**4
    every_s: float = EVERY_S
    now: Callable[[], float] = time.monotonic
    text: str = ""
    since: float = 0.0  # when what is being done began
    written: float | None = None  # when the last line was
    shown: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        """What begins now. A file has it at once only where it was silent for a while, else by the next `remind`."""
        with self.lock:
            self.text, self.since = text, self.now()
            if self.rewritten or self.due_s <= 0:
                self._write(text)

    @property
    def due_s(self) -> float:
        """Seconds until a line has to come."""
        return 0.0 if self.written is None else self.written + self.every_s - self.now()

    def remind(self) -> None:
        """The same once more, where nothing was written for a while."""
        with self.lock:
            if self.text and self.due_s <= 0:
                spent = int(self.now() - self.since)
                self._write(self.text, f" ({spent} s)" if spent else "")

    def end(self, text: str = "") -> None:
        """Leave `text` in its place, or nothing."""
        with self.lock:
            self.text = ""
            if self.rewritten and (self.shown or text):
                self.file.write("\r" + text.ljust(self.shown) + ("\n" if text else "\r"))
                self.file.flush()
            self.shown = 0

    def _write(self, text: str, spent: str = "") -> None:
        if self.rewritten:
            line = textwrap.shorten(text, max(20, self.width - 1 - len(spent)), placeholder=" ...") + spent
            self.file.write("\r" + line.ljust(self.shown))
            self.shown = len(line)
        else:
            self.file.write(text + spent + "\n")
        self.file.flush()
        self.written = self.now()


@contextmanager
def status_line(
    file: IO[str],
    *,
    rewritten: bool,
    width: int = 10**4,
    ended: str = "",
    every_s: float = EVERY_S,
    patient: bool = False,
) -> Iterator[Say]:
    """A `Status` on `file` and a thread that reminds, a few wake-ups in ten seconds; `ended` is what stays at last.

    `patient`: a file has nothing of what is over within PATIENCE of `every_s`; starting took a moment already.
    """
    status = Status(file, rewritten, width, every_s)
    if patient:
        status.written = status.now() - (1 - PATIENCE) * every_s
    over = threading.Event()

    def remind() -> None:
        while not over.wait(max(status.due_s, 0.0) or every_s):
            status.remind()

    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield status.say
    finally:
        over.set()
        thread.join()
        status.end(ended)


def run(words: str, command: Sequence[str], file: IO[str], *, rewritten: bool, width: int = 10**4) -> int:
    """Run a command whose last line is the status, after `words`; its exit code. All it said is shown if it fails."""
    said: list[str] = []
    with (
        status_line(file, rewritten=rewritten, width=width) as say,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        say(words)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.strip():
                say(textwrap.shorten(f"{words}: {line.strip()}", MOST_OF_A_LINE, placeholder=" ..."))
        code = process.wait()
    if code:
        file.write("".join(said))
    return code


if __name__ == "__main__":
    columns = shutil.get_terminal_size().columns
    sys.exit(run(sys.argv[1], sys.argv[2:], sys.stderr, rewritten=sys.stderr.isatty(), width=columns))
