"""The machine's measured ceilings: the fastest product and copy on each side, and their ratio (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best that was measured of one thing on one device: a large product, a copy, or the products of a size.

    `kind` is "gemm" (then `gflops`, 2 n^3 operations over the best time), "copy" (then `gbytes_per_s`, bytes
    read plus bytes written over the best time, of a buffer of `bytes`) or "products" (then `us`, what the five products
    of an iteration at `size` take together in this framework, as Size writes itself).
    """

    kind: str
    framework: str
    device: str
    dtype: str
    precision: str
    threads: int
    gflops: float | None = None
    gbytes_per_s: float | None = None
    bytes: int | None = None
    us: float | None = None
    size: str | None = None

    def row(self) -> dict[str, Any]:
        """Plain values for machine.json; what does not apply is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_ceilings(machine: Mapping[str, Any]) -> tuple[Ceiling, ...]:
    """The ceilings that machine.json holds; none where they were not measured."""
    return tuple(Ceiling(**row) for row in machine.get("ceilings", ()))


def best_gflops(ceilings: Sequence[Ceiling], device: str, threads: int, dtype: str, precision: str) -> float | None:
    """The fastest product of any library on a device; None where none was measured."""
    wanted = (device, threads, dtype, precision)
    there = [one for one in ceilings if (one.device, one.threads, one.dtype, one.precision) == wanted]
    return max((one.gflops for one in there if one.gflops), default=None)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The best float32 (ieee) product of each side, and the best copy, larger than caches, where both have one."""

    cpu: Ceiling
    gpu: Ceiling
    cpu_copy: Ceiling | None
    gpu_copy: Ceiling | None

    @property
    def ratio(self) -> float:
        """By products, GFLOP/s over GFLOP/s."""
        return (self.gpu.gflops or 0.0) / (self.cpu.gflops or 1.0)

    @property
    def copy_ratio(self) -> float | None:
        """By copies, GB/s over GB/s."""
        if self.cpu_copy is None or self.gpu_copy is None:
            return None
        return (self.gpu_copy.gbytes_per_s or 0.0) / (self.cpu_copy.gbytes_per_s or 1.0)


def peaks(machine: Mapping[str, Any]) -> Peaks | None:
    """From the ceilings of machine.json; None where a side has none. Raises UsageError."""
    try:
        found = read_ceilings(machine)
    except TypeError as error:
        raise UsageError(
            f"machine.json: 'ceilings' is not what it should be: {error}; measure the run again"
        ) from error
    exact = [one for one in found if (one.dtype, one.precision) == ("float32", "ieee")]
    cpu, gpu = ([one for one in exact if (one.device == "cpu") is here] for here in (True, False))
    best_cpu, best_gpu = _best_product(cpu), _best_product(gpu)
    if best_cpu is None or best_gpu is None:
        return None
    return Peaks(best_cpu, best_gpu, _best_copy(cpu), _best_copy(gpu))


def _best_product(found: Sequence[Ceiling]) -> Ceiling | None:
    products = [one for one in found if one.kind == "gemm" and (one.gflops or 0) > 0]
    return max(products, key=lambda one: one.gflops or 0.0, default=None)


def _best_copy(found: Sequence[Ceiling]) -> Ceiling | None:
    """Of the largest buffer alone: a small one measures a cache."""
    copies = [one for one in found if one.kind == "copy" and (one.gbytes_per_s or 0) > 0]
    largest = max((one.bytes or 0 for one in copies), default=0)
    return max(
        (one for one in copies if (one.bytes or 0) == largest), key=lambda one: one.gbytes_per_s or 0.0, default=None
    )
