"""What is being done is said at once, and again before anybody thinks that nothing is."""

from __future__ import annotations

import sys
from io import StringIO
from itertools import pairwise
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.commands._common import status
from bench.status import EVERY_S, Status, run, status_line
from bench.tests.silence import gaps

STEPS = st.lists(st.floats(0.001, 60), min_size=1, max_size=8)  # seconds that each thing takes
SILENT_S = 3.0  # nobody has to wait longer for a sign of life


class Clock:
    """A clock that stands until it is moved, and a file that knows when each line was written."""

    def __init__(self) -> None:
        self.at = 0.0
        self.writes: list[tuple[float, str]] = []

    def write(self, text: str) -> int:
        self.writes.append((self.at, text))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def pass_by(self, status: Status, seconds: float) -> None:
        """Let time go by while something works and says nothing; the reminder wakes when a line is due."""
        end = self.at + seconds
        while (due := max(status.due_s, 0.0) or status.every_s) < end - self.at:
            self.at += due
            status.remind()
        self.at = end


@pytest.mark.parametrize("rewritten", [True, False], ids=["terminal", "file"])
@pytest.mark.parametrize("written", [None, 0.0], ids=["at once", "patient"])
@given(steps=STEPS)
def test_nothing_is_silent_for_more_than_three_seconds(rewritten, written, steps):
    clock = Clock()
    status = Status(clock, rewritten, written=written, now=lambda: clock.at)  # type: ignore[arg-type]
    for number, seconds in enumerate(steps):
        status.say(f"step {number}")
        clock.pass_by(status, seconds)
    times = [0.0, *(at for at, _text in clock.writes), clock.at]
    assert max(later - before for before, later in pairwise(times)) <= SILENT_S
    assert EVERY_S < SILENT_S


@pytest.mark.parametrize("rewritten", [True, False], ids=["terminal", "file"])
@given(steps=st.integers(1, 200), seconds=st.floats(0.01, 2.0))
def test_a_file_gets_a_line_now_and_then_and_a_terminal_every_one(rewritten, steps, seconds):
    clock = Clock()
    status = Status(clock, rewritten, now=lambda: clock.at)  # type: ignore[arg-type]
    for number in range(steps):
        status.say(f"step {number}")
        clock.pass_by(status, seconds)
    assert len(clock.writes) == steps if rewritten else len(clock.writes) <= 2 + steps * seconds / EVERY_S


@given(st.integers(3, 600))
def test_what_goes_on_is_said_again_with_the_seconds_it_has_taken(seconds):
    clock = Clock()
    status = Status(clock, rewritten=False, now=lambda: clock.at)  # type: ignore[arg-type]
    status.say("drawing")
    clock.pass_by(status, seconds)
    last_at, last = clock.writes[-1]
    assert last == f"drawing ({int(last_at)} s)\n"


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("spent", [0.0, 12.0, 345.0])
def test_the_line_ends_at_a_word_so_that_no_figure_is_cut(width, spent):
    clock = Clock()
    status = Status(clock, rewritten=True, width=width, now=lambda: clock.at)  # type: ignore[arg-type]
    words = "13/18, 1 min 21 s left: numpy_manual cpu float64 1 thread 1024x16000x1600x160 as found"
    status.say(words)
    clock.pass_by(status, spent + 0.1)
    shown = clock.writes[-1][1].strip("\r").rstrip()
    assert len(shown) < width
    assert set(shown.partition(" ...")[0].split()) <= {*words.split(), "s)", *(f"({second}" for second in range(350))}
    assert shown.startswith("13/18, 1 min 21 s left:")


def test_a_thread_reminds_while_the_work_goes_on():
    again = Event()

    class File(StringIO):
        def write(self, text: str) -> int:
            if self.getvalue().count("\n") > 2:
                again.set()
            return super().write(text)

    file = File()
    with status_line(file, rewritten=False, every_s=0.001) as say:
        say("working")
        assert again.wait(60)
    assert set(file.getvalue().split("\n")) == {"working", ""}


@pytest.mark.parametrize(("watched", "log", "said"), [(True, False, 1), (False, True, 1), (False, False, 0)])
def test_a_log_has_what_takes_minutes_and_a_terminal_everything(monkeypatch, watched, log, said):
    file = StringIO()
    monkeypatch.setattr(file, "isatty", lambda: watched)
    monkeypatch.setattr("sys.stderr", file)
    with status(log=log) as say:
        say("reading")
    assert file.getvalue().count("reading") == said


def test_a_terminal_keeps_nothing_but_what_stays_at_last():
    file = StringIO()
    with status_line(file, rewritten=True, ended="measured") as say:
        say("measuring, and much else")
    *_, before, last = file.getvalue().split("\r")
    assert last == "measured".ljust(len(before)) + "\n"


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_fails_shows_all_that_it_said_and_one_that_does_not_its_last_line(code):
    file = StringIO()
    lines = [f"line {number}" for number in range(40)]
    command = [sys.executable, "-c", f"import sys; print({chr(10).join(lines)!r}); sys.exit({code})"]
    assert run("working", command, file, rewritten=True) == code
    assert ("\n".join(lines) in file.getvalue()) == bool(code)
    assert "\rworking: line 39" in file.getvalue()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_the_tool_that_listens_tells_every_wait_and_what_was_said_before_it(waits):
    clock, left = Clock(), list(enumerate(waits))

    def read() -> bytes:
        number, wait = left.pop(0)
        clock.at += wait
        return f"line {number}\r".encode() if left else b""

    found = list(gaps(read, lambda: clock.at))
    assert [gap.seconds for gap in found] == pytest.approx(waits)
    assert [gap.after for gap in found] == ["(its start)", *(f"line {number}" for number in range(len(waits) - 1))]
