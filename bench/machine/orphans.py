"""What a process leaves when it or its parent ends, and how Linux is made to leave nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 1, 36, 37
ROUNDS, ROUND_S = 100, 1.0  # of ending orphans whose children become orphans


@contextmanager
def adopting() -> Iterator[Collection[int]]:
    """On Linux this process becomes the parent of what its children leave behind; yields the children it has before."""
    if sys.platform != "linux":
        yield ()
        return
    known = ctypes.c_int()
    _prctl(PR_GET_CHILD_SUBREAPER, ctypes.addressof(known))
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield {one.pid for one in _children()}
    finally:
        _prctl(PR_SET_CHILD_SUBREAPER, known.value)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with its group, and wait for it."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so of zombies
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_orphans(before: Collection[int]) -> None:
    """Kill the children that this process adopted, and those that it adopts by that; a no-op where it adopts none.

    A child of this process's own session was started by somebody else here, such as a notebook's other thread.
    """
    if sys.platform != "linux":
        return
    import psutil

    for _ in range(ROUNDS):
        session = os.getsid(0)
        left = [one for one in _children() if one.pid not in before and os.getsid(one.pid) != session]
        if not left:
            return
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, timeout=ROUND_S)


def cpu_of_helpers(pid: int, before: Collection[int]) -> float:
    """CPU seconds of all that the child `pid` started, the ended with the living, and what it left to this process."""
    if sys.platform != "linux":
        return 0.0
    import psutil

    session, total = os.getsid(0), 0.0
    for child in _children():
        if child.pid in before:
            continue
        with suppress(psutil.Error, OSError):
            if os.getsid(child.pid) == session:
                continue
            for one in (child, *child.children(recursive=True)):
                times = one.cpu_times()
                own = 0.0 if one.pid == pid else times.user + times.system
                total += own + times.children_user + times.children_system
    return total


def _children() -> list[psutil.Process]:
    import psutil

    try:
        return psutil.Process().children()
    except (psutil.Error, OSError):  # no /proc
        return []


def die_with_parent(arguments: Sequence[str]) -> None:
    """Ask Linux to kill this process when its parent dies: an orphan would disturb the next run.

    The parent is named by the first of `arguments`, so that one that died before is noticed too.
    """
    if sys.platform != "linux":
        return
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if arguments and os.getppid() != int(arguments[0]):
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3)
