"""Devices: what they are called, what they cannot do, and arrays that the style owns."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench.cases.problem import DTYPES
from bench.machine.device import DeviceError, canonical_name, cpu_model, device_kind, unsupported
from bench.machine.frameworks import open_device, torch_missing
from bench.tests.fakes import a_case
from bench.timing import counters


@pytest.mark.parametrize(
    ("name", "canonical", "kind"),
    [
        ("cpu", "cpu", "cpu"),
        ("cuda", "cuda:0", "cuda"),
        ("cuda:1", "cuda:1", "cuda"),
        ("mps:0", "mps", "mps"),
        ("xpu:0", "xpu", "xpu"),
    ],
)
def test_a_device_has_one_name(name, canonical, kind):
    assert canonical_name(name) == canonical == canonical_name(canonical)
    assert device_kind(name) == kind


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_put_makes_an_array_that_the_style_owns(framework, dtype):
    if unsupported(framework, "cpu", dtype, "ieee"):
        pytest.skip(f"{framework} has no {dtype}")
    device = open_device(framework, "cpu")
    original = np.arange(6.0).reshape(2, 3)
    there = device.put(original.T, dtype)
    assert device.describe(there) == (dtype, "cpu")
    there[0, 0] = 99.0
    assert original[0, 0] == 0.0
    back = device.fetch(there)
    assert back.dtype == np.float64
    assert back.shape == (3, 2)
    assert back[0, 0] == 99.0
    assert device.read(there.sum()) == 99.0 + 15.0


@pytest.mark.parametrize("framework", ["numpy", "torch", "a framework nobody knows"])
def test_the_cpu_is_never_waited_for_and_has_a_model(framework):
    device = open_device(framework, "cpu")
    assert (device.name, device.synchronize, device.stopwatch) == ("cpu", None, None)
    assert device.model == cpu_model()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_torch_runs_the_threads_that_its_process_was_started_for_whatever_mkl_thinks_of_them(monkeypatch, threads):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    torch.set_num_threads(4)  # what a library chose for itself
    open_device("torch", "cpu")
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == threads


@pytest.mark.parametrize(("precision", "wanted"), [("ieee", "highest"), ("tf32", "tensorfloat32")])
def test_jax_multiplies_in_the_precision_that_the_case_names(monkeypatch, precision, wanted):
    chosen: dict[str, object] = {}
    place = SimpleNamespace(device_kind="a GPU", memory_stats=lambda: {"peak_bytes_in_use": 7})
    fake = SimpleNamespace(config=SimpleNamespace(update=chosen.__setitem__), devices=lambda _kind: [place])
    monkeypatch.setitem(sys.modules, "jax", fake)
    device = open_device("jax", "cuda:0", precision)
    assert chosen["jax_default_matmul_precision"] == wanted
    assert device.peak_bytes is not None
    assert (device.model, device.peak_bytes()) == ("a GPU", 7)


@pytest.mark.parametrize("name", ["cuda:0", "cpu"])
def test_jax_waits_for_the_arrays_of_its_own_device(monkeypatch, name):
    waited: list[object] = []
    fake = SimpleNamespace(
        config=SimpleNamespace(update=lambda *_: None),
        devices=lambda kind: [SimpleNamespace(device_kind=kind, memory_stats=lambda: None)],
        live_arrays=lambda kind=None: [f"array on {kind}"],  # without a kind those of the default, which may be a GPU
        block_until_ready=waited.extend,
    )
    monkeypatch.setitem(sys.modules, "jax", fake)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    synchronize = open_device("jax", name).synchronize
    assert synchronize is not None
    synchronize()
    assert waited == [f"array on {name.partition(':')[0]}"]


@pytest.fixture
def kept_to(monkeypatch) -> list[object]:
    """What a process is kept to, of four cores that it may use, when a fake jax is opened on the CPU."""
    place = SimpleNamespace(device_kind="cpu", memory_stats=lambda: None)
    fake = SimpleNamespace(config=SimpleNamespace(update=lambda *_: None), devices=lambda _kind: [place])
    monkeypatch.setitem(sys.modules, "jax", fake)
    monkeypatch.setattr("bench.machine.frameworks.available_cpus", lambda: 4)
    kept: list[object] = []
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {9, 2, 5, 7}, raising=False)
    monkeypatch.setattr("os.sched_setaffinity", lambda _process, cores: kept.append(cores), raising=False)
    return kept


@pytest.mark.parametrize(("threads", "cores"), [("1", [[2]]), ("3", [[2, 5, 7]]), ("4", []), ("8", []), ("", [])])
def test_jax_is_kept_to_as_many_cores_as_it_is_asked_for_threads(threads, cores, kept_to, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    open_device("jax", "cpu")
    assert kept_to == cores


def test_a_gpu_may_have_all_cores_to_feed_it(kept_to, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    open_device("jax", "cuda:0")
    assert kept_to == []


def test_where_no_process_is_kept_to_cores_jax_takes_all_or_is_refused(kept_to, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delattr("os.sched_setaffinity")
    with pytest.raises(DeviceError, match="jax takes all 4 cores here, whatever --threads says; give --threads all"):
        open_device("jax", "cpu")


def test_a_framework_nobody_knows_gets_numpy_arrays_and_may_yield_plain_floats():
    device = open_device("mine", "cpu")
    assert isinstance(device.put(np.ones(2), "float32"), np.ndarray)
    assert device.describe(1.5) == ("", "cpu")
    assert open_device("numpy", "cpu").describe(1.5) == ("float", "cpu")


@pytest.mark.parametrize(
    ("framework", "name", "reason"),
    [
        ("numpy", "cuda:0", "numpy runs on the cpu only, not on cuda:0"),
        ("mine", "mps", "mine runs on the cpu only, not on mps"),
        ("torch", "tpu", "no device 'tpu'; there are cpu, cuda, mps, xpu"),
    ],
)
def test_a_device_that_cannot_be_reached_says_why(framework, name, reason):
    with pytest.raises(DeviceError, match=reason):
        open_device(framework, name)


def test_without_a_gpu_torch_says_what_is_missing():
    reason = torch_missing("cuda")
    if reason is None:
        pytest.skip("there is a GPU")
    assert reason.startswith("no CUDA device (torch ")
    with pytest.raises(DeviceError, match="no CUDA device"):
        open_device("torch", "cuda")


def pools(monkeypatch, *threads: int) -> None:
    found = [{"num_threads": count, "internal_api": "openblas", "version": "0.3"} for count in threads]
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace(threadpool_info=lambda: found))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 2))


def test_a_library_that_runs_other_threads_than_the_case_is_caught(monkeypatch):
    pools(monkeypatch, 2, 2)
    assert counters.threads_in_use(a_case(threads=2)) == "openblas 0.3"
    pools(monkeypatch, 2, 4)
    with pytest.raises(RuntimeError, match="openblas runs 4 threads, asked for 2"):
        counters.threads_in_use(a_case(threads=2))
    pools(monkeypatch)
    with pytest.raises(RuntimeError, match="torch runs 2 threads, asked for 1"):
        counters.threads_in_use(a_case(threads=1))
    assert counters.threads_in_use(a_case("torch_nn", "cuda:0", threads=1)) == ""


@pytest.mark.parametrize("precision", ["ieee", "tf32"])
def test_every_kind_of_product_on_cuda_is_of_the_precision_that_was_asked_for(monkeypatch, precision):
    torch = pytest.importorskip("torch")
    kinds = [SimpleNamespace(fp32_precision="none") for _ in range(3)]
    backends = SimpleNamespace(
        cuda=SimpleNamespace(matmul=kinds[0]), cudnn=SimpleNamespace(conv=kinds[1], rnn=kinds[2])
    )
    monkeypatch.setattr(torch, "backends", backends)
    monkeypatch.setattr("bench.machine.frameworks.torch_missing", lambda _kind: None)
    for name, value in (("device_count", 1), ("set_device", None), ("get_device_name", "a card")):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    assert open_device("torch", "cuda", precision).model == "a card"
    assert [one.fp32_precision for one in kinds] == [precision] * 3


def test_nothing_but_its_numbers_tells_that_a_part_of_x_changed_its_sign():
    """A version counter that went up with x would let a style keep what it made of x without reading x again."""
    pytest.importorskip("torch", reason="torch is not installed")
    device = open_device("torch", "cpu")
    x = device.put(np.arange(12.0).reshape(3, 4) + 1, "float32")
    before, version = device.fetch(x).copy(), x._version
    assert device.negate is not None
    device.negate(x, np.s_[1:, :2])
    assert (x._version, x.data_ptr()) == (version, x.detach().data_ptr())
    assert ((device.fetch(x) < 0) == (np.indices((3, 4))[0] >= 1) & (np.indices((3, 4))[1] < 2)).all()
    device.negate(x, np.s_[1:, :2])
    assert (device.fetch(x) == before).all()
