"""What a launch, a wait, a read and a copy cost on each GPU of a run: asked once, kept in its machine.json."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cases.plan import Plan
from bench.machine.device import device_kind
from bench.machine.process import ask
from bench.status import Say
from bench.tables.run import read_machine
from bench.tables.writer import write_machine

BUDGET_SHARE = 0.1  # of a run's time, each


def add_device_floors(folder: Path, plan: Plan, warn: Say, say: Say) -> float:
    """Measure those of every CUDA device of the plan that machine.json lacks; the seconds that took."""
    began, machine = time.monotonic(), read_machine(folder)
    missing = floors_missing(plan, machine)
    if missing:
        found = {device: _floors_of(plan, device, warn, say) for device in missing}
        write_machine(folder, {**machine, "floors": {**(machine.get("floors") or {}), **found}})
    return time.monotonic() - began if missing else 0.0


def floors_missing(plan: Plan, machine: Mapping[str, Any]) -> list[str]:
    """The CUDA devices of the plan of which machine.json does not say what a launch, a wait or a read costs."""
    devices = {case.device for case in plan.cases if device_kind(case.device) == "cuda"}
    return sorted(devices - set(machine.get("floors") or {}))


def _floors_of(plan: Plan, device: str, warn: Say, say: Say) -> dict[str, Any]:
    """What a process found of a device, its figures empty where it failed; the plan's torch styles are profiled."""
    say(f"floors: what a launch, a wait, a read and a copy cost on {device}")
    styles = sorted({case.style for case in plan.cases if (case.device, case.framework) == (device, "torch")})
    limit_s = plan.timeout_s if plan.budget_s is None else min(plan.timeout_s, BUDGET_SHARE * plan.budget_s)
    answer = ask(
        "bench.doctor.floors", {"device": device, "styles": styles, "quick": True}, shape=dict[str, Any],
        keep_env=plan.keep_env, timeout_s=limit_s,
    )  # fmt: skip
    if answer.status is None:
        return dict(answer.value)
    warn(f"no floors of {device}: {answer.reason}")
    return {"figures": {}, "errors": {"process": answer.reason}}
