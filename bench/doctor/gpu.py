"""What NVML shows of each NVIDIA GPU: other processes, clocks, what holds them down, power."""

from __future__ import annotations

import importlib
from typing import Any

from bench.doctor.findings import BAD, OK, WARN, Finding

# NVML's bits of why clocks are below their maximum (nvmlClocksEventReason*).
SLOWED = {0x08: "hardware slowdown", 0x20: "too hot (software)", 0x40: "too hot (hardware)", 0x80: "power brake"}
CAPPED = {0x02: "application clocks are set", 0x04: "power cap", 0x10: "sync boost"}
# NVML renamed the call with driver 535 and keeps both names.
REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
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
    processes = _ask(nvml, "nvmlDeviceGetComputeRunningProcesses", gpu)
    load = getattr(_ask(nvml, "nvmlDeviceGetUtilizationRates", gpu), "gpu", None)
    memory = getattr(_ask(nvml, "nvmlDeviceGetMemoryInfo", gpu), "used", None)
    model = _ask(nvml, "nvmlDeviceGetName", gpu)
    count = None if processes is None else len(processes)
    seen = (
        f"{_text(model)}: {_shown(count)} process{'' if count == 1 else 'es'} on it, {_shown(load)}% used, "
        f"{_shown(None if memory is None else f'{memory / 2**30:.1f}')} GiB taken"
    )
    cure = "end them, or choose another GPU (CUDA_VISIBLE_DEVICES); see nvidia-smi"
    if load is not None and load > BUSY_PERCENT:
        return Finding(f"{name} use", BAD, seen, cure)
    if count is None or load is None:
        return Finding(f"{name} use", WARN, seen, "NVML hides who uses it here (a container?); ask nvidia-smi outside")
    return Finding(f"{name} use", WARN, seen, cure) if count else Finding(f"{name} use", OK, seen)


def _clocks(nvml: Any, gpu: Any, name: str) -> Finding:
    now = _ask(nvml, "nvmlDeviceGetClockInfo", gpu, nvml.NVML_CLOCK_SM)
    most = _ask(nvml, "nvmlDeviceGetMaxClockInfo", gpu, nvml.NVML_CLOCK_SM)
    heat = _ask(nvml, "nvmlDeviceGetTemperature", gpu, nvml.NVML_TEMPERATURE_GPU)
    each = (_ask(nvml, call, gpu) for call in REASONS)
    reasons = next((int(found) for found in each if found is not None), None)
    seen = f"{_shown(now)} of {_shown(most)} MHz{'' if heat is None else f', {heat} C'}"
    if reasons is None:
        cure = "look at nvidia-smi -q -d PERFORMANCE"
        return Finding(f"{name} clocks", WARN, f"{seen}; throttling not visible", cure)
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


def _persistence(nvml: Any, gpu: Any, name: str) -> Finding:
    mode = _ask(nvml, "nvmlDeviceGetPersistenceMode", gpu)
    if mode == 0:
        cure = "sudo nvidia-smi -pm 1"
        return Finding(f"{name} persistence", WARN, "off: every process waits for the driver to start", cure)
    return Finding(f"{name} persistence", OK, "on" if mode else "not visible")


def _ask(nvml: Any, call: str, *given: Any) -> Any:
    """The answer, or None where this GPU or driver does not have it."""
    try:
        return getattr(nvml, call, lambda *_given: None)(*given)
    except nvml.NVMLError:
        return None


def _shown(value: object) -> str:
    return "?" if value is None else str(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "unknown model")
