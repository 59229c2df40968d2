"""How long a plan will take, from what a probe saw of this machine (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.cases.case import Case
from bench.cases.phases import REHEARSAL_STEPS, affordable_steps, plan_counts
from bench.cases.plan import Plan
from bench.cases.problem import DTYPES, TUTORIAL_ITERATIONS, TUTORIAL_SIZE, work_flops
from bench.machine.core_speed import NEUTRAL_S
from bench.machine.device import device_kind

# Calls a style makes in an iteration, in us on a slow core: what a tiny problem costs.
CALLS_US = {"numpy": 30.0, "torch": 150.0}
ACCELERATOR_START_S = 1.5
SCALING = 0.7  # so much of the logarithm of its threads does a product gain
COMPILE_S = 4.0  # a first call that compiles for the CPU, most of the time from its own cache
LAZY_TORCH = 0.8  # torch.optim's first step imports more of torch: so much of torch's own import
WORKER_S = 0.3  # a worker's own modules, its data and its answer
PRODUCTS_S, PRODUCTS_GFLOP = 1.0, 60.0  # of one dtype's ceiling: making the matrices, and multiplying them
SMALL_S = 0.4  # of the five products of a small size
COPIES_S, PAGES_S = 0.6, 6.5e-9  # of a ceiling's copies: all of them, and a byte of the largest, for its fresh pages
SHARE = {"cpu": 0.75, "cuda": 40.0}  # of one core's product speed that an iteration reaches
PARTS, PARTS_ITERATIONS = 6, 37  # of an iteration on a CPU, each measured by itself; what they take of it at least
ORACLE_SHARE = 0.9  # the same of the oracle's, in float64
"""Rough on purpose: only the plan's announced time depends on it."""


def iteration_seconds(case: Case, gflops: float) -> float:
    """About how long one iteration of a case takes where one float64 product runs at `gflops` on one core."""
    kind = device_kind(case.device)
    speed = gflops * SHARE.get(kind, SHARE["cuda"]) * (1.0 if case.problem.dtype == "float64" else 2.0)
    if kind == "cpu":
        speed *= case.threads**SCALING
    calls = CALLS_US.get(case.framework, CALLS_US["torch"])
    return calls / 1e6 + work_flops(case.problem, case.oracle) / speed / 1e9


def start_seconds(framework: str, device: str, probe: Mapping[str, Any]) -> float:
    """About how long a process takes until its framework is there and its device is open."""
    seconds: float = probe["seconds"] - probe.get("probe_seconds", 0.0)
    if framework == "torch" or device_kind(device) != "cpu":  # another library's import takes about as long
        seconds += probe.get("torch_seconds", 0.0)
    return seconds + (ACCELERATOR_START_S if device_kind(device) != "cpu" else 0.0)


def ceiling_seconds(jobs: Iterable[Mapping[str, Any]], probe: Mapping[str, Any]) -> float:
    """About how long measuring the ceilings takes."""
    products_s = {
        dtype: PRODUCTS_S + PRODUCTS_GFLOP / probe["gflops"] / (1 if dtype == "float64" else 2) for dtype in DTYPES
    }
    seconds = (
        start_seconds(job["framework"], job["device"], probe)
        + COPIES_S
        + PAGES_S * job["largest"]
        + sum(products_s[dtype] + SMALL_S * len(job["small"]) for dtype in job["dtypes"])
        for job in jobs
    )
    return float(sum(seconds))


@cache
def imports_lazily(source: Path) -> bool:
    """Whether a style's file uses torch.optim."""
    try:
        return "optim" in source.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def case_seconds(case: Case, plan: Plan, probe: Mapping[str, Any]) -> float:
    """About how long one process of a case takes, from its start to its answer, its program with it."""
    rule, style = plan.rule, plan.styles[case.style]
    accelerated = device_kind(case.device) != "cpu"
    each = iteration_seconds(case, probe["gflops"])
    start = start_seconds(case.framework, case.device, probe)
    more_torch, lazily = LAZY_TORCH * probe.get("torch_seconds", 0.0), imports_lazily(style.source)
    if case.framework == "torch" and lazily:
        start += more_torch
    if style.heap == "script":  # its cold loop runs in a process that imports too
        start += probe["numpy_seconds"]
    warm = rule.accelerator_warmup_s if accelerated else rule.warmup_s
    warmup = min(max(rule.warmup_iterations * each, warm), max(rule.warmup_limit_s, rule.warmup_floor * each))
    counts = plan_counts(rule, each * 1e9, style.cycle, referenced=case.one_core, ahead=style.ahead)
    neutral = NEUTRAL_S * (1 + len(counts.segments) + counts.batches) if case.one_core else 0.0
    flops = work_flops(case.problem, case.oracle)
    cores = probe.get("cpus", 1) if accelerated else case.threads  # that the oracle computes on
    rehearsed = 2 * REHEARSAL_STEPS * TUTORIAL_SIZE.flops  # by the style and by the oracle
    checked = affordable_steps(flops, counts.steps) * flops + rehearsed
    checking = checked / (ORACLE_SHARE * probe["gflops"] * 1e9 * cores**SCALING)
    compiling = COMPILE_S if style.compiled and not accelerated else 0.0
    program = start + compiling + TUTORIAL_ITERATIONS * each if case.program else 0.0
    parts = 0.0
    if rule.parts_s is not None and not accelerated and not style.compiled:
        parts = PARTS * rule.parts_s + PARTS_ITERATIONS * style.cycle * each
        if case.framework == "torch" and not lazily:  # torch's dispatch, which watches, imports as much as an optimiser
            parts += more_torch
    seconds: float = start + compiling + WORKER_S + warmup + counts.steps * each + neutral + parts + checking + program
    return seconds
