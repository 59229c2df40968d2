"""The float64 oracle, and every style against it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.challenge import Flip
from bench.cases.phases import affordable_steps
from bench.cases.problem import DTYPES, Problem, stable_learning_rate
from bench.machine.device import unsupported
from bench.machine.frameworks import open_device
from bench.tests.fakes import TINY, a_case
from bench.timing.clock import finish
from bench.timing.given import Trained
from bench.verification import deviation, gate, oracle
from bench.verification.storage import STORED
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
    trained = Trained(losses, tuple(device.fetch(weight) for weight in finish(loop)))
    expected = oracle.reference(style.oracle, problem.arrays(), rate, 12)
    found = deviation.of_run(trained, expected, deviation.REHEARSAL[deviation.FLOAT64])
    assert deviation.reason(found) is None


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


@pytest.mark.parametrize("name", ["sgd", "adam", "dynamic"])
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(DTYPES))
def test_the_oracle_keeps_its_numbers_as_the_dtype_stores_them(name, seed, dtype):
    arrays = Problem(*TINY, seed=seed).arrays()
    found = oracle.reference(name, arrays, RATE, 5, [Flip(3, 0, 2, 1, 3)], dtype)
    for weight in (*found.weights, *found.start):
        assert weight.dtype == np.float64
        assert np.array_equal(STORED[dtype](weight), weight)


@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(["float32", "bfloat16"]))
def test_updates_of_less_than_half_a_bit_are_lost_to_the_oracle_as_to_every_style(seed, dtype):
    arrays = Problem(*TINY, seed=seed).arrays()
    moved = oracle.reference("sgd", arrays, 1e-14, 20)
    stays = oracle.reference("sgd", arrays, 1e-14, 20, dtype=dtype)
    assert not np.array_equal(moved.weights[1], moved.start[1])
    assert all(np.array_equal(end, start) for end, start in zip(stays.weights, stays.start, strict=True))


@pytest.mark.parametrize("name", ["sgd", "adam", "dynamic"])
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 12))
def test_a_twin_is_the_same_run_rounded_otherwise_its_units_in_their_places(name, seed, steps):
    problem = Problem(*TINY, "float32", stable_learning_rate(TINY, name), seed)
    flips = [Flip(steps // 2, 1, 3, 0, 4)]
    given_ = name, problem.arrays(), problem.learning_rate, steps, flips
    expected, twin = oracle.reference(*given_, "float32"), oracle.twin(*given_, seed=seed)
    np.testing.assert_allclose(twin.losses, expected.losses, rtol=1e-3)
    for one, other in zip((*twin.weights, *twin.start), (*expected.weights, *expected.start), strict=True):
        assert np.array_equal(one, np.float32(one))
        assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(other)


def test_the_oracle_follows_all_of_a_cheap_run_the_start_of_a_dear_one_and_none_of_the_dearest():
    assert affordable_steps(1e6, 500) == 500
    assert affordable_steps(10e9, 500) == 6
    assert affordable_steps(100e9, 500) == 2
    assert affordable_steps(300e9, 500) == 0
