"""What a run folder holds already, and whether its run may be taken up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.case import AS_FOUND, CASE_COLUMNS
from bench.environment import variable_words
from bench.errors import UsageError
from bench.request import dump_plan, same_plan
from bench.runner import Key, Plan
from bench.table import MEASURED_AS_FOUND, MEASUREMENTS, read_machine, read_measurements


def check_same(folder: Path, before: Mapping[str, Any], plan: Plan, machine: Mapping[str, Any]) -> None:
    """Raises UsageError when a folder's run has another plan or was begun on another machine."""
    theirs, ours = before.get("plan", {}), dump_plan(plan)
    if any(case.get("as_found") for case in [*theirs.get("cases", ()), *ours["cases"]]):
        check_variables(folder, before, machine)
    if not same_plan(theirs, ours):
        raise UsageError(
            f"--resume: {folder} was made with another plan (preset {theirs.get('preset')}, {theirs.get('blocks')} "
            f"blocks, seed {theirs.get('seed')}); give --resume and --out alone, or choose another --out"
        )
    for name in ("cpu_model", "cpus", "python", "packages", "devices"):
        if _lasting(before.get(name)) != _lasting(machine[name]):
            raise UsageError(
                f"--resume: {folder} was begun elsewhere ({name} was {before.get(name)}, is {machine[name]}); "
                "start a new run with another --out"
            )


def check_variables(folder: Path, before: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    """Raises UsageError where the shell has other distorting variables than the one that a run was begun in."""
    then, now = (variable_words(one.get("distorting_variables") or {}) for one in (before, machine))
    if then != now:
        raise UsageError(
            f"--resume: {folder} was begun with {then}, this shell has {now}, and numpy is measured as found; "
            "set them as they were, or start a new run with another --out"
        )


def _lasting(value: Any) -> Any:
    """A fact without what changes from minute to minute: a device's free memory."""
    if not isinstance(value, Mapping):
        return value
    return {name: _lasting(inner) for name, inner in value.items() if name != "free_bytes"}


def done_attempts(folder: Path) -> dict[Key, int]:
    """The turns that a run folder already holds, and how many tries each took."""
    done: dict[Key, int] = {}
    for name, mark in ((MEASUREMENTS, ()), (MEASURED_AS_FOUND, (AS_FOUND,))):
        if (folder / name).exists():
            for row in read_measurements(folder / name, read_machine(folder)).to_dict("records"):
                done[int(row["block"]), (*(row[column] for column in CASE_COLUMNS), *mark)] = int(row["attempts"])
    return done


def tries_used(done: Mapping[Key, int]) -> Counter[tuple[str | int, ...]]:
    """How often each case was taken again so far."""
    used: Counter[tuple[str | int, ...]] = Counter()
    for (_block, key), attempts in done.items():
        used[key] += attempts - 1
    return used
