"""A run's folder: whether it may be written, what it holds already, whether its run may be taken up."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.cases.case import AS_FOUND, CASE_COLUMNS
from bench.cases.plan import Plan, dump_plan, same_plan
from bench.errors import UsageError
from bench.machine.environment import variable_words
from bench.runner.turns import Key
from bench.tables.columns import MACHINE, MEASURED_AS_FOUND, MEASUREMENTS
from bench.tables.run import read_machine, read_measurements
from bench.words import several


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
        if changed := list(_changed(name, _lasting(before.get(name)), _lasting(machine[name]))):
            raise UsageError(
                f"--resume: {folder} was begun elsewhere ({several(changed)}); start a new run with another --out"
            )


def check_variables(folder: Path, before: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    """Raises UsageError where the shell has other distorting variables than the one that a run was begun in."""
    then, now = (variable_words(one.get("distorting_variables") or {}) for one in (before, machine))
    if then != now:
        raise UsageError(
            f"--resume: {folder} was begun with {then}, this shell has {now}, and numpy is measured as found; "
            "set them as they were, or start a new run with another --out"
        )


def _changed(name: str, then: Any, now: Any) -> Iterator[str]:
    """What is not as it was: `numpy was 2.3.1, is 2.4.6`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for inner in dict.fromkeys([*then, *now]):
            yield from _changed(f"{name}: {inner}", then.get(inner), now.get(inner))
    elif then != now:
        yield f"{name} was {'not there' if then is None else then}, is {'not there' if now is None else now}"


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


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raises UsageError unless a run can be written to `folder`; writes nothing."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file; give a folder that does not exist yet")
    if folder.exists() and not resume:
        raise UsageError(f"--out {folder}: exists already; choose another, or finish that run with --resume")
    held = [path for path in folder.iterdir() if path.suffix != ".part"] if folder.is_dir() else []
    if held and not (folder / MACHINE).exists():
        raise UsageError(f"--out {folder}: holds no run to resume; choose another")
    parent = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not parent.is_dir():
        raise UsageError(f"--out {folder}: cannot be written: {parent} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"--out {folder}: cannot be written: no permission in {parent}")


def make_folder(folder: Path) -> None:
    """Raises UsageError where the system refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written: {error.strerror}") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold `folder` against a second run; a no-op where the system cannot. Raises UsageError."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"--out {folder}: another run is writing there; wait for it, or choose another") from error
        yield
    finally:
        os.close(handle)
