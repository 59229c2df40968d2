"""A process and what it starts: ended together, bounded in what it may say, and gone with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.machine import process
from bench.machine.environment import ROOT
from bench.machine.orphans import adopting
from bench.machine.process import ANSWER_BYTES, ERROR_BYTES, LINGER_S, Tail, ask, run_python

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans on")

HELPER = "[sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}]"
START = "import subprocess, sys; subprocess.Popen({helper}, start_new_session={detached}); print('done')"
TWICE = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("done")
"""


def marked(mark: str) -> list[int]:
    """The processes with `mark` among their arguments."""
    found = []
    for one in psutil.process_iter():
        try:
            if mark in one.cmdline() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one.pid)
        except psutil.Error:
            continue
    return found


@linux
@pytest.mark.parametrize("detached", [False, True])
def test_a_helper_ends_with_its_process_and_a_pipe_that_it_holds_delays_nothing(tmp_path, detached):
    mark = f"fiftyx-test-{os.getpid()}-{detached}"
    found = run_python(["-c", START.format(helper=HELPER.format(mark=mark), detached=detached)], timeout_s=60)
    assert (found.status, found.value) == (None, "done\n")
    assert marked(mark) == []


@linux
def test_what_was_forked_twice_is_adopted_and_ended_and_nobody_stays_a_zombie():
    before = psutil.Process().children()
    found = run_python(["-c", TWICE], timeout_s=60)
    assert (found.status, found.value) == (None, "done\n")
    assert psutil.Process().children() == before


@linux
def test_a_child_that_was_there_before_or_is_somebody_elses_is_left_alone():
    mine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        assert run_python(["-c", "print('done')"], timeout_s=60).value == "done\n"
        assert mine.poll() is None
        with adopting() as before:
            assert mine.pid in before
    finally:
        mine.kill()
        mine.wait()


def test_endless_printing_keeps_its_end_alone():
    command = "import sys\nfor n in range(300_000): sys.stderr.write(f'{n:07}\\n' * 10)\nsys.exit('the last word')"
    found = run_python(["-c", command], timeout_s=120)
    assert found.reason == "process ended with exit code 1: the last word"


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 400))
def test_of_a_pipe_the_last_bytes_are_kept(chunks, most):
    reading, writing = os.pipe()
    tail = Tail(os.fdopen(reading, "rb"), most)
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        for chunk in chunks:
            pipe.write(chunk)
    tail.thread.join(60)
    assert bytes(tail.kept) == b"".join(chunks)[-most:]


def test_what_is_kept_is_bounded():
    assert ERROR_BYTES == 2**16
    assert ANSWER_BYTES <= 2**26
    assert LINGER_S <= 1


def test_a_timeout_of_a_month_or_of_an_age_is_no_error():
    for seconds in (3e6, 1e18):
        assert run_python(["-c", "print(1)"], timeout_s=seconds).value == "1\n"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[" * 100_000, "its answer is no JSON"),
        ("9" * 5000, "its answer is no JSON"),
        ("", "its answer is no JSON: no message"),
        ("{}\n{}", "its answer is no JSON"),
        ("{}\nsomething", "its answer is no JSON: something"),
        ('"a text"', "its answer is not what a worker says: it is 'a text', expected float"),
        ("NaN", "its answer is not what a worker says: it is nan, expected float"),
    ],
)
def test_an_answer_that_is_none_has_crashed_with_a_short_line(monkeypatch, said, reason):
    monkeypatch.setattr(process, "run_python", lambda *_args, **_options: process.Answer(said, 1.0))
    found = ask("some.module", None, shape=float)
    assert (found.status, found.value) == ("crashed", None)
    assert found.reason.startswith(reason)
    assert len(found.reason) <= 300
    assert "\n" not in found.reason


@linux
def test_a_process_whose_parent_died_before_it_could_ask_ends_itself(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", "from bench.machine.process import die_with_parent; die_with_parent(['1'])"],
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 1
    parent = [
        sys.executable,
        "-c",
        f"from bench.machine.process import die_with_parent; die_with_parent(['{os.getpid()}'])",
    ]
    assert subprocess.run(parent, cwd=ROOT, check=False).returncode == 0


@linux
def test_a_killed_parent_takes_its_worker_with_it_whenever_that_is(tmp_path):
    """At moments spread over the time in which a worker loads; today's fault was the 85 ms before it had asked."""
    waiting = "import sys, time\nfrom bench.machine.process import answer\nanswer(lambda _q: time.sleep(600))\n"
    (tmp_path / "waiting.py").write_text(waiting)
    command = "from bench.machine.process import ask\nask('waiting', None)\n"
    path = os.pathsep.join((str(ROOT), str(tmp_path)))
    left = []
    for moment in range(6):
        parent = subprocess.Popen([sys.executable, "-c", command], env={**os.environ, "PYTHONPATH": path})
        while not (workers := psutil.Process(parent.pid).children()):
            assert parent.poll() is None
            time.sleep(0.001)
        time.sleep(0.02 * moment)
        parent.kill()
        parent.wait()
        _gone, alive = psutil.wait_procs(workers, timeout=30)
        left += alive
    for one in left:
        one.kill()
    assert left == []


def test_the_worker_is_named_its_parent(monkeypatch):
    commands: list[list[str]] = []

    def start(command, **_options):
        commands.append(command)
        return process.Answer("1", 1.0)

    monkeypatch.setattr(process, "run_python", start)
    ask("some.module", None)
    assert commands == [["-m", "some.module", str(os.getpid())]]
