"""machine.json, checked once: JSON in which every fact has the kind that its readers take for granted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bench.errors import TableError
from bench.machine.ceilings import Ceiling
from bench.plain import ShapeError, from_plain
from bench.tables.files import read_file
from bench.words import harmless

Words: TypeAlias = Mapping[str, str]
FACTS: Mapping[str, Any] = {
    **dict.fromkeys(("created", "cpu_model", "governor", "system", "release", "python", "environment"), str | None),
    **dict.fromkeys(("cpus", "cores", "memory_bytes"), int | None),
    **dict.fromkeys(("packages", "missing", "distorting_variables"), Words | None),
    "run_id": str,
    "cpu_quota": float | None,
    "load_average": Sequence[float] | None,
    "devices": Mapping[str, Mapping[str, str | int | float | bool | None]] | None,
    "plan": Mapping[str, Any] | None,
    "ceilings": Sequence[Ceiling],
    "floors": Mapping[str, Mapping[str, Any]],
    "validation": Mapping[str, Any],
}
PLAN: Mapping[str, Any] = {
    "preset": str,
    **dict.fromkeys(("blocks", "seed"), int),
    "keep_env": bool,
    "decide": float | None,
    "looks": Sequence[int],
    "rule": Mapping[str, str | int | float | None],
    "cases": Sequence[Mapping[str, Any]],
    "styles": Words,
    "style_files": Sequence[str],
}
"""Of the plan what readers show; all of it is checked where a run is taken up."""


def read_json(path: Path) -> Any:
    """A JSON file without control characters and NaN, which is unknown. Raises OSError, ValueError, RecursionError."""
    return _harmless(json.loads(read_file(path), parse_constant=lambda _name: None))


def _harmless(value: Any) -> Any:
    if isinstance(value, dict):
        return {harmless(name).replace("\n", " "): _harmless(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_harmless(inner) for inner in value]
    return harmless(value).replace("\n", " ") if isinstance(value, str) else value


def sound_machine(machine: Any, path: Path) -> dict[str, Any]:
    """`machine`, of `path`, once every fact that is known here has its kind. Raises TableError."""
    if not isinstance(machine, dict) or not machine.get("run_id"):
        raise TableError(f"{path}: has no run_id; is this a run folder?")
    plan = machine.get("plan") or {}
    try:
        for known, values, place in ((FACTS, machine, ""), (PLAN, plan, "plan.")):
            for name, kind in known.items():
                if name in values:
                    from_plain(kind, values[name], place + name)
        if plan.get("blocks", 1) < 1:
            raise ShapeError(f"plan.blocks is {plan['blocks']}, expected 1 or more")
    except ShapeError as error:
        raise TableError(f"{path}: {error}; restore the file or measure the run again") from error
    return machine
