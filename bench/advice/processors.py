"""Which processors a step is measured on: the CPU at so many threads, and the accelerators that are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.advice.network.asked import Processor
from bench.cases.request import PRECISIONS, accelerators, check_device, the_device
from bench.errors import UsageError, known
from bench.machine.device import canonical_name, cpu_model, device_kind, unsupported
from bench.machine.facts import Machine, as_grid_machine, probe_devices


def processors_of(devices: Sequence[str], threads: Sequence[int], precision: str = "ieee") -> list[Processor]:
    """The CPU at each of `threads` if it is among `devices`; any other once, its products of float32 of `precision`.

    `gpu` is the accelerator that is here. Raises UsageError for what is not here or has no such precision.
    """
    known("precision", [precision], PRECISIONS)
    for name in devices:
        check_device(name)
    return _checked("cpu" in devices, threads, _named([name for name in devices if name != "cpu"]), precision)


def cpu_and(device: str | None, threads: Sequence[int], precision: str = "ieee") -> list[Processor]:
    """The CPU at each of `threads` and one accelerator: `device`, or without a name that which is here, if any.

    With `cpu` none. Raises UsageError as `processors_of`.
    """
    if device is not None:
        return processors_of(["cpu", device], threads, precision)
    known("precision", [precision], PRECISIONS)
    probe = probe_devices()
    there = accelerators(as_grid_machine(probe))[:1]
    return _checked(True, threads, {name: str(probe["devices"][name]["model"]) for name in there}, precision)


def _checked(cpu: bool, threads: Sequence[int], models: Mapping[str, str], precision: str) -> list[Processor]:
    found = [Processor(name, model, 1, precision) for name, model in models.items()]
    for one in found or [Processor(precision=precision)]:
        if why := unsupported("torch", device_kind(one.device), "float32", one.precision):
            raise UsageError(f"--precision {precision}: {why}")
    on_cpu = [Processor("cpu", cpu_model(), count) for count in dict.fromkeys(threads)] if cpu else []
    return [*on_cpu, *found]


def _named(names: Sequence[str]) -> dict[str, str]:
    """The models of devices by their full names; a process is asked what is here, where any is named."""
    if not names:
        return {}
    probe = probe_devices()
    there = [_here(name, as_grid_machine(probe)) for name in names]
    return {name: str(probe["devices"][name]["model"]) for name in there}


def _here(name: str, machine: Machine) -> str:
    found = canonical_name(the_device(name, machine))
    if found not in machine.devices:
        others = f"not here; there are {', '.join(sorted(machine.devices))}"
        raise UsageError(f"--device {name}: {machine.missing.get(device_kind(found)) or others}")
    return found
