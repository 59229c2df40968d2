import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.cli import main
from bench.commands.doctor import sentence
from bench.doctor import readings
from bench.doctor.findings import BAD, OK, WARN, Finding, Readings, judge, judge_blas, worst
from bench.doctor.gpu import judge_gpus
from bench.doctor.readings import cpu_flags, timer

OPENBLAS = {
    "user_api": "blas", "internal_api": "openblas", "version": "0.3.31", "architecture": "SkylakeX", "num_threads": 1,
}  # fmt: skip
QUIET = Readings(
    usable_cpus=2,
    cores=2,
    affinity=2,
    quota=None,
    throttled_periods=None,
    load_average=0.1,
    busy_cores=0.02,
    busiest="",
    free_bytes=8 * 2**30,
    governor="performance",
    clock_source="tsc",
    cpu_model="AMD EPYC",
    cpu_flags=frozenset({"avx2", "avx512f"}),
    variables={},
    timer_resolution_ns=20,
    timer_cost_us=0.05,
    probe={"pools": [OPENBLAS], "torch_threads": 1, "core_us": [30.0, 30.3]},
)


def states(seen):
    return {finding.name: finding.state for finding in judge(seen)}


def test_a_quiet_machine_is_fit_and_every_line_is_ok():
    assert set(states(QUIET).values()) == {OK}
    assert sentence(judge(QUIET)) == "fit to measure on"


@pytest.mark.parametrize(
    ("change", "line", "state"),
    [
        ({"busy_cores": 1.9, "busiest": "cc1plus 99%"}, "load", BAD),
        ({"busy_cores": 0.3}, "load", WARN),
        ({"quota": 0.5}, "quota", BAD),
        ({"quota": 1.5}, "quota", WARN),
        ({"quota": 2.0, "throttled_periods": 3}, "quota", WARN),
        ({"affinity": 1}, "affinity", WARN),
        ({"free_bytes": 2**20}, "memory", WARN),
        ({"governor": "powersave"}, "governor", WARN),
        ({"probe": {"pools": [{**OPENBLAS, "num_threads": 2}]}}, "threads", BAD),
        ({"probe": {"pools": [OPENBLAS], "torch_threads": 2}}, "threads", BAD),
        ({"probe": {"pools": [{**OPENBLAS, "num_threads": 2}, OPENBLAS]}}, "threads", BAD),
        ({"probe": {"pools": [{**OPENBLAS, "architecture": "Haswell"}]}}, "BLAS", WARN),
        ({"probe": {"pools": []}}, "BLAS", WARN),
        ({"probe": {"error": "ImportError"}}, "libraries", BAD),
        ({"probe": {"pools": [OPENBLAS], "core_us": [30.0, 33.0]}}, "core speed", WARN),
        ({"clock_source": "hpet"}, "timer", BAD),
        ({"timer_cost_us": 0.4}, "timer", WARN),
        ({"timer_resolution_ns": 15_600_000}, "timer", WARN),
    ],
)
def test_a_disturbed_machine_gets_a_line_that_says_so_with_a_cure(change, line, state):
    findings = [finding for finding in judge(replace(QUIET, **change)) if finding.state != OK]
    assert [(finding.name, finding.state) for finding in findings] == [(line, state)]
    assert findings[0].cure


@pytest.mark.parametrize(
    ("change", "never"),
    [
        ({"variables": {"OPENBLAS_CORETYPE": "Haswell"}}, "unset"),  # every measured process runs without
        ({"probe": {"pools": [OPENBLAS], "torch_mkl": True}}, "--baseline best-cpu"),  # what a verdict is against
        ({"timer_cost_us": 0.4, "clock_source": "tsc"}, "clocksource=tsc"),
        ({"cores": 1, "affinity": 1, "usable_cpus": 1}, "taskset"),
    ],
)
def test_no_cure_is_offered_that_is_already_in_place(change, never):
    assert not any(never in finding.cure for finding in judge(replace(QUIET, **change)))


@pytest.mark.parametrize(("cores", "words"), [(0.1, ""), (1.5, "1.50 of 2 cores at work (cc1plus 99%, python 51%)")])
def test_who_keeps_the_machine_busy_is_named_before_a_run(monkeypatch, cores, words):
    monkeypatch.setattr(readings, "busy", lambda _watch_s: (cores, "cc1plus 99%, python 51%"))
    monkeypatch.setattr(readings, "available_cpus", lambda: 2)
    assert readings.who_is_busy() == words


def test_the_busiest_process_is_named_only_when_it_disturbs():
    assert "cc1plus" in judge(replace(QUIET, busy_cores=1.9, busiest="cc1plus 99%"))[0].seen
    assert "python" not in judge(replace(QUIET, busiest="python 1%"))[0].seen


def test_kernels_are_only_too_old_for_a_processor_that_could_do_better():
    haswell = {**OPENBLAS, "architecture": "Haswell"}
    assert judge_blas(haswell, frozenset({"avx2"})).state == OK
    assert judge_blas(haswell, frozenset({"avx2", "avx512f"})).state == WARN
    assert judge_blas({**OPENBLAS, "architecture": None}, frozenset()).state == OK


def test_the_worst_line_decides():
    assert worst([Finding("a", OK, ""), Finding("b", BAD, ""), Finding("c", WARN, "")]) == BAD
    assert worst([Finding("a", OK, ""), Finding("c", WARN, "")]) == WARN
    assert worst([]) == OK


def test_processor_features_are_read_on_x86_and_on_arm():
    assert cpu_flags("model name : x\nflags\t\t: fpu avx2\n") == {"fpu", "avx2"}
    assert cpu_flags("Features\t: asimd sve\n") == {"asimd", "sve"}
    assert cpu_flags("") == frozenset()


def test_the_clock_steps_forward():
    resolution_ns, cost_us = timer(100)
    assert resolution_ns > 0
    assert cost_us > 0


class NoAnswerError(Exception):
    pass


def refuse(*_arguments):
    raise NoAnswerError("Driver Not Loaded")


def fake_nvml(**changes):
    """NVML with one idle GPU; `changes` replace calls."""
    calls = {
        "NVMLError": NoAnswerError,
        "NVML_CLOCK_SM": 1,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _gpu: b"H200",
        "nvmlDeviceGetComputeRunningProcesses": lambda _gpu: [],
        "nvmlDeviceGetUtilizationRates": lambda _gpu: SimpleNamespace(gpu=0),
        "nvmlDeviceGetMemoryInfo": lambda _gpu: SimpleNamespace(used=2**30),
        "nvmlDeviceGetClockInfo": lambda _gpu, _kind: 345,
        "nvmlDeviceGetMaxClockInfo": lambda _gpu, _kind: 1980,
        "nvmlDeviceGetTemperature": lambda _gpu, _kind: 30,
        "nvmlDeviceGetCurrentClocksEventReasons": lambda _gpu: 0x01,
        "nvmlDeviceGetPersistenceMode": lambda _gpu: 1,
    }
    return SimpleNamespace(**{**calls, **changes})


def test_an_idle_gpu_is_fit_though_its_clocks_are_low():
    findings = judge_gpus(fake_nvml())
    assert [finding.state for finding in findings] == [OK, OK, OK]
    assert "345 of 1980 MHz" in findings[1].seen
    assert "H200" in findings[0].seen


def test_without_a_gpu_there_is_one_line_with_the_reason():
    (finding,) = judge_gpus(fake_nvml(nvmlInit=refuse))
    assert finding.state == OK
    assert "Driver Not Loaded" in finding.seen


@pytest.mark.parametrize(
    ("change", "index", "state"),
    [
        ({"nvmlDeviceGetUtilizationRates": lambda _gpu: SimpleNamespace(gpu=60)}, 0, BAD),
        ({"nvmlDeviceGetComputeRunningProcesses": lambda _gpu: [object()]}, 0, WARN),
        ({"nvmlDeviceGetComputeRunningProcesses": refuse}, 0, WARN),
        ({"nvmlDeviceGetCurrentClocksEventReasons": lambda _gpu: 0x40}, 1, BAD),
        ({"nvmlDeviceGetCurrentClocksEventReasons": lambda _gpu: 0x04}, 1, WARN),
        ({"nvmlDeviceGetCurrentClocksEventReasons": refuse}, 1, WARN),
        ({"nvmlDeviceGetPersistenceMode": lambda _gpu: 0}, 2, WARN),
    ],
)
def test_a_gpu_in_use_throttled_or_hidden_is_told_with_a_cure(change, index, state):
    findings = judge_gpus(fake_nvml(**change))
    assert [finding.state for finding in findings] == [state if i == index else OK for i in range(3)]
    assert findings[index].cure


def test_a_driver_with_the_older_name_of_throttling_is_understood():
    nvml = fake_nvml(nvmlDeviceGetCurrentClocksThrottleReasons=lambda _gpu: 0x20)
    del nvml.nvmlDeviceGetCurrentClocksEventReasons
    assert judge_gpus(nvml)[1].state == BAD


@pytest.mark.parametrize(("change", "state", "code"), [({}, "ok", 0), ({"governor": "powersave"}, "warn", 0),
                                                       ({"quota": 0.5}, "bad", 1)])  # fmt: skip
def test_the_command_ends_with_1_only_when_something_is_bad(change, state, code, monkeypatch, capsys):
    monkeypatch.setattr("bench.doctor.readings.read_machine_now", lambda: replace(QUIET, **change))
    monkeypatch.setattr("bench.doctor.gpu.judge_gpus", lambda: judge_gpus(fake_nvml(nvmlInit=refuse)))
    assert main(["doctor", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == state
    assert {"name", "state", "seen", "cure"} == set(told["findings"][0])
    assert main(["doctor"]) == code
    assert ("cure:" in capsys.readouterr().out) == (state != "ok")
