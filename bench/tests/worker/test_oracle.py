"""The float64 oracle, and every style against it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bench.cases.phases import affordable_steps
from bench.cases.problem import DTYPES, Problem, stable_learning_rate
from bench.machine.device import unsupported
from bench.machine.frameworks import open_device
from bench.tests.fakes import TINY, a_case
from bench.worker import gate, oracle
from bench.worker.clock import finish
from implementations import Implementation, find_implementations

STYLES = {name: style for name, style in find_implementations().items() if "cpu" in style.devices}
RATE = 1e-4


def combinations() -> Iterator[tuple[str, str]]:
    for style in STYLES.values():
        for dtype in DTYPES:
            if unsupported(style.framework, "cpu", dtype, "ieee") is None:
                yield style.name, dtype


def available(name: str) -> Implementation:
    style = STYLES[name]
    if style.missing:
        pytest.skip(style.missing)
    return style


@pytest.mark.parametrize(("name", "dtype"), list(combinations()))
def test_every_style_follows_the_oracle_in_every_dtype_it_can_have(name, dtype):
    style = available(name)
    case = a_case(name, dtype=dtype, framework=style.framework, oracle=style.oracle)
    gate.rehearse(case, style.train, open_device(style.framework, "cpu"))


@pytest.mark.parametrize("size", [(1, 1, 1, 1), (3, 7, 2, 5), (5, 2, 9, 1)])
@pytest.mark.parametrize("name", STYLES)
def test_every_style_follows_the_oracle_at_odd_sizes_too(name, size):
    style = available(name)
    rate = stable_learning_rate(size, style.oracle)
    n, d_in, hidden, d_out = size
    problem = Problem(n, d_in, hidden, d_out, "float64", rate)
    device = open_device(style.framework, "cpu")
    loop = style.train(*[device.put(array, "float64") for array in problem.arrays()], rate, 12)
    losses = {t: device.read(next(loop)) for t in range(12)}
    trained = oracle.Trained(losses, tuple(device.fetch(weight) for weight in finish(loop)))
    expected = oracle.reference(style.oracle, problem.arrays(), rate, 12)
    assert oracle.disagreement(trained, expected, oracle.TOLERANCES["float64", "ieee"]) is None


@pytest.mark.parametrize("name", STYLES)
def test_a_style_makes_no_less_than_its_steps_and_no_more(name):
    style = available(name)
    device = open_device(style.framework, "cpu")
    arrays = [device.put(array, "float64") for array in Problem(*TINY).arrays()]
    assert len(list(style.train(*arrays, RATE, 3))) == 3


def loss_of(x, y, w1, w2, middle=None, uses=0) -> float:
    layer = np.maximum(x @ w1, 0)
    for _ in range(uses):
        layer = np.maximum(layer @ middle, 0)
    return float(np.square(layer @ w2 - y).sum())


def test_the_oracles_gradients_are_the_slopes_of_its_loss():
    x, y, *start = Problem(*TINY).arrays()
    expected = oracle.reference("sgd", (x, y, *start), RATE, 1)
    assert expected.losses[0] == pytest.approx(loss_of(x, y, *start))
    for index, weight in enumerate(start):
        gradient = (weight - expected.weights[index]) / RATE
        assert gradient == pytest.approx(slopes(lambda weights: loss_of(x, y, *weights), start, index), rel=1e-5)


def test_the_oracle_of_the_dynamic_net_has_its_middle_layer_in_turn():
    x, y, *start = Problem(*TINY).arrays()
    rate = stable_learning_rate(TINY, "dynamic")
    before = oracle.reference("dynamic", (x, y, *start), rate, 2)
    after = oracle.reference("dynamic", (x, y, *start), rate, 3)
    first, middle, last = before.weights

    def loss(weights):
        return loss_of(x, y, weights[0], weights[2], weights[1], uses=2)

    assert after.losses[2] == pytest.approx(loss([first, middle, last]))
    for index in range(3):
        gradient = (before.weights[index] - after.weights[index]) / rate
        slope = slopes(loss, [first, middle, last], index)
        assert gradient == pytest.approx(slope, rel=1e-4, abs=1e-3 * np.abs(slope).max())


def slopes(loss, weights, index, step=1e-6):
    """Central differences of `loss` in each entry of one weight."""
    found = np.empty_like(weights[index])
    for place in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = [weight.copy() for weight in weights]
            moved[index][place] += sign * step
            ends.append(loss(moved))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_the_oracle_leaves_its_inputs_alone():
    arrays = Problem(*TINY).arrays()
    kept = [array.copy() for array in arrays]
    for name in ("sgd", "adam", "dynamic"):
        oracle.reference(name, arrays, RATE, 3)
    assert all(np.array_equal(array, before) for array, before in zip(arrays, kept, strict=True))


def right() -> tuple[oracle.Trained, oracle.Reference]:
    arrays = Problem(*TINY).arrays()
    expected = oracle.reference("sgd", arrays, RATE, 10)
    return oracle.Trained(dict(enumerate(expected.losses.tolist())), expected.weights), expected


@pytest.mark.parametrize("end", [False, True])
def test_what_is_right_in_every_digit_is_never_wrong(end):
    trained, expected = right()
    for tolerance in oracle.TOLERANCES.values():
        assert oracle.disagreement(trained, expected, tolerance, end=end) is None


@pytest.mark.parametrize(("dtype", "precision"), oracle.TOLERANCES)
def test_a_loss_is_wrong_beyond_its_tolerance_and_right_within(dtype, precision):
    tolerance = oracle.TOLERANCES[dtype, precision]
    trained, expected = right()
    for factor, found in ((0.9, False), (1.1, True)):
        losses = {**trained.losses, 2: float(expected.losses[2]) * (1 + factor * tolerance.loss)}
        reason = oracle.disagreement(oracle.Trained(losses, trained.weights), expected, tolerance)
        assert (reason is not None) == found
        assert not found or "loss of iteration 2 is" in str(reason)


@pytest.mark.parametrize(("dtype", "precision"), oracle.TOLERANCES)
@pytest.mark.parametrize("index", [0, 1])
def test_a_weight_is_wrong_beyond_its_tolerance_and_right_within(dtype, precision, index):
    tolerance = oracle.TOLERANCES[dtype, precision]
    trained, expected = right()
    end, start = expected.weights[index], expected.start[index]
    scale = np.linalg.norm(end) if tolerance.by_norm else np.linalg.norm(end - start)
    for factor, found in ((0.9, False), (1.1, True)):
        weights = [weight.copy() for weight in trained.weights]
        weights[index][0, 0] += factor * tolerance.weights * scale
        reason = oracle.disagreement(oracle.Trained(trained.losses, tuple(weights)), expected, tolerance)
        assert (reason is not None) == found
        assert not found or f"weight {index + 1} is not where" in str(reason)


def test_nan_is_wrong_wherever_it_stands():
    trained, expected = right()
    tolerance = oracle.TOLERANCES["bfloat16", "ieee"]
    nan_loss = oracle.Trained({**trained.losses, 0: float("nan")}, trained.weights)
    nan_end = oracle.Trained({**trained.losses, 9: float("nan")}, trained.weights)
    nan_weight = oracle.Trained(trained.losses, (trained.weights[0] * np.nan, trained.weights[1]))
    for wrong in (nan_loss, nan_end, nan_weight):
        assert oracle.disagreement(wrong, expected, tolerance, end=True)


@pytest.mark.parametrize("weights", [lambda w: w[:1], lambda w: (*w, w[0]), lambda w: (w[0].T, w[1])])
def test_weights_of_another_number_or_shape_are_wrong(weights):
    trained, expected = right()
    wrong = oracle.Trained(trained.losses, weights(trained.weights))
    assert oracle.disagreement(wrong, expected, oracle.TOLERANCES["float64", "ieee"])


def test_a_run_without_its_last_loss_has_no_right_end():
    trained, expected = right()
    losses = {t: loss for t, loss in trained.losses.items() if t != 9}
    reason = oracle.disagreement(
        oracle.Trained(losses, trained.weights), expected, oracle.TOLERANCES["float64", "ieee"], end=True
    )
    assert reason == "no loss of the last iteration, 9"


def test_the_oracle_follows_all_of_a_cheap_run_the_start_of_a_dear_one_and_none_of_the_dearest():
    assert affordable_steps(1e6, 500) == 500
    assert affordable_steps(10e9, 500) == 6
    assert affordable_steps(100e9, 500) == 2
    assert affordable_steps(300e9, 500) == 0


def test_a_loss_that_stands_still_is_told_from_one_that_moves_is_zero_or_is_rounded_away():
    tolerance = oracle.TOLERANCES["float32", "ieee"]
    still = {0: 9.0, 1: 8.0, 2: 7.0, 3: 7.0, 4: 7.0}
    assert oracle.standstill(still, 2, tolerance) == "the loss stands still at 7 from iteration 2 on"
    assert oracle.standstill(still, 1, tolerance) is None
    assert oracle.standstill({**still, 4: 6.999}, 2, tolerance) is None
    assert oracle.standstill(still, 3, tolerance) is None  # two are too few to tell
    assert oracle.standstill(dict.fromkeys(range(5), 0.0), 2, tolerance) is None
    assert oracle.standstill(still, 2, oracle.TOLERANCES["bfloat16", "ieee"]) is None
