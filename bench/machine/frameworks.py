"""How numpy, torch, cupy and jax reach a device, and how each is waited for: the only file that synchronises."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from bench.machine.device import KINDS, Device, DeviceError, canonical_name, cpu_model, device_kind
from bench.machine.environment import available_cpus


def open_device(framework: str, name: str, precision: str = "ieee") -> Device:
    """The device `name` as `framework` reaches it; a framework nobody knows gets numpy arrays and the CPU.

    Raises DeviceError when there is no such device here.
    """
    opener = {"torch": _open_torch, "cupy": _open_cupy, "jax": _open_jax}.get(framework, _open_numpy)
    return opener(canonical_name(name), precision, framework)


def wait_for(device: Device) -> None:
    """Until all work that is queued on `device` is done."""
    if device.synchronize is not None:
        device.synchronize()


def _open_numpy(name: str, _precision: str, framework: str) -> Device:
    import numpy as np

    if name != "cpu":
        raise DeviceError(f"{framework} runs on the cpu only, not on {name}")

    def describe(value: Any) -> tuple[str, str]:
        if isinstance(value, float) and not isinstance(value, np.generic) and framework != "numpy":
            return "", "cpu"  # a framework of its own may yield plain floats
        return str(getattr(value, "dtype", type(value).__name__)), "cpu"

    return Device(
        name="cpu",
        model=cpu_model(),
        put=lambda array, dtype: np.array(array, dtype=dtype, order="C"),
        read=float,
        fetch=lambda array: np.asarray(array, dtype=np.float64),
        describe=describe,
        negate=lambda array, place: np.negative(array[place], out=array[place]),
    )


def _open_torch(name: str, precision: str, _framework: str) -> Device:
    import torch

    kind = device_kind(name)
    reason = torch_missing(kind)
    if reason is not None:
        raise DeviceError(reason)
    place = torch.device(name)
    if kind == "cuda":
        _multiply_in(precision)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if kind == "cpu" and asked.isdigit():
        # MKL starts with no more threads than physical cores, whatever the variables say; this call it obeys
        torch.set_num_threads(int(asked))
    waits: dict[str, Callable[[], None]] = {
        # what torch.cuda.synchronize(place) calls for the current device, which `place` becomes below: without its 2 us
        "cuda": getattr(torch._C, "_cuda_synchronize", lambda: torch.cuda.synchronize(place)),
        "mps": torch.mps.synchronize,
        "xpu": lambda: torch.xpu.synchronize(place),
    }
    if kind == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"{name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    if kind == "cuda":
        torch.cuda.set_device(place)  # events are recorded on the current device's stream

    def put(array: Any, dtype: str) -> Any:
        # always a copy: the style owns what it gets and may write into it
        return torch.tensor(array, dtype=getattr(torch, dtype), device=place).contiguous()

    on_cuda = kind == "cuda"
    return Device(
        name=name,
        model=_torch_model(place),
        put=put,
        read=lambda loss: float(loss.item()),
        fetch=lambda array: array.detach().to("cpu", torch.float64).numpy(),
        describe=lambda value: (str(value.dtype).removeprefix("torch."), canonical_name(str(value.device))),
        synchronize=waits.get(kind),
        stopwatch=_torch_stopwatch if on_cuda else None,
        peak_bytes=(lambda: int(torch.cuda.max_memory_allocated(place))) if on_cuda else None,
        negate=lambda array, place: array.data[place].neg_(),  # `data`: its version, which a style could ask for, stays
    )


def _multiply_in(precision: str) -> None:
    """Every kind of product of float32 on CUDA; left alone, a convolution is TF32."""
    import torch

    backends: Any = torch.backends  # whose types lack some of these
    for products in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        products.fp32_precision = precision


def _torch_stopwatch() -> Callable[[], float]:
    """Started on the current device's stream; the function stops it and gives us."""
    import torch

    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    start.record()

    def stop() -> float:
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e3

    return stop


def torch_missing(kind: str) -> str | None:
    """Why torch cannot reach a kind of device here, or None. Imports torch."""
    import torch

    build = f"torch {torch.__version__}"
    if kind == "cpu":
        return None
    if kind == "cuda":
        if torch.cuda.is_available():
            return None
        without = f"{build} was built without CUDA" if torch.version.cuda is None else f"{build} finds no driver or GPU"
        return f"no CUDA device ({without})"
    if kind == "mps":
        return None if torch.backends.mps.is_available() else f"no Metal device ({build})"
    if kind == "xpu":
        return None if torch.xpu.is_available() else f"no Intel GPU ({build})"
    return f"no device '{kind}'; there are {', '.join(KINDS)}"


def _torch_model(place: Any) -> str:
    import torch

    if place.type == "cuda":
        return str(torch.cuda.get_device_name(place))
    if place.type == "xpu":
        return str(torch.xpu.get_device_name(place))
    return cpu_model() if place.type == "cpu" else "Apple GPU"


def _open_cupy(name: str, _precision: str, _framework: str) -> Device:
    cupy = importlib.import_module("cupy")
    index = int(name.partition(":")[2] or 0)
    if device_kind(name) != "cuda" or index >= cupy.cuda.runtime.getDeviceCount():
        raise DeviceError(f"cupy runs on cuda devices that exist, not on {name}")
    place = cupy.cuda.Device(index)
    place.use()

    def stopwatch() -> Callable[[], float]:
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()

        def stop() -> float:
            end.record()
            end.synchronize()
            return float(cupy.cuda.get_elapsed_time(start, end)) * 1e3

        return stop

    return Device(
        name=name,
        model=cupy.cuda.runtime.getDeviceProperties(index)["name"].decode(),
        put=lambda array, dtype: cupy.array(array, dtype=dtype, order="C"),
        read=float,
        fetch=lambda array: cupy.asnumpy(array).astype("float64"),
        describe=lambda value: (str(value.dtype), f"cuda:{value.device.id}"),
        synchronize=place.synchronize,
        stopwatch=stopwatch,
        peak_bytes=lambda: int(cupy.get_default_memory_pool().total_bytes()),
        negate=lambda array, place: cupy.negative(array[place], out=array[place]),
    )


def _open_jax(name: str, precision: str, _framework: str) -> Device:
    import numpy as np

    kind, _, index = name.partition(":")
    if kind == "cpu":
        _stay_on_cores()
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    # left alone, a product of float32 on an NVIDIA GPU is TF32
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest")
    try:
        place = jax.devices(kind)[int(index or 0)]
    except (RuntimeError, IndexError) as error:
        raise DeviceError(f"jax reaches no {name} here: {str(error).splitlines()[0]}") from error

    def synchronize() -> None:
        # jax has no queue to wait for, but everything still queued feeds an array that lives, there
        jax.block_until_ready(jax.live_arrays(kind))

    return Device(
        name=name,
        model=place.device_kind if kind != "cpu" else cpu_model(),
        put=lambda array, dtype: jax.device_put(np.array(array, dtype=dtype), place).block_until_ready(),
        read=float,
        fetch=lambda array: np.asarray(array, dtype=np.float64),
        describe=lambda value: (str(value.dtype), name if value.devices() == {place} else str(value.devices())),
        synchronize=synchronize,
        peak_bytes=(lambda: int(place.memory_stats()["peak_bytes_in_use"])) if place.memory_stats() else None,
    )


def _stay_on_cores() -> None:
    """As many cores as threads are asked for: jax starts a thread for each that it may use, and has no option for it.

    Raises DeviceError where a process cannot be kept to cores.
    """
    asked, bound = os.environ.get("OMP_NUM_THREADS", ""), hasattr(os, "sched_setaffinity")
    cores = len(os.sched_getaffinity(0)) if bound else available_cpus()
    if not asked.isdigit() or int(asked) >= cores:
        return
    if not bound:
        raise DeviceError(f"jax takes all {cores} cores here, whatever --threads says; give --threads all")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(asked)])
