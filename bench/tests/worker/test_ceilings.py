"""The buffers that a ceiling copies, as large as the memory that is there lets them be, and a small size's products."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import Size
from bench.machine.frameworks import open_device
from bench.tests.fakes import fake_device
from bench.worker import ceilings
from bench.worker.ceilings import BASE_BYTES, COPY_BYTES, LAYOUTS, SIDES, SLOWER, buffers, products_us


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


@given(st.floats(1e8, 1e12), st.floats(0.02, 1.0), st.floats(1.0, 30.0), st.integers(0, 3), st.booleans())
def test_the_best_rate_is_that_of_the_fastest_layout_and_slow_large_products_are_left_out(
    rate, larger, faster, special, on_cpu
):
    """One layout so many times as fast as the others, a larger side that part as fast as the one before."""
    asked: list[tuple[int, int]] = []
    sides = SIDES["core" if on_cpu else "accelerator"]

    def product(_framework, _device, _dtype, side, layout):
        asked.append((side, LAYOUTS.index(layout)))
        return side, layout

    def seconds(call, _device):
        side, layout = call
        return 2 * side**3 / (rate * larger ** sides.index(side) * (faster if LAYOUTS[special] == layout else 1.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "square_product", product)
        patch.setattr(ceilings, "_best_seconds", seconds)
        best = ceilings.gemm_gflops("any", fake_device(name="cpu" if on_cpu else "cuda:0"), "float32", 1)
    assert best * 1e9 == pytest.approx(rate * faster)
    assert asked[:4] == [(sides[0], at) for at in range(4)]
    assert all(larger ** (sides.index(side) - 1) >= SLOWER * 0.999 for side, _ in asked[4:])
    assert faster == 1.0 or all(at in (special, 0) for _, at in asked[4:])


def test_where_there_is_room_all_of_them_are_copied():
    assert buffers(COPY_BYTES[-1], 2**40) == list(COPY_BYTES)
    assert max(buffers(COPY_BYTES[-1], int(1.6e9 * 0.8))) < COPY_BYTES[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells CPU time finely enough")
@given(st.floats(1e-4, 10.0), st.floats(0.0, 20.0))
def test_a_ceiling_counts_the_time_at_work_where_its_process_waited_for_a_core(wall_s, cpu_s):
    cpu = iter(range(10**6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "time_call", lambda _call, _device: (wall_s, None))
        patch.setattr(ceilings, "process_time", lambda: (next(cpu) + 1) // 2 * cpu_s)
        on_cpu, on_gpu = (ceilings._best_seconds(lambda: None, fake_device(name=name)) for name in ("cpu", "cuda:0"))
    assert on_gpu == wall_s
    assert on_cpu == pytest.approx(min(wall_s, cpu_s) if cpu_s > 0 else wall_s)
