"""The buffers that a ceiling copies, as large as the memory that is there lets them be, and a small size's products."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import Size
from bench.machine.frameworks import open_device
from bench.worker.ceilings import BASE_BYTES, COPY_BYTES, buffers, products_us


@given(st.sampled_from(COPY_BYTES), st.integers(0, 2**40))
def test_buffers_fit_three_times_into_the_memory_that_is_free(largest, free):
    sizes = buffers(largest, free)
    assert sizes == sorted(sizes)
    assert sizes[0] == COPY_BYTES[0]
    assert all(size <= largest and 3 * size + BASE_BYTES <= free for size in sizes[1:])


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("size", [Size(1, 1, 1, 1), Size(3, 50, 7, 2), Size(16, 250, 25, 5)])
def test_the_products_of_a_small_size_take_time(framework, size, monkeypatch):
    pytest.importorskip(framework)
    monkeypatch.setattr("bench.worker.ceilings.PRODUCT_S", 0.0)
    for dtype in ("float32", "float64"):
        assert 0 < products_us(framework, open_device(framework, "cpu"), dtype, size) < 1e6


def test_where_there_is_room_all_of_them_are_copied():
    assert buffers(COPY_BYTES[-1], 2**40) == list(COPY_BYTES)
    assert max(buffers(COPY_BYTES[-1], int(1.6e9 * 0.8))) < COPY_BYTES[-1]
