"""What differs between two runs other than their times: machine, versions, styles, method (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.tables.run import Run

MACHINE_FIELDS = ("cpu_model", "cpus", "cores", "cpu_quota", "memory_bytes", "governor", "system", "release")
SAME_SPEED = 1.01
METHOD_FIELDS = ("preset", "blocks", "seed", "keep_env")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two runs do not share: which kind, its name, its value in each, `None` where it is not there."""

    kind: str  # machine, versions, styles or method
    name: str
    a: str | None
    b: str | None


def differences(a: Run, b: Run) -> list[Difference]:
    """Everything recorded about two runs that is not the same in both, except when they ran.

    Of a style that only one of them measured nothing was compared, so that it is no difference.
    """
    pairs = zip(_facts(a), _facts(b), strict=True)
    found = core_speeds(a, b)
    for (kind, one), (_kind, other) in pairs:
        for name in dict.fromkeys([*one, *other]):
            values = [None if side.get(name) is None else str(side[name]) for side in (one, other)]
            if values[0] != values[1] and not (kind == "styles" and None in values):
                found.append(Difference(kind, name, *values))
    return found


def core_speeds(a: Run, b: Run) -> list[Difference]:
    """The median time of the reference product in each, where both read it and the core was not as fast in both.

    Then whatever a comparison finds may be the core's clock and not the code.
    """
    sides = [run.measurements["reference_us"].median() for run in (a, b)]
    if not all(us > 0 for us in sides) or max(sides) <= SAME_SPEED * min(sides):
        return []
    return [Difference("machine", "core speed (reference product)", *(f"{us:.1f} us" for us in sides))]


def _facts(run: Run) -> Iterator[tuple[str, Mapping[str, Any]]]:
    machine, plan = run.machine, run.machine.get("plan") or {}
    devices = (machine.get("devices") or {}).items()
    facts = [(device, *fact) for device, found in devices for fact in found.items() if device != "cpu"]
    yield "machine", {name: machine.get(name) for name in MACHINE_FIELDS}  # the processor's model among them
    yield "machine", {f"{device} {name}": value for device, name, value in facts if name != "free_bytes"}
    yield "versions", {"python": machine.get("python"), **(machine.get("packages") or {})}
    yield "versions", _libraries(run)
    yield "styles", {name: f"source {mark}" for name, mark in (plan.get("styles") or {}).items()}
    yield "method", {name: plan.get(name) for name in METHOD_FIELDS}
    yield "method", {f"rule {name}": value for name, value in (plan.get("rule") or {}).items()}
    kept = machine.get("environment") == "kept"
    variables = (machine.get("distorting_variables") or {}) if kept else {}
    yield "method", {f"variable {name}": value for name, value in variables.items()}


def _libraries(run: Run) -> dict[str, str]:
    ok = run.measurements[run.measurements["status"] == "ok"]
    return {
        f"BLAS of {framework}": ", ".join(sorted(set(rows["blas"]) - {""}))
        for framework, rows in ok.groupby("framework", sort=True)
        if (rows["blas"] != "").any()
    }
