"""The problem: its data, work, memory and learning rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import (
    ADAM_LEARNING_RATE,
    DTYPES,
    ITEM_BYTES,
    TUTORIAL_SIZE,
    Problem,
    dynamic_flops,
    stable_learning_rate,
    work_flops,
)
from bench.verification.oracle import reference

SIDES = st.tuples(*[st.integers(1, 40)] * 4)


def test_the_data_is_float64_standard_normal_and_the_same_for_the_same_seed():
    one, again, other = (Problem(seed=seed).arrays() for seed in (3, 3, 4))
    for array, same, different in zip(one, again, other, strict=True):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert np.array_equal(array, same)
        assert not np.array_equal(array, different)
        assert abs(array.mean()) < 0.2
        assert abs(array.std() - 1) < 0.1


@given(SIDES)
def test_the_arrays_have_the_shapes_of_the_size(size):
    n, d_in, hidden, d_out = size
    shapes = [array.shape for array in Problem(*size).arrays()]
    assert shapes == [(n, d_in), (n, d_out), (d_in, hidden), (hidden, d_out)]


def test_the_data_of_a_dtype_is_the_float64_data_before_the_cast():
    for dtype in DTYPES:
        assert np.array_equal(Problem(dtype=dtype).arrays()[0], Problem(dtype="float64").arrays()[0])


def test_an_iteration_at_the_tutorials_size_is_26_mflop_of_products():
    problem = Problem()
    products = 4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10
    assert products == 25_984_000
    assert products < problem.flops < products * 1.01


@given(SIDES)
def test_work_and_memory_grow_with_every_side(size):
    for side in range(4):
        larger = tuple(value + (index == side) for index, value in enumerate(size))
        small, large = Problem(*size), Problem(*larger)
        for name in ("flops", "bytes_moved", "device_bytes", "host_bytes"):
            assert getattr(small, name) < getattr(large, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_follow_the_item_size_and_flops_do_not(dtype):
    wide, narrow = Problem(dtype="float64"), Problem(dtype=dtype)
    assert narrow.bytes_moved * 8 == wide.bytes_moved * ITEM_BYTES[dtype]
    assert narrow.device_bytes * 8 == wide.device_bytes * ITEM_BYTES[dtype]
    assert narrow.flops == wide.flops


def test_the_device_holds_at_least_the_data_the_weights_and_their_gradients():
    problem = Problem(dtype="float64")
    x, y, w1, w2 = problem.arrays()
    assert problem.device_bytes >= x.nbytes + y.nbytes + 2 * (w1.nbytes + w2.nbytes)


def test_other_nets_do_more_work_than_sgd():
    problem = Problem()
    assert work_flops(problem, "sgd") == problem.flops
    assert work_flops(problem, "adam") > problem.flops
    assert work_flops(problem, "dynamic") == dynamic_flops(problem) > problem.flops


@given(SIDES, st.sampled_from(["sgd", "dynamic"]))
def test_the_stable_rate_keeps_training_finite_at_any_size(size, oracle):
    problem = Problem(*size)
    losses = reference(oracle, problem.arrays(), stable_learning_rate(size, oracle), 40).losses
    assert np.isfinite(losses).all()
    assert losses[-1] <= losses[0]


@pytest.mark.parametrize("size", [TUTORIAL_SIZE, (16, 250, 25, 2), (200, 30, 50, 5)])
def test_the_stable_rate_is_half_of_a_bound_above_the_curvature_at_the_start(size):
    bound = 0.5 / stable_learning_rate(size)
    assert bound / 2 < curvature(Problem(*size)) <= bound


def curvature(problem: Problem) -> float:
    """Largest eigenvalue of the Gauss-Newton matrix of half the loss, by power iteration with J and J^T."""
    x, _y, w1, w2 = problem.arrays()
    h = x @ w1
    h_relu, active = np.maximum(h, 0), h >= 0
    residual = np.random.default_rng(1).standard_normal((problem.n, problem.d_out))
    largest = 0.0
    for _ in range(60):
        residual /= np.linalg.norm(residual)
        v1, v2 = x.T @ (residual @ w2.T * active), h_relu.T @ residual
        residual = (x @ v1 * active) @ w2 + h_relu @ v2
        largest = float(np.linalg.norm(residual))
    return largest


def test_adam_steps_as_torch_does_by_default():
    assert stable_learning_rate(TUTORIAL_SIZE, "adam") == ADAM_LEARNING_RATE == 1e-3
