"""The presets: named plans, and the sizes they span."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bench.cases.phases import Rule
from bench.cases.problem import TUTORIAL_SIZE, Size


@dataclass(frozen=True, slots=True)
class Leg:
    """A full grid: every style on every device at every size, dtype, thread count and precision."""

    styles: tuple[str, ...] = ()  # empty: all
    devices: tuple[str, ...] = ("cpu", "cuda")
    dtypes: tuple[str, ...] = ("float32",)
    threads: tuple[str, ...] = ("1",)
    sizes: tuple[Size, ...] = (TUTORIAL_SIZE,)
    precisions: tuple[str, ...] = ("ieee",)
    blocks: int | None = None  # fewer blocks than the rest of the plan
    program: bool = False
    sgd: bool = False  # of all styles those that train by plain SGD
    compiled: bool = True  # of all styles also those that are compiled by their first call


@dataclass(frozen=True, slots=True)
class Preset:
    """A named plan. `rule` says how long a process times, `budget_s` caps the whole run, in seconds.

    With `retried` a noisy turn is taken once more, half as often as a case has blocks; without, numpy as found has one.
    """

    name: str
    summary: str
    blocks: int
    legs: tuple[Leg, ...]
    rule: Rule = field(default_factory=Rule)
    budget_s: float | None = None
    charts: bool = True
    retried: bool = True


def scaled(*scales: float) -> tuple[Size, ...]:
    """The tutorial's size times each scale in every dimension; work grows with the cube."""
    return tuple(map(TUTORIAL_SIZE.scaled, scales))


SWEEP_SIZES = scaled(0.25, 0.5, 1, 2, 4, 8)
GPU_SIZES = scaled(0.5, 2, 4, 8, 16)
FASTER = (  # on a GPU
    "torch_cuda_graph", "torch_cuda_graph_in_place", "torch_compile", "torch_triton", "cupy_manual", "jax_jit",
)  # fmt: skip
BRIEF = Rule(
    warmup_s=0.15, latency_s=0.08, latency_most=200, batch_iterations=30, batches_s=0.03, parts_s=None, limit_s=1.0,
)  # fmt: skip
AS_WRITTEN = Leg(("numpy_manual",), ("cpu",), ("float64",), ("1", "all"))

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "a first answer in a minute and a half: the SGD styles at the tutorial's size, but what compiles first",
            3,
            (
                Leg((), ("cpu",), sgd=True, compiled=False),
                Leg(("torch_tensors", "torch_autograd"), ("cuda",)),
                Leg(("numpy_manual",), ("cpu",), ("float64",)),
            ),
            rule=BRIEF,
            retried=False,
        ),
        Preset(
            "tutorial",
            "every style on every device at the tutorial's size",
            10,
            (
                Leg(program=True),
                Leg(threads=("all",), program=True),
                replace(AS_WRITTEN, program=True),
                Leg(("numpy_kept", "numpy_in_place"), ("cpu",), ("float64",)),
            ),
        ),
        Preset(
            "sweep",
            "the telling styles from 0.4 MFLOP to 13 GFLOP an iteration",
            5,
            (
                Leg(("numpy_in_place", "torch_tensors", "torch_autograd"), sizes=SWEEP_SIZES),
                Leg(("numpy_in_place", "torch_tensors"), ("cpu",), threads=("all",), sizes=SWEEP_SIZES),
                replace(AS_WRITTEN, sizes=SWEEP_SIZES),
            ),
            rule=Rule(limit_s=2.0),
        ),
        Preset(
            "claim",
            "the fewest cases that judge the 50x claim: named baselines against the GPU, seven sizes",
            10,
            (
                Leg(("numpy_in_place", "torch_tensors"), ("cpu",), threads=("1", "all"), sizes=SWEEP_SIZES),
                replace(AS_WRITTEN, sizes=SWEEP_SIZES),
                Leg(("torch_tensors", "torch_autograd"), ("cuda",), sizes=(*SWEEP_SIZES, *scaled(12))),
                Leg(("torch_tensors",), ("cuda",), sizes=SWEEP_SIZES, precisions=("tf32",)),
            ),
            rule=Rule(limit_s=4.0),
        ),
        Preset(
            "gpu",
            "the 50x question at the tutorial's size on a machine with one GPU, in at most 9 minutes",
            6,
            (
                replace(AS_WRITTEN, program=True),
                Leg(("numpy_manual",), ("cpu",), threads=("1", "4", "all")),
                Leg(("numpy_in_place",), ("cpu",), threads=("1", "4", "all"), program=True),
                Leg(("numpy_kept", "torch_tensors"), ("cpu",)),
                Leg(("torch_tensors", "torch_autograd", "torch_optim_sgd", *FASTER), ("cuda",)),
                Leg(("torch_autograd",), ("cuda",), program=True),
            ),
            rule=Rule(parts_s=0.01, limit_s=1.0),
            budget_s=470.0,
            charts=False,
        ),
        Preset(
            "gpu-sweep",
            "from which size on: the fewest cases on a machine with one GPU, in at most 9 minutes",
            4,
            (
                Leg(("numpy_in_place",), ("cpu",), threads=("all",), sizes=GPU_SIZES[:-1]),
                Leg(("numpy_in_place",), ("cpu",), sizes=GPU_SIZES[:-2]),
                replace(AS_WRITTEN, sizes=GPU_SIZES[:-2]),
                Leg(("torch_tensors",), ("cuda",), sizes=GPU_SIZES),
                Leg(("torch_cuda_graph_in_place",), ("cuda",), sizes=GPU_SIZES[:-2]),
                Leg(("torch_tensors",), ("cuda",), sizes=scaled(4, 8), precisions=("tf32",)),
            ),
            rule=Rule(parts_s=0.01, limit_s=1.0),
            budget_s=470.0,
            charts=False,
        ),
    )
}
