"""Tests of bench.advice.predict: planted speeds are found, intervals hold as often as they say, laws of the formula."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.advice.network.asked import CONVOLUTION, OTHER, PRODUCT, Operation
from bench.advice.predict import Asked, Speed, covering, fit, leave_out, step_us

positive = st.floats(0.1, 1e3)
speeds = st.builds(Speed, *[positive] * 10)
operations = st.builds(
    Operation, st.sampled_from([PRODUCT, CONVOLUTION, OTHER]), st.integers(1, 99), st.floats(0, 1e11),
    st.integers(0, 10**9), *[st.integers(0, 10**5)] * 3,
)  # fmt: skip
steps = st.lists(st.lists(operations, min_size=1, max_size=6), min_size=1, max_size=4)


@given(steps, speeds)
def test_a_device_that_runs_on_its_own_takes_the_longer_of_both_and_else_it_takes_both(work, speed):
    asked = Asked.of(work)
    beside, after = (step_us(asked, speed, asynchronous=flag) for flag in (True, False))
    assert (beside <= after * (1 + 1e-12)).all()
    assert (after <= 2 * beside * (1 + 1e-12)).all()


@given(steps, speeds, st.sampled_from(["product_gflops", "convolution_gflops", "near_gbytes_per_s", "gbytes_per_s"]))
def test_nothing_takes_longer_on_a_faster_device(work, speed, name):
    asked = Asked.of(work)
    faster = replace(speed, **{name: 2 * getattr(speed, name)})
    assert (step_us(asked, faster, asynchronous=True) <= step_us(asked, speed, asynchronous=True)).all()


@given(operations, speeds, st.integers(2, 50))
def test_operations_alike_are_as_many_times_the_one(one, speed, many):
    apart, together = Asked.of([[one] * many]), Asked.of([[replace(one, calls=many * one.calls)]])
    assert step_us(apart, speed, asynchronous=False) == pytest.approx(step_us(together, speed, asynchronous=False))


def drawn(random, networks, batches):
    """Steps of made-up networks, each with its own operations, at several batches."""
    names, sizes, work = [], [], []
    for network in range(networks):
        wide, deep = random.choice([16, 64, 256, 1024]), random.randint(2, 30)
        kind = random.choice([PRODUCT, CONVOLUTION])
        for batch in batches:
            one = Operation(kind, deep, 2.0 * batch * wide**2, 4 * wide * (2 * batch + wide), batch, wide, wide)
            rest = Operation(OTHER, 3 * deep, 0.0, 12 * batch * wide)
            names.append(str(network))
            sizes.append(batch)
            work.append([one, rest])
    return names, sizes, Asked.of(work)


def test_a_planted_speed_is_found_again():
    seed = Random().randint(0, 10**6)
    random = Random(seed)
    _, _, asked = drawn(random, 20, (1, 8, 64, 512))
    planted = Speed(*(random.uniform(0.5, 2) * one for one in (30, 5, 20, 80, 50, 6, 25, 6, 2)))
    right = step_us(asked, planted, asynchronous=False)
    found = fit(asked, right, np.ones(len(asked.starts), bool))
    assert step_us(asked, found, asynchronous=False) == pytest.approx(right, rel=0.05), seed


def test_every_step_is_predicted_once_and_a_network_has_no_part_in_its_own_interval():
    names, sizes, asked = drawn(Random(1), 5, (1, 64))
    right = step_us(asked, Speed(30, 5, 20, 80, 50, 6, 25, 6, 2), asynchronous=False)
    odd = np.array([us * (1e3 if name == "3" else 1) for us, name in zip(right, names, strict=True)])
    plain, changed = (leave_out(names, sizes, asked, us) for us in (right, odd))
    assert [(one.network, one.batch) for one in plain] == list(zip(names, sizes, strict=True))
    pairs = [(a, b) for a, b in zip(plain, changed, strict=True) if a.network == "3"]
    assert [(a.predicted_us, a.low_us, a.high_us) for a, _ in pairs] == [
        pytest.approx((b.predicted_us, b.low_us, b.high_us)) for _, b in pairs
    ]
    assert not any(b.inside for _, b in pairs)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 60), st.integers(0, 10**6))
def test_one_error_more_is_covered_as_often_as_promised(count, seed):
    draws = np.random.default_rng(seed).random((400, count + 1))
    held = [row[-1] <= covering(list(row[:-1])) for row in draws]
    assert np.mean(held) > 0.8 - 0.09


@settings(max_examples=30)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=40))
def test_what_covers_is_one_of_the_errors(errors):
    assert covering(errors) in errors
