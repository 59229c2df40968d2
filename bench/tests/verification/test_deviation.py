"""What strays and by how much, and which of it is wrong: the comparison by itself, without a style."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import Problem, Size
from bench.tests.fakes import TINY
from bench.timing.given import Trained
from bench.verification import deviation, oracle
from bench.verification.deviation import (
    BFLOAT16,
    FLOAT32,
    FLOAT64,
    LEAST_MOVED,
    OPENING,
    REHEARSAL,
    TIMED,
    Tolerance,
    of_losses,
    of_run,
    reason,
)

RATE = 1e-4
LINES = [(name, kind) for name, table in (("rehearsal", REHEARSAL), ("opening", OPENING), ("timed", TIMED))
         for kind in table]  # fmt: skip
TABLES = {"rehearsal": REHEARSAL, "opening": OPENING, "timed": TIMED}


def right(size: tuple[int, int, int, int] = TINY) -> tuple[Trained, oracle.Reference]:
    arrays = Problem(*size).arrays()
    expected = oracle.reference("sgd", arrays, RATE, 10)
    return Trained(dict(enumerate(expected.losses.tolist())), expected.weights), expected


def losing(losses: np.ndarray, outputs: float = 0.0) -> oracle.Reference:
    return oracle.Reference(losses, (), (), outputs)


def why(losses, weights, expected: oracle.Reference, allowed: Tolerance) -> str | None:
    return reason(of_run(Trained(losses, tuple(weights)), expected, allowed))


@pytest.mark.parametrize(("table", "kind"), LINES)
def test_what_is_right_in_every_digit_is_never_wrong(table, kind):
    trained, expected = right()
    assert why(trained.losses, trained.weights, expected, TABLES[table][kind]) is None


@pytest.mark.parametrize(("table", "kind"), LINES)
@given(t=st.integers(0, 3), factor=st.floats(0.1, 10))
def test_a_loss_is_wrong_beyond_its_tolerance_and_right_within(table, kind, t, factor):
    allowed = TABLES[table][kind]
    trained, expected = right()
    t = min(t, allowed.losses - 1)
    limit = min(allowed.loss, allowed.first) if t == 0 else allowed.loss
    losses = {**trained.losses, t: float(expected.losses[t]) * (1 + factor * limit)}
    said = why(losses, trained.weights, expected, allowed)
    if abs(factor - 1) > 1e-3:
        assert (said is not None) == (factor > 1)
    assert said is None or f"loss of iteration {t} is" in said


@pytest.mark.parametrize("kind", TIMED)
@given(factor=st.floats(0.1, 10))
def test_a_late_loss_is_wrong_where_its_root_is_too_far_off(kind, factor):
    allowed = TIMED[kind]
    trained, expected = right()
    shown = allowed if allowed.losses < 9 else Tolerance(allowed.loss, 4, allowed.weights, root=allowed.root)
    root = math.sqrt(expected.losses[9]) + factor * allowed.root * math.sqrt(expected.losses[0])
    said = why({**trained.losses, 9: root**2}, trained.weights, expected, shown)
    if abs(factor - 1) > 1e-3:
        assert (said is not None) == (factor > 1)
    assert said is None or "the loss after 10 iterations is" in said


@given(share=st.floats(0, 1))
def test_who_stops_training_is_wrong_in_bfloat16_too(share):
    trained, expected = right()
    gone = [start + share * (end - start) for start, end in zip(expected.start, expected.weights, strict=True)]
    said = why(trained.losses, gone, expected, TIMED[BFLOAT16])
    if abs(1 - share - TIMED[BFLOAT16].weights) > 1e-3:
        assert (said is not None) == (1 - share > TIMED[BFLOAT16].weights)
    assert said is None or "is not where the oracle ends" in said


@pytest.mark.parametrize(("table", "kind"), LINES)
@pytest.mark.parametrize("index", [0, 1])
def test_one_weight_is_wrong_beyond_its_tolerance_and_right_within(table, kind, index):
    allowed = TABLES[table][kind]
    trained, expected = right()
    end, start = expected.weights[index], expected.start[index]
    scale = np.linalg.norm(end - start)
    for factor, found in ((0.9, False), (1.1, True)):
        weights = [weight.copy() for weight in trained.weights]
        weights[index][0, 0] += factor * allowed.weights * scale
        said = why(trained.losses, weights, expected, allowed)
        assert (said is not None) == found
        assert not found or f"weight {index + 1} is not where" in str(said)


@given(units=st.integers(0, 20), hidden=st.sampled_from([20, 12]))
def test_half_of_the_hidden_units_may_be_off_and_no_more_and_few_say_nothing(units, hidden):
    """One flip moves one unit, another arithmetic moves all."""
    trained, expected = right(Size(8, 10, hidden, 3))
    allowed = Tolerance(1.0, 50, math.inf, unit=8e-5)
    first = expected.weights[0] + 0.0
    first[:, :units] += 1e-3 * (expected.weights[0] - expected.start[0])[:, :units]
    said = why(trained.losses, (first, expected.weights[1]), expected, allowed)
    assert (said is not None) == (units >= 10 and hidden == 20)
    assert said is None or said.startswith("weight 1: half of the hidden units are not where the oracle ends (off by ")


@pytest.mark.parametrize(("table", "kind"), [one for one in LINES if one[1][0] == "bfloat16"])
@given(few=st.integers(1, 40), share=st.floats(0, 1))
def test_where_few_numbers_move_at_all_most_of_them_must(table, kind, few, share):
    """In bfloat16 a weight may go so little that only its smallest numbers move, which its norm does not show."""
    start = np.linspace(1, 2, 400).reshape(20, 20)
    end, got = start.ravel().copy(), start.ravel().copy()
    end[:few] += 2.0**-7
    moved = round(share * few)
    got[:moved] = end[:moved]
    run, right_run = right()
    expected = replace(right_run, start=(start, start), weights=(end.reshape(20, 20), start))
    allowed = replace(TABLES[table][kind], weights=math.inf, unit=math.inf)
    said = why(run.losses, (got.reshape(20, 20), start), expected, allowed)
    assert (said is not None) == (few >= LEAST_MOVED and 1 - moved / few > allowed.still)
    assert said is None or said.startswith("weight 1: of the numbers that the oracle moves ")


def test_nan_is_wrong_wherever_it_stands():
    trained, expected = right()
    first, last = trained.weights
    for table, kind in LINES:
        allowed = TABLES[table][kind]
        assert why({**trained.losses, 0: math.nan}, trained.weights, expected, allowed)
        assert why(trained.losses, (first * np.nan, last), expected, allowed)
        if allowed.losses > 9 or allowed.root < math.inf:
            assert why({**trained.losses, 9: math.nan}, trained.weights, expected, allowed)


@pytest.mark.parametrize("weights", [lambda w: w[:1], lambda w: (*w, w[0]), lambda w: (w[0].T, w[1])])
def test_weights_of_another_number_or_shape_are_wrong(weights):
    trained, expected = right()
    assert why(trained.losses, weights(trained.weights), expected, REHEARSAL[FLOAT64])


def test_a_run_without_its_last_loss_has_no_right_end():
    trained, expected = right()
    losses = {t: loss for t, loss in trained.losses.items() if t != 9}
    assert why(losses, trained.weights, expected, TIMED[FLOAT64]) == "no loss of the last iteration, 9"


def test_a_net_may_have_a_line_of_its_own():
    assert deviation.tolerance(REHEARSAL, *BFLOAT16, "adam") == REHEARSAL[deviation.BFLOAT16_ADAM]
    assert deviation.tolerance(REHEARSAL, *BFLOAT16, "sgd") == REHEARSAL[BFLOAT16]
    assert deviation.tolerance(TIMED, *BFLOAT16, "adam") == TIMED[BFLOAT16]


def test_a_loss_that_stands_still_is_told_from_one_that_moves_is_zero_or_is_rounded_away():
    tolerance = TIMED[FLOAT32]
    still = {0: 9.0, 1: 8.0, 2: 7.0, 3: 7.0, 4: 7.0}
    assert deviation.standstill(still, 2, tolerance) == "the loss stands still at 7 from iteration 2 on"
    assert deviation.standstill(still, 1, tolerance) is None
    assert deviation.standstill({**still, 4: 6.999}, 2, tolerance) is None
    assert deviation.standstill(still, 3, tolerance) is None  # two are too few to tell
    assert deviation.standstill(dict.fromkeys(range(5), 0.0), 2, tolerance) is None
    assert deviation.standstill(still, 2, TIMED[BFLOAT16]) is None


@given(seed=st.integers(0, 10**6), root=st.floats(1e-8, 1e-4))
def test_a_loss_that_is_learned_away_is_held_against_its_rounding(seed, root):
    """Of 1e-8 of the first loss float32 has few digits: an error of half a millionth of the first root is none."""
    first = random.Random(seed).uniform(1e2, 1e6)
    expected = np.array([first, first * 1e-2, first * root**2])
    off = (math.sqrt(expected[2]) + 5e-7 * math.sqrt(first)) ** 2
    assert reason(of_losses({0: first, 2: off}, losing(expected), TIMED[FLOAT32])) is None
    assert reason(of_losses({0: first, 1: expected[1] * 1.02}, losing(expected), TIMED[FLOAT32])) is not None


@given(seed=st.integers(0, 10**6), share=st.floats(1e-6, 1.0))
def test_a_first_loss_that_is_a_small_difference_of_large_numbers_has_their_rounding(seed, share):
    outputs = random.Random(seed).uniform(1e-3, 1e6)
    expected = np.array([outputs * share])
    off = (math.sqrt(expected[0]) + 4e-7 * math.sqrt(outputs)) ** 2
    assert reason(of_losses({0: off}, losing(expected, outputs), TIMED[FLOAT32])) is None
    beyond = (math.sqrt(expected[0]) + 2e-6 * math.sqrt(outputs)) ** 2
    assert reason(of_losses({0: beyond}, losing(expected, outputs), TIMED[FLOAT32])) is not None


@given(seed=st.integers(0, 10**6), share=st.floats(1e-6, 1.0), later=st.floats(0.1, 100.0))
def test_later_losses_have_the_rounding_of_what_cancelled_in_the_first_or_of_the_largest(seed, share, later):
    """Of one sample and output the first loss is one number squared, and near 0 by chance."""
    outputs = random.Random(seed).uniform(1e-3, 1e6)
    expected = outputs * share * np.array([1.0, later, later / 2])
    scale = math.sqrt(max(outputs, *expected))
    for factor, right in ((0.9, True), (1.1, False)):
        root = math.sqrt(expected[2]) + factor * scale * TIMED[BFLOAT16].root
        said = reason(of_losses({0: expected[0], 2: root**2}, losing(expected, outputs), TIMED[BFLOAT16]))
        assert (said is None) == right, said


def test_nobody_can_tell_where_the_oracle_itself_diverges():
    expected = np.array([1.0, 9.0, math.inf])
    said = reason(of_losses({0: 1.0, 1: 9.0, 2: math.inf}, losing(expected), TIMED[FLOAT32]))
    assert said == "the oracle's own loss after 3 iterations is inf: nobody can tell"


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 40), bits=st.integers(1, 60))
def test_a_weight_of_which_few_numbers_moved_by_a_bit_is_held_against_some_bits_not_against_all_of_it(seed, rows, bits):
    """In bfloat16 a weight can go 3e-5 of its norm in a whole run: who leaves it where it was is off by all of that."""
    drawn = np.random.default_rng(seed)
    start = np.sign(drawn.standard_normal((rows, 50)))
    moved = start.copy()
    moved.flat[drawn.choice(moved.size, bits, replace=False)] *= 1 + 2.0**-7
    expected = oracle.Reference(np.ones(1), (moved,), (start,))
    allowed = TIMED[BFLOAT16]
    said = reason(of_run(Trained({0: 1.0}, (start,)), expected, allowed))
    way = math.sqrt(min(1.0, bits / deviation.LEAST_BITS))
    assert (said is not None) == (way > allowed.weights) or abs(way - allowed.weights) < 1e-2
