"""The variables a worker starts with: nothing that distorts, threads set before any import."""

from __future__ import annotations

import os
import re
import site
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of a clone; of an installed copy the folder it lies in
INSTALLED = [str(Path(folder).resolve()) for folder in (*site.getsitepackages(), site.getusersitepackages())]

# Variables that choose kernels, allocators or thread placement, and so the winner.
DISTORTING = re.compile(
    r"(OPENBLAS_(CORETYPE|L2_SIZE|VERBOSE|BLOCK_FACTOR)|MKL_(DEBUG|ENABLE|CBWR|DYNAMIC|VERBOSE|NUM)|NPY_DISABLE_|"
    r"NVPL_BLAS_|BLIS_|MALLOC_|GLIBC_TUNABLES|LD_PRELOAD|KMP_|GOMP_|OMP_|TORCH_|PYTORCH_|ATEN_|DNNL_|ONEDNN_|"
    r"NVIDIA_TF32_OVERRIDE|CUDA_(LAUNCH_BLOCKING|MODULE_LOADING|DEVICE_MAX_CONNECTIONS|FORCE_PTX_JIT|SCALE_)|CUBLAS|"
    r"(CUPY|TRITON|TORCHINDUCTOR|TORCHDYNAMO)_(?!CACHE_DIR|\w*PATH)|XLA_|JAX_|NUMBA_|VECLIB_|PYTHONMALLOC|"
    r"PYTHONDEVMODE|PYTHONTRACEMALLOC|PYTHONPROFILEIMPORTTIME)"
)

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NVPL_BLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def distorting(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables in `environ` that change which code runs or how fast, by name."""
    return {name: value for name, value in sorted(environ.items()) if DISTORTING.match(name)}


def variable_words(variables: Mapping[str, str]) -> str:
    """`OPENBLAS_CORETYPE=Haswell`, `no variable that distorts`; those that every worker sets anew are left out."""
    shown = [f"{name}={value}" for name, value in variables.items() if name not in THREAD_VARIABLES]
    return ", ".join(shown) or "no variable that distorts"


def is_altered(environ: Mapping[str, str]) -> bool:
    """Whether a worker's environment lacks anything that it would have as found; its threads are set either way."""
    return worker_environment(environ, 1) != worker_environment(environ, 1, keep=True)


def worker_environment(environ: Mapping[str, str], threads: int, *, keep: bool = False) -> dict[str, str]:
    """A copy of `environ` for one worker: `threads` set for every library, distorting variables gone unless `keep`."""
    removed = set() if keep else set(distorting(environ))
    cleaned = {name: value for name, value in environ.items() if name not in removed}
    cleaned.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    cleaned["PYTHONHASHSEED"] = "0"
    cleaned.pop("PYTHONUNBUFFERED", None)  # with it a script's print takes 30 us of an iteration, and not 2
    ours = "" if str(ROOT) in INSTALLED else str(ROOT)  # there already, and in front of Python's own modules it harms
    cleaned["PYTHONPATH"] = os.pathsep.join(filter(None, (ours, environ.get("PYTHONPATH"))))
    return cleaned


def available_cpus() -> int:
    """Cores that this process may use: its affinity, further limited by the cgroup's quota; at least 1."""
    affine = hasattr(os, "sched_getaffinity")  # Linux has it, macOS and Windows do not
    cores = len(os.sched_getaffinity(0)) if affine else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def cgroup_quota() -> float | None:
    """Cores' worth of time that the cgroup grants, None for no limit or where there are no cgroups."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
