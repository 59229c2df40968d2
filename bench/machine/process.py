"""One Python process in a clean environment: both ends of the pipe."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.machine.environment import worker_environment

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies: an orphan would disturb the next run."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its output, or the status that it means when it failed; wall seconds of all of it."""

    output: str
    seconds: float
    status: str | None = None
    reason: str = ""


def start_process(module: str, question: str, threads: int, *, keep_env: bool, timeout_s: float) -> Ended:
    """Run `python -m module` with `question` on stdin in a cleaned environment and sleep until it ends."""
    environment = worker_environment(os.environ, threads, keep=keep_env)
    start = time.perf_counter()
    try:
        process = subprocess.run(  # ends the child whatever stops the waiting
            [sys.executable, "-m", module],
            input=question,
            capture_output=True,
            env=environment,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the child
        )
    except subprocess.TimeoutExpired:
        return Ended("", timeout_s, "timeout", f"took longer than {timeout_s:g} s; see --timeout")
    seconds = time.perf_counter() - start
    if process.returncode != 0 or not process.stdout.strip():
        return Ended(process.stdout, seconds, "crashed", _crash_reason(process.returncode, process.stderr))
    return Ended(process.stdout, seconds)


def _crash_reason(returncode: int, errors: str) -> str:
    last = " ".join((errors.strip().splitlines() or ["no message"])[-1].split())[:300]
    if returncode >= 0:
        return f"process ended with exit code {returncode}: {last}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"process killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else f": {last}")
