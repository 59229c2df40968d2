"""Where arrays live: the noun, and the names that devices have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from implementations import DEVICES

KINDS = DEVICES
COUNTED = ("cuda", "xpu")  # kinds of which a machine may have several: cuda:1


class DeviceError(RuntimeError):
    """A device that cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Device:
    """A place where a framework computes.

    `put(array, dtype)` copies a float64 numpy array there; `synchronize` waits until all queued work is
    done, and is None where calls return only when the work is done; `read(loss)` brings a loss to the host
    as a float; `fetch(array)` brings an array to the host as float64; `describe(array)` is (dtype, device)
    of an array or a loss; `stopwatch()` starts the device's own timer and returns a function that stops it
    and gives microseconds, None where there is none; `peak_bytes()` is the most memory that was allocated;
    `negate(array, place)` changes the sign of array[place] in the array itself, None where arrays are immutable.
    """

    name: str
    model: str
    put: Callable[[Any, str], Any]
    read: Callable[[Any], float]
    fetch: Callable[[Any], Any]
    describe: Callable[[Any], tuple[str, str]]
    synchronize: Callable[[], None] | None = None
    stopwatch: Callable[[], Callable[[], float]] | None = None
    peak_bytes: Callable[[], int] | None = None
    negate: Callable[[Any, Any], object] | None = None


def device_kind(name: str) -> str:
    """`cuda` of `cuda:1`."""
    return name.partition(":")[0]


def canonical_name(name: str) -> str:
    """The name that tables carry: `cuda` is `cuda:0`; `mps:0` and `xpu:0` are `mps` and `xpu`, as torch calls them."""
    if name == "cuda":
        return "cuda:0"
    return name if device_kind(name) in ("cpu", "cuda") else name.removesuffix(":0")


def unsupported(framework: str, kind: str, dtype: str, precision: str) -> str | None:
    """Why this dtype and precision cannot be had of a framework on a kind of device, or None."""
    if dtype == "bfloat16" and framework != "torch":
        return f"{framework} has no bfloat16"
    if dtype == "float64" and kind == "mps":
        return "mps has no float64"
    if precision == "tf32" and (kind != "cuda" or framework != "torch"):
        return "tf32 exists only for torch on cuda"
    return None


@cache
def cpu_model() -> str:
    """The processor's name as it calls itself; empty when the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor()
