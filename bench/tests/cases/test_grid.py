"""The grid of a plan: every case once, and a reason for each that cannot run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.grid import expand
from bench.cases.presets import PRESETS, Leg, scaled
from bench.cases.problem import DTYPES, TUTORIAL_SIZE, Size, judge_bytes
from bench.machine.facts import Machine
from bench.tests.fakes import CPU_ONLY, REASON, WITH_CUDA
from implementations import Implementation, find_implementations

STYLES: Mapping[str, Implementation] = find_implementations()


def grid(*legs: Leg, machine: Machine = CPU_ONLY, blocks: int = 10):
    return expand(legs, STYLES, machine, blocks=blocks, seed=0)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
@pytest.mark.parametrize("machine", [CPU_ONLY, WITH_CUDA], ids=["cpu", "cuda"])
def test_a_preset_holds_every_case_once_and_names_only_styles_that_exist(preset, machine):
    found = expand(preset.legs, STYLES, machine, blocks=preset.blocks, seed=0)
    keys = [case.key for case in found.cases] + [skip.case.key for skip in found.skips]
    assert len(keys) == len(set(keys))
    assert found.cases
    assert all(1 <= count <= preset.blocks for count in found.cases.values())
    assert {name for leg in preset.legs for name in leg.styles} <= set(STYLES)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_without_a_gpu_each_of_its_cases_is_skipped_with_the_reason(preset):
    found = expand(preset.legs, STYLES, CPU_ONLY, blocks=preset.blocks, seed=0)
    assert all(case.device == "cpu" for case in found.cases)
    assert found.skips
    assert {skip.reason for skip in found.skips if skip.case.device != "cpu"} == {REASON}
    assert all(STYLES[skip.case.style].missing for skip in found.skips if skip.case.device == "cpu")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
@pytest.mark.parametrize("cpus", [1, 2, 16])
def test_where_a_program_is_measured_every_baseline_that_has_a_name_is_one_too(preset, cpus):
    found = expand(preset.legs, STYLES, replace(WITH_CUDA, cpus=cpus), blocks=preset.blocks, seed=0)
    for size in {case.problem.size for case in found.cases if case.program}:
        there = [one for one in found.cases if (one.device, one.oracle, one.problem.size) == ("cpu", "sgd", size)]
        for threads in {1, cpus}:
            mine = [one for one in there if one.threads == threads]
            written = [one for one in mine if (one.style, one.problem.dtype) == ("numpy_manual", "float64")]
            single = [one for one in mine if one.problem.dtype == "float32"]
            for pool in (written, single, [one for one in single if one.framework == "numpy"]):
                assert any(one.program for one in pool) == bool(pool)


LEGS = st.builds(
    Leg,
    styles=st.lists(st.sampled_from(sorted(STYLES)), max_size=3).map(tuple),
    devices=st.lists(st.sampled_from(["cpu", "cuda", "cuda:1", "mps"]), min_size=1, max_size=3).map(tuple),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, max_size=3).map(tuple),
    threads=st.lists(st.sampled_from(["1", "4", "all"]), min_size=1, max_size=3).map(tuple),
    precisions=st.lists(st.sampled_from(["ieee", "tf32"]), min_size=1, max_size=2).map(tuple),
    blocks=st.none() | st.integers(1, 20),
    program=st.booleans(),
)


@given(st.lists(LEGS, min_size=1, max_size=3))
def test_however_legs_overlap_a_case_comes_once_and_runs_or_has_a_reason(legs):
    found = grid(*legs, machine=WITH_CUDA)
    keys = [case.key for case in (*found.cases, *(skip.case for skip in found.skips))]
    assert len(keys) == len(set(keys))
    assert all(skip.reason for skip in found.skips)
    assert all(case.device in WITH_CUDA.devices for case in found.cases)
    assert all(1 <= count <= 10 for count in found.cases.values())


def test_numpy_on_a_gpu_is_no_case_at_all():
    found = grid(Leg(("numpy_manual",), ("cuda",)))
    assert not found.cases
    assert not found.skips


def test_cuda_is_spelled_cuda_0_and_has_one_thread_however_many_are_asked_for():
    found = grid(Leg(("torch_nn",), ("cuda", "cuda:0"), threads=("1", "all")), machine=WITH_CUDA)
    (case,) = found.cases
    assert (case.device, case.threads) == ("cuda:0", 1)


def test_all_threads_are_the_cores_there_are_and_on_one_core_the_same_case():
    assert [case.threads for case in grid(Leg(("numpy_manual",), ("cpu",), threads=("1", "all"))).cases] == [1, 4]
    single = replace(CPU_ONLY, cpus=1)
    assert len(grid(Leg(("numpy_manual",), ("cpu",), threads=("1", "all")), machine=single).cases) == 1


def test_a_case_of_two_legs_takes_the_larger_number_of_blocks_and_the_program_of_either():
    leg = Leg(("numpy_manual",), ("cpu",))
    found = grid(replace(leg, blocks=3), replace(leg, program=True, blocks=5), replace(leg, blocks=4))
    assert list(found.cases.values()) == [5]
    assert next(iter(found.cases)).program


@pytest.mark.parametrize(
    ("leg", "reason"),
    [
        (Leg(("numpy_manual",), ("cpu",), ("bfloat16",)), "numpy has no bfloat16"),
        (Leg(("torch_nn",), ("cpu",), precisions=("tf32",)), "tf32 exists only for torch on cuda"),
        (Leg(("torch_nn",), ("cuda:7",)), "no cuda:7; here: cpu, cuda:0"),
    ],
)
def test_what_a_device_cannot_do_is_skipped_and_says_so(leg, reason):
    (skip,) = grid(leg, machine=WITH_CUDA).skips
    assert skip.reason == reason


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 16])
def test_more_threads_than_cores_are_skipped_and_say_so(cpus):
    found = grid(Leg(("numpy_manual",), ("cpu",), threads=("1", "4", "all")), machine=replace(CPU_ONLY, cpus=cpus))
    assert {case.threads for case in found.cases} == ({1, 4, cpus} if cpus >= 4 else {1, cpus})
    assert [skip.reason for skip in found.skips] == ([] if cpus >= 4 else [f"only {cpus} cores may be used here"])


def test_a_precision_is_a_matter_of_float32_alone():
    found = grid(Leg(("torch_nn",), ("cuda",), ("float64", "float32"), precisions=("ieee", "tf32")), machine=WITH_CUDA)
    assert [(case.problem.dtype, case.precision) for case in found.cases] == [
        ("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32"),
    ]  # fmt: skip


def test_a_size_too_large_for_the_memory_is_skipped_with_what_it_needs_and_what_is_free():
    leg = Leg(("numpy_manual",), ("cpu",), sizes=(TUTORIAL_SIZE, Size(10**6, 10**5, 100, 10)))
    found = grid(leg)
    assert [case.problem.size for case in found.cases] == [TUTORIAL_SIZE]
    need = found.skips[0].case.problem
    gib = (need.host_bytes + judge_bytes(need, "sgd") + need.device_bytes) / 2**30
    assert found.skips[0].reason == f"needs about {gib:,.1f} GiB on cpu, 8.0 GiB are free"


def test_a_size_may_fit_the_host_and_not_the_gpu():
    small = replace(WITH_CUDA, free_bytes={"cpu": 2**33, "cuda:0": 2**20})
    (skip,) = grid(Leg(("torch_nn",), ("cuda",), sizes=scaled(4)), machine=small).skips
    assert "on cuda:0, 0.0 GiB are free" in skip.reason


def test_a_style_whose_library_is_missing_is_skipped_before_anything_else():
    style = replace(STYLES["torch_nn"], imports=("a_library_nobody_has",))
    found = expand([Leg(("torch_nn",), ("cpu",))], {"torch_nn": style}, CPU_ONLY, blocks=1, seed=0)
    assert [skip.reason for skip in found.skips] == ["a_library_nobody_has is not installed"]


def test_the_seed_of_a_plan_is_the_seed_of_its_data():
    found = expand([Leg(("numpy_manual",), ("cpu",))], STYLES, CPU_ONLY, blocks=1, seed=7)
    assert {case.problem.seed for case in found.cases} == {7}


def test_scaled_sizes_are_the_tutorials_times_the_scale_and_never_zero():
    assert scaled(1, 2) == (TUTORIAL_SIZE, (128, 2000, 200, 20))
    assert min(scaled(0.001)[0]) == 1


def test_without_a_compiler_torch_compile_is_skipped_on_the_cpu_and_says_what_it_needs(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    legs = Leg(("torch_compile", "torch_nn"), ("cpu",)), Leg(("torch_compile",), ("cuda",))
    found = grid(*legs, machine=WITH_CUDA)
    assert {(case.style, case.device) for case in found.cases} == {("torch_nn", "cpu"), ("torch_compile", "cuda:0")}
    assert [skip.reason for skip in found.skips] == [
        "torch.compile needs a C++ compiler, and there is no no-such-compiler here"
    ]
