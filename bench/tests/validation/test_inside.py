"""What runs inside other processes: plants that measure their own size, and the questions of the tools."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from bench.tests.fakes import fake_device
from bench.timing.clock import Latency
from bench.validation import inside
from bench.validation.inside import SPIN_0, WORK, WRAPPER, in_turns, plant_in, planted, slow_first


def counting(x, y, w1, w2, learning_rate, steps):
    """A style that trains in place and says how far it is."""
    for step in range(steps):
        w1 += 1
        yield float(step)
    return w1, w2


def arrays():
    return (*(np.zeros((2, 2)) for _ in range(4)), 0.1)


def drained(loop):
    losses = []
    while True:
        try:
            losses.append(next(loop))
        except StopIteration as end:
            return losses, end.value


@pytest.mark.parametrize(("plant", "products"), [(WRAPPER, 0), (SPIN_0, 0), (WORK, 3)])
def test_a_plant_leaves_losses_and_weights_as_they_are(tmp_path, monkeypatch, plant, products):
    monkeypatch.setattr(inside, "_once", set())
    monkeypatch.setattr(inside, "in_turns", lambda bare, loop: {"ratio": next(bare)})
    losses, (w1, _w2) = drained(planted(counting, arrays(), 5, plant, products, str(tmp_path / "truth")))
    assert losses == [0, 1, 2, 3, 4]
    assert w1.tolist() == [[5, 5], [5, 5]]  # the turns went on training, and not in these
    assert json.loads((tmp_path / "truth").read_text()) == {"ratio": 5.0}


def test_work_is_so_many_products_an_iteration(monkeypatch):
    done = []
    monkeypatch.setattr("numpy.dot", lambda left, right, out: done.append(out.shape))
    loop = plant_in(iter([1.0, 2.0]), WORK, 3)
    assert list(loop) == [1.0, 2.0]
    assert len(done) == 6


def test_only_the_first_loop_that_ends_is_followed_by_turns(tmp_path, monkeypatch):
    """The cold loop is closed before its end, the rehearsal ends second."""
    monkeypatch.setattr(inside, "_once", set())
    turns = iter([{"ratio": 1.0}])
    monkeypatch.setattr(inside, "in_turns", lambda bare, loop: next(turns))
    truth = tmp_path / "truth"
    cold = planted(counting, arrays(), 10**9, WORK, 1, str(truth))
    next(cold)
    cold.close()
    assert not truth.exists()
    for _ in range(2):
        drained(planted(counting, arrays(), 3, WORK, 1, str(truth)))
    assert json.loads(truth.read_text()) == {"ratio": 1.0}


def test_the_true_size_of_a_plant_comes_from_turns_with_the_bare_loop(monkeypatch):
    """The plant's loop is timed as 3 us an iteration, the bare one as 2, by a clock that knows which loop it drives."""
    bare, loop = iter([0.0]), iter([0.0])
    driven = []

    def time_latency(side, _device, iterations):
        driven.append(side is bare)
        return Latency([2000 if side is bare else 3000] * iterations, [])

    monkeypatch.setattr(inside, "clock", SimpleNamespace(time_latency=time_latency))
    monkeypatch.setattr(inside, "open_device", lambda *given: fake_device())
    found = in_turns(bare, loop, rounds=4, open_speed=lambda: lambda: 40.0)
    assert found == {"base_us": 2.0, "reference_us": 40.0, "ratio": 1.5}
    assert driven == [False, False, True, True, True, True, False, False] * 2


def test_a_slow_first_call_sleeps_once_in_a_process(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(inside, "_once", set())
    ends = [drained(slow_first(counting, arrays(), 2)) for _ in range(2)]
    assert [losses for losses, _weights in ends] == [[0, 1], [0, 1]]
    assert slept == [2.0]


def test_a_question_is_answered_by_its_name(monkeypatch):
    answers = []
    monkeypatch.setattr(inside, "answer", lambda work: answers.append(work(["clock", 1, 2])))
    monkeypatch.setitem(inside.QUESTIONS, "clock", lambda *given: given)
    inside.main()
    assert answers == [(1, 2)]
