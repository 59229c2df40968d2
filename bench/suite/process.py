"""The one process that the suite measures in: its variables and its threads, set before numpy and torch are loaded."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench.machine.environment import THREAD_VARIABLES, distorting, worker_environment

# Read once, when a process starts: too late to take back.
FIXED_AT_START = re.compile(r"MALLOC_|GLIBC_TUNABLES|LD_PRELOAD|PYTHONMALLOC|PYTHONDEVMODE|PYTHONTRACEMALLOC")
READ_AT_IMPORT = ("numpy", "torch")


@dataclass(frozen=True, slots=True)
class Environment:
    """Threads that every library runs, the distorting variables that were found, and those that still act."""

    threads: int
    found: Mapping[str, str]
    kept: Mapping[str, str]

    @property
    def name(self) -> str:
        """`clean` or `kept`, as the column `environment` has it."""
        return "kept" if self.kept else "clean"


def prepare_process(
    threads: int, environ: MutableMapping[str, str] = os.environ, modules: Container[str] = sys.modules
) -> Environment:
    """Give this process the variables that a worker of `run` starts with.

    Libraries read them when they are loaded; where one is loaded already its threads are set by hand, and
    the variables that were there count as kept.
    """
    ours = {name for name in THREAD_VARIABLES if environ.get(name, "").isdigit()}
    found = {name: value for name, value in distorting(environ).items() if name not in ours}
    loaded = [name for name in READ_AT_IMPORT if name in modules]
    kept = {name: value for name, value in found.items() if loaded or FIXED_AT_START.match(name)}
    clean = worker_environment(environ, threads)
    for name in set(environ) - set(clean):
        del environ[name]
    environ.update({name: clean[name] for name in THREAD_VARIABLES})
    if loaded:  # the clock's worker checks all of them after each case
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)
    return Environment(threads, found, kept)


@contextmanager
def back_on_its_cores() -> Iterator[None]:
    """Afterwards this process may run on the cores that it had before: a case of jax is kept to as many as threads."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    try:
        yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
