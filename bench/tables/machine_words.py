"""The machine of a run in words: in one line, and every fact of machine.json by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.machine.environment import variable_words
from bench.words import counted


def processor(machine: Mapping[str, Any]) -> str:
    """`Intel(R) Xeon(R) Processor, 2 CPUs`."""
    cpus = machine.get("cpus")
    return (machine.get("cpu_model") or "unknown processor") + ("" if cpus is None else f", {counted(cpus, 'CPU')}")


def accelerators(machine: Mapping[str, Any]) -> dict[str, str]:
    """The model of each device that is no CPU, by the device's name."""
    devices = machine.get("devices") or {}
    return {name: str(found.get("model") or "") for name, found in devices.items() if name != "cpu"}


def versions(machine: Mapping[str, Any]) -> list[str]:
    """`numpy 2.4.6`, `torch 2.13.0`: what a time depends on most."""
    packages = machine.get("packages") or {}
    return [f"{name} {packages[name]}" for name in ("numpy", "torch") if packages.get(name)]


def brief_facts(machine: Mapping[str, Any]) -> list[str]:
    """Processor, accelerators, versions, preset, run, date."""
    plan, kept = machine.get("plan") or {}, machine.get("environment") == "kept"
    blocks = counted(plan["blocks"], "block") if "blocks" in plan else ""
    facts = [
        processor(machine),
        *([f"{name} {model}".strip() for name, model in accelerators(machine).items()] or ["no accelerator"]),
        *versions(machine),
        ", ".join(filter(None, (f"preset {plan['preset']}" if "preset" in plan else "", blocks))),
        f"run {machine.get('run_id') or 'unknown'}",
        str(machine.get("created") or "")[:10],
        f"kept {variable_words(machine.get('distorting_variables') or {})}" if kept else "",
    ]
    return [fact for fact in facts if fact]


def machine_facts(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What machine.json says, (name, value); what is unknown is left out."""
    load, memory = machine.get("load_average"), machine.get("memory_bytes")
    variables = machine.get("distorting_variables") or {}
    verb = "kept" if machine.get("environment") == "kept" else "removed"
    facts: list[tuple[str, Any]] = [
        ("processor", machine.get("cpu_model")),
        ("CPUs to use", machine.get("cpus")),
        ("CPUs there are", machine.get("cores")),
        ("CPU quota", machine.get("cpu_quota")),
        ("memory", None if memory is None else f"{memory / 2**30:.1f} GiB"),
        ("governor", machine.get("governor")),
        ("load before", " ".join(f"{value:.2f}" for value in load) if load else None),
        ("system", " ".join(filter(None, (machine.get("system"), machine.get("release"))))),
        ("Python", machine.get("python")),
        *(machine.get("packages") or {}).items(),
        *((name, _device(found)) for name, found in (machine.get("devices") or {}).items() if name != "cpu"),
        *((f"no {kind}", reason) for kind, reason in (machine.get("missing") or {}).items()),
        (f"variables {verb}", ", ".join(f"{name}={value}" for name, value in variables.items())),
        ("run", machine.get("run_id")),
        ("measured", machine.get("created")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _device(found: Mapping[str, Any]) -> str:
    known = {name: one for name, one in found.items() if one is not None and name not in ("model", "free_bytes")}
    rest = [f"{name.replace('_', ' ')} {value}" for name, value in known.items()]
    return ", ".join(filter(None, [str(found.get("model") or ""), *rest]))
