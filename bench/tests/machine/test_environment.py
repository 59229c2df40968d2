"""What a worker starts with: threads set, nothing that distorts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine import environment
from bench.machine.environment import (
    THREAD_VARIABLES,
    available_cpus,
    distorting,
    is_altered,
    variable_words,
    worker_environment,
)

# where compilers find their tools and keep their work is no choice of kernels
PLAIN = {
    "PATH": "/bin", "HOME": "/nowhere", "LANG": "C", "LD_LIBRARY_PATH": "y", "TMPDIR": "z", "CUDA_VISIBLE_DEVICES": "0",
    "CUDA_PATH": "/c", "TRITON_CACHE_DIR": "/t", "TRITON_PTXAS_PATH": "/p", "CUPY_CACHE_DIR": "/u",
    "TORCHINDUCTOR_CACHE_DIR": "/i",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS",
        "NPY_DISABLE_CPU_FEATURES", "MALLOC_ARENA_MAX", "KMP_AFFINITY", "GOMP_CPU_AFFINITY", "OMP_NUM_THREADS",
        "LD_PRELOAD", "CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
        "PYTORCH_CUDA_ALLOC_CONF", "PYTHONMALLOC", "CUDA_MODULE_LOADING", "CUBLASLT_WORKSPACE_SIZE", "CUPY_TF32",
        "TRITON_INTERPRET", "TORCHINDUCTOR_MAX_AUTOTUNE", "TORCHDYNAMO_DISABLE", "XLA_FLAGS", "JAX_PLATFORMS",
    ],
)  # fmt: skip
def test_a_worker_starts_without_what_chooses_the_winner(name):
    found = worker_environment({**PLAIN, name: "7"}, 2)
    assert distorting({**PLAIN, name: "7"}) == {name: "7"}
    assert found.get(name) in (None, "2")


def test_what_distorts_nothing_stays():
    assert distorting(PLAIN) == {}
    assert worker_environment(PLAIN, 1).items() >= PLAIN.items()


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_program_prints_is_buffered_as_anybodys(keep):
    environ = {**PLAIN, "PYTHONUNBUFFERED": "1"}
    assert "PYTHONUNBUFFERED" not in worker_environment(environ, 1, keep=keep)
    assert not is_altered(environ)


def test_kept_variables_stay_but_the_thread_count_is_the_cases():
    kept = worker_environment({"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "64"}, 2, keep=True)
    assert kept["OPENBLAS_CORETYPE"] == "Haswell"
    assert kept["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("more", "altered", "words"),
    [
        ({}, False, "no variable that distorts"),
        ({"OMP_NUM_THREADS": "64"}, False, "no variable that distorts"),
        ({"KMP_AFFINITY": "a", "OMP_NUM_THREADS": "64", "MALLOC_": "b"}, True, "KMP_AFFINITY=a, MALLOC_=b"),
    ],
)
def test_an_environment_is_altered_by_what_is_gone_and_not_by_the_threads_that_every_worker_sets(more, altered, words):
    assert is_altered({**PLAIN, **more}) == altered
    assert variable_words(distorting({**PLAIN, **more})) == words


NAMES = st.sampled_from([*PLAIN, *THREAD_VARIABLES, "KMP_BLOCKTIME", "MALLOC_TOP_PAD_", "OMP_", "A"])


@given(st.dictionaries(NAMES, st.text(max_size=5)), st.integers(1, 512))
def test_threads_are_set_for_every_library_and_the_given_environment_is_left_alone(environ, threads):
    before = dict(environ)
    found = worker_environment(environ, threads)
    assert environ == before
    assert {found[name] for name in THREAD_VARIABLES} == {str(threads)}
    assert set(distorting(found)) <= set(THREAD_VARIABLES)


@pytest.mark.parametrize(("quota", "cpus"), [(None, 8), (64.0, 8), (2.5, 2), (0.5, 1)])
def test_cores_are_what_affinity_and_quota_leave_and_at_least_one(monkeypatch, quota, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(environment, "cgroup_quota", lambda: quota)
    assert available_cpus() == cpus


def test_a_system_without_affinity_counts_its_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(environment, "cgroup_quota", lambda: None)
    assert available_cpus() == 6


def test_a_worker_finds_this_program_before_what_was_on_the_path():
    found = worker_environment({"PYTHONPATH": "x"}, 1)["PYTHONPATH"].split(os.pathsep)
    assert (Path(found[0]) / "bench" / "cli.py").exists()
    assert found[1:] == ["x"]


def test_an_installed_copy_is_not_put_in_front_of_pythons_own_modules(monkeypatch):
    monkeypatch.setattr(environment, "INSTALLED", [str(environment.ROOT)])
    assert worker_environment({"PYTHONPATH": "x"}, 1)["PYTHONPATH"] == "x"
    assert worker_environment({}, 1)["PYTHONPATH"] == ""
