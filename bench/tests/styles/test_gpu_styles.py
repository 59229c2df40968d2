"""The mathematics of the styles for a GPU, on the CPU: a graph is a plain call there, CuPy is numpy, JAX is JAX."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from bench.cases.phases import REHEARSAL_STEPS
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.tests.fakes import a_case
from bench.verification import deviation, gate
from bench.verification.oracle import reference
from implementations import Train, find_implementations

# the framework whose arrays a style's file meets in this test
STYLES = {
    "torch_cuda_graph": "torch", "torch_cuda_graph_in_place": "torch", "torch_compile": "torch",
    "cupy_manual": "numpy", "jax_jit": "jax", "jax_scan": "jax", "torch_triton": "torch",
}  # fmt: skip
SINGLE = ("torch_triton",)  # written for float32 alone
INTERPRETED = "TRITON_INTERPRET"  # Triton reads it when it is imported


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Train, Device]]:
    """A style's name, its generator as a machine without a GPU can run it, and the CPU of its framework."""
    name, framework = request.param, STYLES[request.param]
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # jax would keep this process to so many cores
    if name == "cupy_manual":
        monkeypatch.setitem(sys.modules, "cupy", np)
        monkeypatch.delitem(sys.modules, "implementations.cupy_manual", raising=False)
    if name == "torch_triton":
        pytest.importorskip("triton", reason="triton is not installed")
        if os.environ.get(INTERPRETED) != "1":
            pytest.skip("without its interpreter; see the last test")
    if name == "torch_compile":  # its compiler takes its time; see the test of what is compiled on the CPU
        monkeypatch.setattr("torch.compile", lambda function, **_options: function)
    yield name, find_implementations()[name].train, open_device(framework, "cpu")
    if name == "cupy_manual":
        sys.modules.pop("implementations.cupy_manual", None)


@pytest.mark.parametrize("seed", range(5))
def test_a_style_for_a_gpu_follows_the_oracle_at_any_size_and_rate(style, seed):
    name, train, device = style
    dtype = "float32" if name in SINGLE else "float64"
    random = np.random.default_rng(seed)
    most = 25 if name in SINGLE else 60  # its interpreter is slow
    size = Size(*(int(side) for side in random.integers(1, most, 4)))
    steps = int(random.integers(1, 2 * most))
    rate = stable_learning_rate(size) * random.uniform(0.1, 1.0)
    problem = Problem(*size, dtype, rate, seed)
    case = a_case(name, "cpu", size=size, dtype=dtype, framework=STYLES[name])
    arrays = problem.arrays()
    trained = gate.run(case, train, device, problem, arrays, steps)
    allowed = deviation.tolerance(deviation.REHEARSAL, dtype, "ieee", "sgd")
    found = deviation.of_run(trained, reference("sgd", arrays, rate, steps, dtype=dtype), allowed)
    assert deviation.reason(found) is None


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_style_for_a_gpu_passes_the_gate(style, dtype):
    name, train, device = style
    if name in SINGLE:
        pytest.skip("its interpreter takes minutes at the tutorial's size")
    case = a_case(name, "cpu", size=TUTORIAL_SIZE, dtype=dtype, framework=STYLES[name])
    assert len(gate.rehearse(case, train, device)) == REHEARSAL_STEPS


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("size", [TUTORIAL_SIZE, Size(3, 17, 5, 2)])
def test_what_torch_compiles_for_the_cpu_passes_the_gate_and_sees_an_x_that_changes(size):
    style, device = find_implementations()["torch_compile"], open_device("torch", "cpu")
    case = a_case(style.name, "cpu", size=size, dtype="float32", framework="torch")
    assert len(gate.rehearse(case, style.train, device)) == REHEARSAL_STEPS
    problem = Problem(**size._asdict(), dtype="float32", learning_rate=stable_learning_rate(size))
    inputs = [device.put(array, "float32") for array in problem.arrays()]
    loop = style.train(*inputs, problem.learning_rate, 3)
    before = float(next(loop))
    assert abs(float(next(loop)) - before) < 0.5 * before
    inputs[0].neg_()  # another problem from here on
    assert abs(float(next(loop)) - before) > 0.02 * before


def test_the_cupy_file_is_the_numpy_file_with_one_import_changed():
    styles = find_implementations()
    numpy, cupy = (styles[name].source.read_text("utf-8").splitlines() for name in ("numpy_manual", "cupy_manual"))
    changed = [line for line in cupy if line not in numpy]
    assert len(numpy) == len(cupy)
    assert changed[1] == "import cupy as np"
    assert len(changed) == 5  # what the file is, the import, the declaration, the name, what the style is


@pytest.mark.skipif(os.environ.get(INTERPRETED) == "1", reason="this is the process with the interpreter")
def test_the_triton_kernel_passes_all_of_this_under_its_interpreter():
    pytest.importorskip("triton", reason="triton is not installed")
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "torch_triton", __file__]
    ended = subprocess.run(asked, env={**os.environ, INTERPRETED: "1"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:]
    assert "5 passed" in ended.stdout
