"""What NVML shows of each NVIDIA GPU: other processes, clocks, what holds them down, power."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from bench.doctor.findings import BAD, OK, WARN, Finding

# NVML's bits of why clocks are below their maximum (nvmlClocksEventReason*).
SLOWED = {0x08: "hardware slowdown", 0x20: "too hot (software)", 0x40: "too hot (hardware)", 0x80: "power brake"}
CAPPED = {0x02: "application clocks are set", 0x04: "power cap", 0x10: "sync boost"}
BUSY_PERCENT = 5


def judge_gpus(nvml: Any = None) -> list[Finding]:
    """Lines for every GPU, or one that says why there is none. `nvml` is `pynvml` or a stand-in."""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return [Finding("GPU", OK, "not examined: nvidia-ml-py is not installed")]
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return [Finding("GPU", OK, f"no NVIDIA GPU here ({error}); its cases will be skipped")]
    try:
        count = nvml.nvmlDeviceGetCount()
        if count == 0:
            return [Finding("GPU", OK, "no NVIDIA GPU here; its cases will be skipped")]
        return [finding for index in range(count) for finding in judge_gpu(nvml, index)]
    except nvml.NVMLError as error:
        return [Finding("GPU", BAD, f"NVML fails: {error}", "look at nvidia-smi; the driver may need a restart")]
    finally:
        nvml.nvmlShutdown()


def judge_gpu(nvml: Any, index: int) -> list[Finding]:
    """Use by others, clocks and what holds them down, persistence of one GPU."""
    gpu = nvml.nvmlDeviceGetHandleByIndex(index)
    name = f"GPU {index}"
    return [_use(nvml, gpu, name), _clocks(nvml, gpu, name), _persistence(nvml, gpu, name)]


def _use(nvml: Any, gpu: Any, name: str) -> Finding:
    processes = _ask(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(gpu))
    load = _ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
    memory = _ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used)
    model = _ask(nvml, lambda: nvml.nvmlDeviceGetName(gpu))
    count = None if processes is None else len(processes)
    seen = (
        f"{_text(model)}: {'?' if count is None else count} process{'' if count == 1 else 'es'} on it, "
        f"{'?' if load is None else load}% used, {'?' if memory is None else f'{memory / 2**30:.1f}'} GiB taken"
    )
    cure = "end them, or choose another GPU (CUDA_VISIBLE_DEVICES); see nvidia-smi"
    if load is not None and load > BUSY_PERCENT:
        return Finding(f"{name} use", BAD, seen, cure)
    if count is None or load is None:
        return Finding(f"{name} use", WARN, seen, "NVML hides who uses it here (a container?); ask nvidia-smi outside")
    return Finding(f"{name} use", WARN, seen, cure) if count else Finding(f"{name} use", OK, seen)


def _clocks(nvml: Any, gpu: Any, name: str) -> Finding:
    now = _ask(nvml, lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))
    most = _ask(nvml, lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM))
    heat = _ask(nvml, lambda: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))
    reasons = _reasons(nvml, gpu)
    clock = f"{'?' if now is None else now} of {'?' if most is None else most} MHz"
    seen = f"{clock}{'' if heat is None else f', {heat} C'}"
    if reasons is None:
        return Finding(
            f"{name} clocks", WARN, f"{seen}; throttling not visible", "look at nvidia-smi -q -d PERFORMANCE"
        )
    slowed = [text for bit, text in SLOWED.items() if reasons & bit]
    capped = [text for bit, text in CAPPED.items() if reasons & bit]
    if slowed:
        cure = "let it cool, and look at its fans and power supply"
        return Finding(f"{name} clocks", BAD, f"{seen}; throttled: {', '.join(slowed)}", cure)
    if capped:
        cure = "sudo nvidia-smi -rac; raise the power limit with -pl"
        return Finding(f"{name} clocks", WARN, f"{seen}; held down: {', '.join(capped)}", cure)
    idle = " (idle: a worker warms it up for a second)" if reasons & 0x01 else ""
    return Finding(f"{name} clocks", OK, f"{seen}{idle}")


def _reasons(nvml: Any, gpu: Any) -> int | None:
    # NVML renamed the call with driver 535 and keeps both names
    for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
        call = getattr(nvml, name, None)
        if call is not None:
            found = _ask(nvml, lambda call=call: call(gpu))  # type: ignore[misc]
            if found is not None:
                return int(found)
    return None


def _persistence(nvml: Any, gpu: Any, name: str) -> Finding:
    mode = _ask(nvml, lambda: nvml.nvmlDeviceGetPersistenceMode(gpu))
    if mode == 0:
        cure = "sudo nvidia-smi -pm 1"
        return Finding(f"{name} persistence", WARN, "off: every process waits for the driver to start", cure)
    return Finding(f"{name} persistence", OK, "on" if mode else "not visible")


def _ask(nvml: Any, question: Callable[[], Any]) -> Any:
    """The answer, or None where this GPU or driver does not have it."""
    try:
        return question()
    except nvml.NVMLError:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "unknown model")
