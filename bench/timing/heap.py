"""The heap that a case is timed with: where its small arrays lie, and what malloc has learned from what came before."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any, TextIO

from bench.machine.device import Device
from bench.machine.orphans import die_with_parent
from bench.timing.counters import Counters

PADS, LEAST_PAD, MOST_PAD = 16, 1024, 16_384  # bytes: above Python's own small objects, below a mapping of its own
WARM, SCRIPT, KEPT = "warm", "script", "kept"
FAULTED = 2**19  # bytes of a fresh mapping: as large as the tutorial's weights, and no huge page
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc
ROOM = 2**25  # bytes for what a copy answers; pages that nobody writes to are never made
HEAD = struct.Struct("<dQ")


def scatter() -> list[bytearray]:
    """Blocks of random sizes on the heap, so that what is allocated after them lies elsewhere in every process.

    Where small arrays lie decides how they meet in the caches.
    The system shuffles pages, but not where on a page a block of the heap begins; that depends on the length of a
    style's name. A difference that is the same in every process of a case would pass for its speed; a random one
    is noise, which the interval knows (Mytkowicz et al., ASPLOS 2009; Curtsinger and Berger, ASPLOS 2013).
    """
    random = SystemRandom()
    return [bytearray(random.randrange(LEAST_PAD, MOST_PAD, 16)) for _ in range(PADS)]


def make_heap(wanted: str) -> str:
    """Prepare this process for a style that declares the heap `wanted`; which one it really has, for the table.

    Only a process that has not loaded numpy yet can have another than `warm`: its malloc has learned nothing, and
    no library's threads run that a fork would lose.
    """
    if wanted == WARM or "numpy" in sys.modules or threading.active_count() > 1:
        return WARM
    if wanted == KEPT:
        return KEPT if keep() else WARM
    return SCRIPT if hasattr(os, "fork") else WARM


def keep() -> bool:
    """Have glibc give no memory back to the system from now on; False where malloc is another.

    With M_MMAP_MAX at 0 every array lies on the heap, with M_TRIM_THRESHOLD at -1 its end is never cut (mallopt(3)).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS, no library at all, Windows
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


def faulting() -> tuple[Callable[[], None], Callable[[], None], int]:
    """A function that writes to a mapping it makes and gives back, one that writes as much to pages that are there.

    And the page faults of the first; 0 where the system counts none.
    """
    ones, kept = b"\1" * FAULTED, mmap.mmap(-1, FAULTED)

    def fresh() -> None:
        with mmap.mmap(-1, FAULTED) as region:
            region[:] = ones

    def again() -> None:
        kept[:] = ones

    before = Counters.read()
    fresh()
    return fresh, again, (Counters.read() - before).minor_faults or 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a copy of this process answered: a number at once, the rest when it is read, which takes heap."""

    number: float
    region: mmap.mmap

    def read(self) -> Any:
        """The plain values, which are untrusted input. Raises ValueError for what is no JSON."""
        return json.loads(self.region[HEAD.size : HEAD.size + HEAD.unpack_from(self.region)[1]])


def in_a_copy(work: Callable[[], tuple[float, Any]]) -> Reply:
    """What `work` answers in a fork of this process, whose own heap stays as it was: a number and plain values.

    Nothing is allocated for the answer: it lies in memory that both share. A copy that ends without an answer takes
    this process with it, in the way it ended: to whoever waits they are one.
    """
    region, parent = mmap.mmap(-1, ROOM), os.getpid()
    copy = os.fork()
    if copy == 0:
        _answer(work, region, parent)
    _, status = os.waitpid(copy, 0)
    number, length = HEAD.unpack_from(region)
    if status or not length:
        _end_as(status)
    if not 0 <= number <= 1e15:
        raise RuntimeError(f"the copy of this process answers {number}")
    return Reply(number, region)


def _answer(work: Callable[[], tuple[float, Any]], region: mmap.mmap, parent: int) -> None:
    code, copy = 1, os.getpid()
    try:
        die_with_parent([str(parent)])
        number, values = work()
        text = json.dumps(values).encode()
        if os.getpid() == copy:  # and no child that a style forked
            region[HEAD.size : HEAD.size + len(text)] = text
            HEAD.pack_into(region, 0, number, len(text))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end_as(status: int) -> None:
    """End this process with the status of one that was waited for."""
    sys.stderr.flush()
    if os.WIFSIGNALED(status):
        with suppress(OSError, ValueError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def as_printed(device: Device, nowhere: TextIO) -> Device:
    """`device`, each loss that is read from it printed too, as every script of the tutorial prints it.

    A loss of numpy as it is, others as they are read (`loss.item()`). The text of a numpy number takes memory the
    first time, and where that lies decides whether malloc gives the arrays next to it back in every iteration: with
    glibc 2.36 on an AMD core 0 page faults an iteration after it, 36 without it.
    """

    def read(loss: Any) -> float:
        number = device.read(loss)
        print(loss if type(loss).__module__ == "numpy" else number, file=nowhere)
        return number

    return replace(device, read=read)
