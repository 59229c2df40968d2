"""One Python process in a clean environment: both ends of the pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any

from bench.machine.environment import worker_environment
from bench.machine.line import Line
from bench.machine.orphans import adopting, die_with_parent, end_group, end_orphans
from bench.machine.witness import Record
from bench.plain import ShapeError, from_plain

DEFAULT_TIMEOUT_S = 300.0
ANSWER_BYTES, ERROR_BYTES = 2**26, 2**16  # of what a process says, the end that is kept
LINGER_S = 1.0  # for whoever still holds a pipe of a process that has ended


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process said, as text or as plain values, and its wall seconds; else the status and reason why not."""

    value: Any
    seconds: float
    status: str | None = None
    reason: str = ""


def ask(
    module: str,
    question: Any,
    *,
    shape: Any = Any,
    threads: int = 1,
    keep_env: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    record: Record | None = None,
) -> Answer:
    """Start `python -m module`, hand it `question` as JSON, and sleep until it has answered (see `answer`).

    The answer is untrusted input: what is not of this `shape` (see `from_plain`) is `crashed`. With a `record` this
    process is the other's witness, where the system can hand on a line to it.
    """
    ended = run_python(
        ["-m", module, str(os.getpid())], question=json.dumps(question), threads=threads, keep_env=keep_env,
        timeout_s=timeout_s, record=record,
    )  # fmt: skip
    if ended.status is not None:
        return ended
    try:
        return replace(ended, value=from_plain(shape, json.loads(ended.value)))
    except ShapeError as error:
        reason = f"its answer is not what a worker says: {error}"
    except (ValueError, RecursionError, OverflowError):
        lines = [line for line in ended.value.splitlines() if not line.startswith(("{", "["))] or [ended.value]
        reason = f"its answer is no JSON: {one_line(lines[0])}"
    return replace(ended, value=None, status="crashed", reason=one_line(reason))


def answer(work: Callable[[Any], Any], *, tear_down: bool = False) -> None:
    """The other end: read the question from stdin, answer with what `work` makes of it, and end.

    Whatever `work` prints goes to stderr. Unless `tear_down`, the interpreter's own end is skipped: a GPU context takes
    its time and nothing is left to save.
    """
    die_with_parent(sys.argv[1:])
    asked = os.getpid()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    said = json.dumps(work(json.loads(sys.stdin.read())))
    forked = os.getpid() != asked
    out.write("a child that it forked went on and answered too\n" if forked else said + "\n")
    out.close()
    if forked or not tear_down:
        sys.stderr.flush()
        os._exit(0)


def run_python(
    command: Sequence[str],
    *,
    question: str = "",
    threads: int = 1,
    keep_env: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    folder: str | None = None,
    variables: Mapping[str, str] | None = None,
    record: Record | None = None,
) -> Answer:
    """Run `python *command` in a cleaned environment, in `folder`, with more `variables`; sleep until it ends.

    Whatever it started ends with it: its process group, and on Linux what left that group.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    environment = worker_environment(os.environ, threads, keep=keep_env) | dict(variables or {})
    line = Line(record) if record is not None and sys.platform != "win32" else None
    with adopting() as before:
        start = time.perf_counter()
        process = _start(command, environment, folder, line, before)
        timer = threading.Timer(min(timeout_s, threading.TIMEOUT_MAX), give_up)
        try:
            output, errors = Tail(process.stdout, ANSWER_BYTES), Tail(process.stderr, ERROR_BYTES)
            timer.start()
            _write(process.stdin, question)
            returncode = process.wait()  # without a timeout: it would wake up twenty times a second
            seconds = time.perf_counter() - start
            output.thread.join(LINGER_S)  # a child that was forked may still hold the pipe, and answer too
        finally:
            timer.cancel()
            end_group(process)
            end_orphans(before)
            if line is not None:
                line.end()
    if late.is_set() and returncode != 0:
        return Answer(None, timeout_s, "timeout", f"took longer than {timeout_s:g} s; see --timeout")
    if returncode != 0 or (question and not output.text.strip()):
        return Answer(None, seconds, "crashed", _crash_reason(returncode, errors.text))
    return Answer(output.text, seconds)


def _start(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str | None,
    line: Line | None,
    before: Collection[int],
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, *command, *([] if line is None else [str(line.theirs)])],
        pass_fds=() if line is None else (line.theirs,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the child
    )
    if line is not None:
        line.watch(process.pid, tuple(before))
    return process


class Tail:
    """The last `most` bytes of a pipe, read by a thread of this process until nobody holds its other end."""

    def __init__(self, pipe: IO[bytes] | None, most: int) -> None:
        self.kept = bytearray()
        self.thread = threading.Thread(target=self._read, args=(pipe, most), daemon=True)
        self.thread.start()

    def _read(self, pipe: Any, most: int) -> None:
        with pipe:
            while chunk := pipe.read1(2**16):
                self.kept += chunk
                del self.kept[:-most]

    @property
    def text(self) -> str:
        """What came, once all of it is here."""
        self.thread.join(LINGER_S)
        return self.kept.decode("utf-8", "replace")


def _write(pipe: IO[bytes] | None, text: str) -> None:
    if pipe is not None:
        with suppress(OSError):  # it ended without having read
            pipe.write(text.encode())
        with suppress(OSError):
            pipe.close()


def one_line(text: str, most: int = 300) -> str:
    """The last line of what a process said, in at most so many characters."""
    return " ".join((text.strip().splitlines() or ["no message"])[-1].split())[:most]


def _crash_reason(returncode: int, errors: str) -> str:
    last = one_line(errors)
    if returncode >= 0:
        return f"process ended with exit code {returncode}: {last}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"process killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else f": {last}")
