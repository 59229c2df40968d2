"""The witness: it draws late, hears at once, times by its own clock, and believes nobody who speaks out of turn."""

from __future__ import annotations

import os
import socket
import sys

import numpy as np
import pytest

from bench.machine import line as lines
from bench.machine.line import FRAME, Line, Messenger
from bench.machine.process import run_python
from bench.machine.witness import Record, WitnessError

pipes = pytest.mark.skipif(sys.platform == "win32", reason="no descriptor is inherited there")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a clock of another process")

CHILD = """
import sys
import numpy as np
from bench.machine.line import witness_here
witness = witness_here(["", sys.argv[-1]])
print(witness.seed(), witness.open(0, 3))
{work}
witness.shut([1.0, 2.0, 3.0])
witness.heard((27.5, 0.1))
witness.end()
witness.keep(np.arange(6.0).reshape(2, 3))
"""
SPIN = """
import time
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
"""
HELP = """
import subprocess
subprocess.run([sys.executable, "-c", '''{spin}'''])
"""


def watched(work: str, *, compiles: bool = False) -> Record:
    record = Record(7, compiles=compiles)
    ended = run_python(["-c", CHILD.format(work=work)], record=record, timeout_s=60)
    assert ended.status is None, ended
    assert ended.value.split() == ["7", str(record.seen[0].seed)]
    return record


@pipes
def test_what_a_process_says_is_there_when_it_has_ended():
    record = watched("")
    (seen,) = record.seen
    assert (seen.first, seen.count, list(seen.losses or ()), record.whole, record.fault) == (
        0,
        3,
        [1.0, 2.0, 3.0],
        True,
        "",
    )
    assert record.readings == [(27.5, 0.1)]
    np.testing.assert_array_equal(record.weights[0], np.arange(6.0).reshape(2, 3))


@linux
def test_the_witness_reads_the_cpu_time_of_the_process_and_of_its_helpers():
    alone = watched(SPIN)
    (seen,) = alone.seen
    assert seen.cpu_s is not None
    assert seen.wall_s >= seen.cpu_s * 0.99 > 0.19
    assert alone.helped_s < 0.05
    helped = watched(HELP.format(spin=SPIN))
    assert (helped.seen[0].cpu_s or 1.0) < 0.1
    assert helped.helped_s > 0.15
    assert helped.helped_first_s == 0.0


@linux
def test_what_helpers_did_before_the_first_mark_is_told_from_what_they_did_after_it():
    helper = HELP.format(spin=SPIN)
    record = watched(f"{helper}\nwitness.mark()\n{helper}\nwitness.mark()", compiles=True)
    assert record.helped_first_s > 0.15
    assert record.helped_s - record.helped_first_s > 0.15


def test_every_stretch_has_a_seed_of_its_own_and_they_take_turns():
    record = Record(1)
    seeds = []
    for first in range(0, 60, 3):
        seeds.append(record.open(first, 3))
        with pytest.raises(WitnessError, match="before the last one had ended"):
            record.open(first + 3, 3)
        record.shut([0.0] * 3)
        with pytest.raises(WitnessError, match="had not begun"):
            record.shut([0.0] * 3)
    assert len(set(seeds)) == len(seeds)


def test_wall_and_cpu_seconds_between_stretches_add_up():
    cpu = iter([0.0, 1.0, 4.0, 5.0, 9.0, 10.0])
    record = Record(1, cpu_s=lambda: next(cpu))
    for first in range(3):
        record.open(first, 1)
        record.shut([0.0])
    assert record.between_s[1] == 3.0 + 4.0
    assert record.between_s[0] > 0.0


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (FRAME.pack(b"?", 0, 0, 0), "said b'?'"),
        (FRAME.pack(b"c", 0, 0, 0), "ended a stretch that had not begun"),
        (FRAME.pack(b"o", 0, 1, 0) * 2, "began a stretch before the last one had ended"),
        (FRAME.pack(b"k", 2, 2, 8) + bytes(8), "cannot reshape"),
        (FRAME.pack(b"c", 0, 0, 7) + bytes(7), "bytes length not a multiple of item size"),
        (FRAME.pack(b"k", 2, 2, 2**60), "said more or less than it announced"),
        (FRAME.pack(b"k", 2, 2, -1), "said more or less than it announced"),
        (FRAME.pack(b"k", 2, 2, 32) + bytes(8), "said more or less than it announced"),
        (os.urandom(FRAME.size), ""),
        (b"o", ""),
    ],
)
@pipes
def test_who_speaks_out_of_turn_is_no_longer_heard(said, fault, monkeypatch):
    monkeypatch.setattr(lines, "cpu_of_helpers", lambda _pid, _before: 0.0)
    record = Record(1)
    line = Line(record)
    child = socket.socket(fileno=os.dup(line.theirs))
    line.watch(os.getpid(), ())
    child.sendall(said)
    child.shutdown(socket.SHUT_WR)
    line.end()
    child.close()
    assert not line.thread.is_alive()
    assert fault in record.fault


@pipes
def test_a_process_whose_witness_is_gone_ends_rather_than_waits():
    ours, theirs = socket.socketpair()
    child = Messenger(theirs.detach())
    ours.close()
    with pytest.raises((WitnessError, OSError)):
        child.seed()
    child._line.close()
