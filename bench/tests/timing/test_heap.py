"""The heap a case is timed with: copies of a process that leave it alone, and a malloc that gives nothing back."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import time
from textwrap import dedent
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.adversary.lies import HONEST, write_style
from bench.cases.measurement import Found
from bench.machine.environment import ROOT, available_cpus
from bench.machine.process import ask, run_python
from bench.plain import ShapeError, to_plain
from bench.tests.fakes import BRIEF, a_job, fake_device
from bench.timing import heap
from bench.timing.heap import KEPT, SCRIPT, WARM, Reply, as_printed, make_heap
from bench.worker import measure
from implementations import HEAPS, find_implementations

STYLES = find_implementations()
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
GLIBC = pytest.mark.skipif(STYLES["numpy_kept"].missing is not None, reason="no glibc here")


def in_a_process(code: str):
    """`code` in a fresh process in which nothing is loaded yet."""
    return run_python(["-c", dedent(code)], folder=str(ROOT))


def worker(style, **changes) -> Found:
    job = a_job(style, BRIEF, **changes)
    answer = ask("bench.worker", to_plain(job), threads=job.case.threads)
    return Found(answer.status, answer.reason) if answer.status is not None else Found.read(answer.value)


def test_the_heaps_that_styles_declare_are_those_that_a_worker_knows():
    assert (WARM, SCRIPT, KEPT) == HEAPS


@pytest.mark.parametrize("wanted", HEAPS)
def test_a_process_that_has_loaded_numpy_before_has_a_warm_heap_whatever_is_wanted(wanted):
    assert "numpy" in sys.modules
    assert make_heap(wanted) == WARM


@pytest.mark.parametrize(("style", "there"), [("numpy_manual", SCRIPT), ("numpy_in_place", WARM), ("numpy_kept", KEPT)])
def test_a_worker_says_which_heap_it_had(style, there):
    if STYLES[style].missing:
        pytest.skip(str(STYLES[style].missing))
    for threads in {1, min(2, available_cpus())}:
        found = worker(STYLES[style], threads=threads)
        assert found.status == "ok", found
        assert found.values["heap"] == (there if hasattr(os, "fork") else WARM)
        assert len(found.warmup_us) == found.values["warmup_iterations"] == BRIEF.warmup_iterations
        assert found.first_us == pytest.approx(float(found.values["first_iteration_seconds"] or 0) * 1e6)


@FORKS
@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1e15), st.recursive(st.none() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=30))
def test_a_copy_answers_a_number_at_once_and_values_when_they_are_read(number, values):
    """From a fresh process, for this one has threads."""
    code = f"""
        import json
        from bench.timing.heap import in_a_copy
        reply = in_a_copy(lambda: ({number!r}, {values!r}))
        print(json.dumps([reply.number, reply.read()]))
        """
    assert json.loads(in_a_process(code).value) == [number, values]


@FORKS
@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "process killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "process killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "process killed by SIGTERM"),
        ("os._exit(3)", "process ended with exit code 3"),
        ("sys.exit('gone')", "process ended with exit code 1: SystemExit: gone"),
        ("1 / 0", "process ended with exit code 1: ZeroDivisionError"),
        ("0.0, object()", "process ended with exit code 1: TypeError"),
        ("float('nan'), None", "exit code 1: RuntimeError: the copy of this process answers nan"),
        ("-1.0, None", "exit code 1: RuntimeError: the copy of this process answers -1.0"),
        ("0.0, 'x' * (2**25)", "process ended with exit code 1: "),
    ],
)
def test_a_process_ends_as_its_copy_did_where_that_gave_no_answer(does, says):
    ended = in_a_process(
        f"""
        import os, signal, sys
        from bench.timing.heap import in_a_copy
        in_a_copy(lambda: ({does}))
        """
    )
    assert ended.status == "crashed"
    assert says in ended.reason


@FORKS
def test_an_exit_without_an_answer_is_no_answer():
    ended = in_a_process("import os\nfrom bench.timing.heap import in_a_copy\nin_a_copy(lambda: os._exit(0))\nprint(1)")
    assert "1" not in str(ended.value)


@FORKS
def test_of_a_copy_that_forks_too_only_itself_answers():
    ended = in_a_process(
        """
        import os, time
        from bench.timing.heap import in_a_copy

        def work():
            child = os.fork()
            if not child:
                return 2.0, "the child"
            os.waitpid(child, 0)
            return 1.0, "the copy"

        reply = in_a_copy(work)
        print(reply.number, reply.read())
        """
    )
    assert ended.value.strip() == "1.0 the copy"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_copy_dies_with_its_process():
    code = "import os, time\nfrom bench.timing.heap import in_a_copy\n" \
           "in_a_copy(lambda: (print(os.getpid(), flush=True), time.sleep(600)))"  # fmt: skip
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    copy = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while copy.is_running() and copy.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.01)


@FORKS
@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("    raise ValueError('no')\n    yield\n", "failed", "ValueError: no (scripted.py:8)"),
        ("    raise MemoryError\n    yield\n", "oom", "out of memory"),
        ("    yield 1.0\n", "wrong", "stopped before its steps were used up"),
        (HONEST.replace("2.0 *", "1.0 *"), "wrong", "loss of iteration 1 is"),
        ("    import os\n    os._exit(7)\n    yield\n", "crashed", "exit code 7"),
        ("    import ctypes\n    ctypes.string_at(0)\n    yield\n", "crashed", "SIGSEGV"),
        (HONEST, "ok", ""),
    ],
)
def test_a_style_that_breaks_in_the_copy_has_the_row_that_it_would_have_had(body, status, says, tmp_path):
    found = worker(write_style(tmp_path, body, "scripted", heap="script"))
    assert found.status == status, found
    assert says in found.reason


@FORKS
@pytest.mark.parametrize("iterations", [40_000])
def test_a_long_warm_up_comes_back_whole(tmp_path, iterations):
    rule = {**to_plain(BRIEF), "warmup_iterations": iterations}
    question = {**to_plain(a_job(STYLES["numpy_manual"], BRIEF)), "rule": rule}
    found = Found.read(ask("bench.worker", question).value)
    assert found.values["warmup_iterations"] == iterations


def test_what_a_copy_answers_is_held_to_the_shape_of_a_cold_loop(monkeypatch):
    warm = {"elapsed_ns": [5, 6], "losses": []}
    good = {"transfer_seconds": 1.0, "warm": warm, "used_mj": None, "sm_clock_mhz": None}
    bad = [
        (ShapeError, {}), (ShapeError, []), (ShapeError, {**good, "warm": None}),
        (ShapeError, {**good, "warm": {"elapsed_ns": ["x", 1], "losses": []}}),
        (RuntimeError, {**good, "warm": {"elapsed_ns": [5], "losses": []}}),
        (RuntimeError, {**good, "warm": {"elapsed_ns": [5, -1], "losses": []}}),
    ]  # fmt: skip
    answer: list[Any] = [good]
    monkeypatch.setattr(Reply, "read", lambda _self: answer[0])
    reply = object.__new__(Reply)
    assert measure.read_cold(reply).warm.elapsed_ns == [5, 6]
    for error, values in bad:
        answer[0] = values
        with pytest.raises(error):
            measure.read_cold(reply)


FAULTS = """
import resource, sys
from bench.timing.heap import keep
if sys.argv[1] == "kept":
    assert keep()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    kept = [b"x" * size for size in (3_000_000, 40_000_000, 100)]
    kept.append(b"y" * 2_000_000)
for _ in range(3):
    work()
before = faults()
for _ in range(10):
    work()
print((faults() - before) / 10)
"""


@GLIBC
def test_a_heap_that_is_kept_costs_no_page_faults_where_another_does():
    found = {name: float(run_python(["-c", FAULTS, name], folder=str(ROOT)).value) for name in ("kept", "as it is")}
    assert found["kept"] < 10
    assert found["as it is"] > 1_000


def test_a_malloc_that_takes_no_orders_is_no_kept_heap(monkeypatch):
    class Other:
        """A C library without mallopt."""

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Other())
    assert not heap.keep()


def test_where_there_is_no_glibc_the_style_says_so(monkeypatch):
    monkeypatch.setattr(os, "confstr", lambda _name: "musl", raising=False)
    assert "glibc" in str(STYLES["numpy_kept"].missing)
    assert STYLES["numpy_manual"].missing is None


@given(st.floats(-1e9, 1e9))
def test_a_loss_is_printed_as_the_tutorial_prints_it_and_read_as_ever(number):
    for loss, text in ((np.float64(number), str(np.float64(number))), (number, str(number)), (_Loss(number), "1.5")):
        nowhere = io.StringIO()
        device = as_printed(fake_device(read=lambda one: 1.5 if isinstance(one, _Loss) else float(one)), nowhere)
        assert device.read(loss) == (1.5 if isinstance(loss, _Loss) else number)
        assert nowhere.getvalue() == f"{text}\n"


class _Loss:
    """A loss on another device: its text would be its place."""

    def __init__(self, number: float) -> None:
        self.number = number
