"""One Python process in a clean environment: both ends of the pipe."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.machine.environment import worker_environment

PR_SET_PDEATHSIG = 1
DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process said, as text or as plain values, and its wall seconds; else the status and reason why not."""

    value: Any
    seconds: float
    status: str | None = None
    reason: str = ""


def ask(
    module: str, question: Any, *, threads: int = 1, keep_env: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Answer:
    """Start `python -m module`, hand it `question` as JSON, and sleep until it has answered (see `answer`)."""
    ended = run_python(
        ["-m", module], question=json.dumps(question), threads=threads, keep_env=keep_env, timeout_s=timeout_s
    )
    if ended.status is not None:
        return ended
    try:
        return replace(ended, value=json.loads(ended.value))
    except ValueError:
        return replace(ended, value=None, status="crashed", reason=f"its answer is no JSON: {one_line(ended.value)}")


def answer(work: Callable[[Any], Any], *, tear_down: bool = False) -> None:
    """The other end: read the question from stdin, answer with what `work` makes of it, and end.

    Whatever `work` prints goes to stderr. Unless `tear_down`, the interpreter's own end is skipped: a GPU context takes
    its time and nothing is left to save.
    """
    die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    out.write(json.dumps(work(json.loads(sys.stdin.read()))) + "\n")
    out.close()
    if not tear_down:
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
) -> Answer:
    """Run `python *command` in a cleaned environment, in `folder`, with more `variables`; sleep until it ends."""
    environment = worker_environment(os.environ, threads, keep=keep_env) | dict(variables or {})
    start = time.perf_counter()
    try:
        process = subprocess.run(  # ends the child whatever stops the waiting
            [sys.executable, *command],
            input=question,
            capture_output=True,
            env=environment,
            cwd=folder,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the child
        )
    except subprocess.TimeoutExpired:
        return Answer(None, timeout_s, "timeout", f"took longer than {timeout_s:g} s; see --timeout")
    seconds = time.perf_counter() - start
    if process.returncode != 0 or (question and not process.stdout.strip()):
        return Answer(None, seconds, "crashed", _crash_reason(process.returncode, process.stderr))
    return Answer(process.stdout, seconds)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies: an orphan would disturb the next run."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


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
