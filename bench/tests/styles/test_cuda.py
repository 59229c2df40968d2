"""What only a GPU can show: styles that follow the oracle there, a clock that waits, precision that is meant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from bench.adversary.lies import PLANTED, write_style
from bench.advice.network.asked import Processor, StepJob
from bench.advice.rows import path_of
from bench.cases.measurement import Job
from bench.cases.phases import Rule
from bench.cases.problem import DTYPES, TUTORIAL_SIZE, Problem, stable_learning_rate
from bench.machine.device import Device, unsupported
from bench.machine.frameworks import open_device, torch_missing
from bench.tests.fakes import TINY, a_case, a_job
from bench.timing import clock
from bench.verification import gate
from bench.worker import measure as worker
from bench.worker.measure import examine
from implementations import Implementation, find_implementations

pytestmark = [
    pytest.mark.cuda,
    # torch says so once when a backward pass's thread makes the first product of a process
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

STYLES: Mapping[str, Implementation] = {
    name: style for name, style in find_implementations().items() if "cuda" in style.devices
}
QUICK = Rule(accelerator_warmup_s=0.1, latency_s=0.05, limit_s=2.0)
WIDE = (64, 1000, 1000, 10)
MIB = 2**20
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # jax would take most of the memory that torch needs next to it


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Skips with the reason where there is no GPU; puts back the switch of precision."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    reason = torch_missing("cuda")
    if reason is not None:
        pytest.skip(f"cuda: {reason}")
    monkeypatch.setattr(worker, "threads_in_use", lambda _case: "")
    kinds = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [one.fp32_precision for one in kinds]
    yield
    for one, precision in zip(kinds, before, strict=True):
        one.fp32_precision = precision


def on_gpu(style: Implementation, **changes: Any) -> Job:
    return a_job(style, rule=QUICK, device="cuda:0", **changes)


def style_of(name: str) -> Implementation:
    style = STYLES[name]
    if style.missing:
        pytest.skip(style.missing)
    return style


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STYLES)
def test_every_style_follows_the_oracle_on_the_gpu(name, dtype):
    style = style_of(name)
    reason = unsupported(style.framework, "cuda", dtype, "ieee")
    if reason:
        pytest.skip(reason)
    if name == "torch_triton" and dtype != "float32":
        pytest.skip("written for float32")
    case = a_case(name, "cuda:0", dtype=dtype, framework=style.framework, oracle=style.oracle, ahead=style.ahead)
    gate.rehearse(case, style.train, open_device(style.framework, "cuda:0"))


def test_tf32_follows_the_oracle_within_its_own_tolerance():
    style = style_of("torch_tensors")
    case = a_case(style.name, "cuda:0", dtype="float32", framework="torch", precision="tf32")
    gate.rehearse(case, style.train, open_device("torch", "cuda:0", "tf32"))


@pytest.mark.parametrize("name", STYLES)
def test_a_measurement_on_the_gpu_is_whole_and_its_times_agree(name):
    """Event time lies inside the host's time of the same batch; the transfer and the floor were timed."""
    found = examine(on_gpu(style_of(name), size=TUTORIAL_SIZE, dtype="float32"))
    assert found.status == "ok", found
    values: Any = found.values
    assert values["device_model"]
    if values["peak_device_bytes"] is not None:
        assert values["peak_device_bytes"] > Problem().weights * 4
    assert values["transfer_seconds"] > 0
    assert values["synchronize_floor_us"] > 0
    if values["event_us"] is not None:
        assert 0 < values["event_us"] <= values["throughput_us"] * 1.001
    alone_us = values["latency_median_us"] or values["launched_us"]
    assert values["throughput_us"] <= alone_us * 1.2
    assert values["checked_iterations"] > 0


def test_latency_is_throughput_and_the_wait_where_the_gpu_is_the_slower_side():
    """At a size where the GPU works longer than Python does, an iteration alone adds the waits and the read."""
    job = on_gpu(style_of("torch_tensors"), size=(1024, 4096, 2048, 16), dtype="float32")
    found = examine(replace(job, rule=replace(QUICK, accelerator_warmup_s=1.0)))
    assert found.status == "ok", found
    values: Any = found.values
    latency = values["latency_median_us"]
    assert latency - values["throughput_us"] == pytest.approx(values["synchronize_floor_us"], abs=0.2 * latency)


def inputs(device: Device, size: tuple[int, int, int, int], dtype: str = "float32") -> list[Any]:
    return [device.put(array, dtype) for array in Problem(*size).arrays()]


def test_a_clock_that_does_not_wait_would_be_wrong():
    """The same loop with and without the wait; the product is large enough that the host is far ahead."""
    device = open_device("torch", "cuda:0")
    size = (4096, 4096, 4096, 16)
    loop = style_of("torch_autograd").train(*inputs(device, size), stable_learning_rate(size), 200)
    clock.time_batch(loop, device, 20)
    right, _ = clock.time_batch(loop, device, 20)
    wrong, _ = clock.time_batch(loop, replace(device, synchronize=None, stopwatch=None), 20)
    assert device.synchronize is not None
    device.synchronize()
    loop.close()
    assert wrong.elapsed_ns < 0.5 * right.elapsed_ns


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_and_losses_are_where_and_what_the_case_says(dtype):
    device = open_device("torch", "cuda:0")
    arrays = inputs(device, TINY, dtype)
    assert {device.describe(array) for array in arrays} == {(dtype, "cuda:0")}
    assert all(array.is_contiguous() for array in arrays)
    loop = style_of("torch_autograd").train(*arrays, 1e-6, 3)
    assert device.describe(next(loop)) == (dtype, "cuda:0")


@pytest.mark.parametrize("framework", ["torch", "cupy"])
def test_a_part_of_x_changes_its_sign_where_it_lies(framework):
    """As between timed iterations: the same memory, so that a captured graph sees it, and nothing outside the part."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    device = open_device(framework, "cuda:0")
    expected = np.random.default_rng().standard_normal((9, 14))
    x = device.put(expected, "float64")
    part = np.s_[2:7, 5:12]
    assert device.negate is not None
    assert device.synchronize is not None
    seen = x.view() if framework == "cupy" else x.view(9, 14)
    version = getattr(x, "_version", 0)
    device.negate(x, part)
    device.synchronize()
    assert getattr(x, "_version", 0) == version
    expected[part] *= -1
    assert np.array_equal(device.fetch(x), expected)
    assert np.array_equal(device.fetch(seen), expected)


def test_a_style_that_computes_on_the_host_is_wrong(tmp_path):
    (homely,) = (one for one in PLANTED if one.device == "cuda:0")
    style = write_style(tmp_path, homely.body, name="homely", framework="torch", devices=("cpu", "cuda"))
    found = examine(on_gpu(style))
    assert (found.status, found.reason) == ("wrong", homely.must_say)


def test_the_transfer_is_timed_to_its_end():
    device = open_device("torch", "cuda:0")
    array = np.ones((64 * MIB // 8,))
    device.put(array, "float64")
    seconds, there = clock.time_call(lambda: device.put(array, "float64"), device)
    assert device.describe(there) == ("float64", "cuda:0")
    assert seconds > array.nbytes / 1e12  # no bus moves a terabyte a second


def test_work_that_is_only_queued_is_timed_to_its_end():
    device = open_device("torch", "cuda:0")
    matrix = device.put(np.ones((8192, 8192)), "float32")
    clock.time_call(lambda: matrix.mm(matrix), device)
    whole, _ = clock.time_call(lambda: matrix.mm(matrix), device)
    queued, _ = clock.time_call(lambda: matrix.mm(matrix), replace(device, synchronize=None))
    clock.time_call(lambda: None, device)
    assert queued < whole / 3


def test_out_of_memory_is_a_row_and_the_next_case_works(tmp_path):
    body = (
        "    import torch\n    free, _total = torch.cuda.mem_get_info()\n"
        "    torch.empty(2 * free, dtype=torch.uint8, device=x.device)\n    yield x.sum()\n"
    )
    greedy = write_style(tmp_path, body, name="greedy", framework="torch", devices=("cuda",))
    found = examine(on_gpu(greedy))
    assert found.status == "oom", found
    assert "out of memory" in found.reason
    assert "\n" not in found.reason
    assert examine(on_gpu(style_of("torch_tensors"))).status == "ok"


@pytest.mark.parametrize(("precision", "least", "most"), [("ieee", 0.0, 1e-5), ("tf32", 5e-5, 5e-3)])
def test_a_product_has_the_precision_that_the_case_names(precision, least, most):
    """Error of one float32 product against float64, over its norm: 24 bits of mantissa against tf32's 11."""
    device = open_device("torch", "cuda:0", precision)
    if precision == "tf32" and not has_tf32():
        pytest.skip("this GPU is older than TF32 (compute capability 8.0)")
    x, _y, w1, _w2 = Problem(*WIDE).arrays()
    product = device.fetch(device.put(x, "float32").mm(device.put(w1, "float32")))
    error = float(np.linalg.norm(product - x @ w1) / np.linalg.norm(x @ w1))
    assert least <= error < most


@pytest.mark.parametrize(("precision", "least", "most"), [("ieee", 0.0, 1e-5), ("tf32", 5e-5, 5e-3)])
def test_a_convolution_has_the_precision_that_was_asked_for(precision, least, most):
    """Left alone it would be TF32."""
    import torch

    device = open_device("torch", "cuda:0", precision)
    if precision == "tf32" and not has_tf32():
        pytest.skip("this GPU has no TF32")
    draw = np.random.default_rng(Random().randint(0, 10**6)).standard_normal
    x, kernel = draw((8, 64, 32, 32)), draw((64, 64, 3, 3))
    exact = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(kernel)).numpy()
    found = device.fetch(torch.nn.functional.conv2d(device.put(x, "float32"), device.put(kernel, "float32")))
    off = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert least <= off <= most, off


@pytest.mark.filterwarnings("ignore:RNN module weights")  # of the copy that is checked
@pytest.mark.parametrize("precision", ["ieee", "tf32"])
@pytest.mark.parametrize("network", ["two_layer", "lenet", "transformer_small", "unrolled_gru", "fused_lstm"])
def test_a_network_is_measured_and_checked_on_the_gpu(network, precision):
    from bench.advice.network.step import examine as examine_network

    if precision == "tf32" and not has_tf32():
        pytest.skip("this GPU has no TF32")
    on = Processor("cuda:0", "", 1, precision)
    found = examine_network(StepJob(path_of("small"), network, 8, on, QUICK, passes=9))
    assert (found.status, found.reason) == ("ok", "")
    assert "are those of float64" in found.checked
    assert len(found.forward_us) == len(found.backward_us) == 9
    assert 0 < (found.throughput_us or 0) <= (found.latency_us or 0) * 1.2


def has_tf32() -> bool:
    import torch

    return torch.cuda.get_device_capability()[0] >= 8
