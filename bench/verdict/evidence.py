"""What a run's rows can testify to: its sound speedups, and which cases are wrong, incomplete or missing (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS, Size
from bench.cases.problem import TUTORIAL_ITERATIONS, Problem
from bench.errors import UsageError
from bench.verdict.intervals import CONFIDENCE
from bench.verdict.speedup import BASELINES, SCOPES, Speedup, named_baselines, speedups, trusted

Case = tuple[str | int, ...]  # the values of CASE_COLUMNS
NEEDED = (*CASE_COLUMNS, "block", "framework", "oracle", "status", "noisy", "environment", *SCOPES.values())
BEST_GPU, BEST_GPU_TF32 = "best-gpu", "best-gpu-tf32"
PRIMARY = "best-cpu"
BROKEN = ("failed", "oom", "timeout", "crashed")
POOLS = ("numpy-1", "numpy-all", "best-cpu")  # baselines that are the fastest of several cases


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a case testifies to nothing, or not to all: its worst status, the reason, in how many of its blocks."""

    status: str
    reason: str
    blocks: int
    of: int

    @property
    def words(self) -> str:
        """`crashed in 2 of 10 blocks: killed by signal 11`."""
        share = f" in {self.blocks} of {self.of} blocks" if self.of > 1 else ""
        return f"{self.status}{share}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The `ok` rows of cases that were never wrong, the speedups of accelerators, and every case's trouble.

    `sgd` are the cases that train by plain SGD, the only ones that the claim is about.
    """

    rows: pd.DataFrame
    speedups: tuple[Speedup, ...]
    sizes: tuple[Size, ...]  # by work
    sgd: frozenset[Case]
    measured: frozenset[Case]
    trouble: Mapping[Case, Trouble]
    baselines_by_size: Mapping[Size, Mapping[str, pd.DataFrame]]

    @property
    def baselines(self) -> tuple[str, ...]:
        """The names of BASELINES that were measured at any size, in their order."""
        there = {name for named in self.baselines_by_size.values() for name in named}
        there |= {one.baseline for one in self.speedups if is_accelerator(one.contender)}
        return tuple(name for name in BASELINES if name in there)

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of the accelerator cases that have a speedup, without their sizes."""
        there = [one.contender for one in self.speedups if self.is_contender(one.contender)]
        return tuple(sorted(dict.fromkeys(map(contender_name, there))))

    def is_contender(self, case: Case) -> bool:
        """An accelerator case that trains by plain SGD."""
        return is_accelerator(case) and case in self.sgd

    def baseline(self, size: Size, name: str, scope: str) -> tuple[Case | None, float]:
        """The case behind a baseline's name at a size, and its median us an iteration in a scope."""
        rows = self.baselines_by_size.get(size, {}).get(name)
        if rows is None:
            return None, math.nan
        column = SCOPES[scope]
        unit = 1.0 if column.endswith("_us") else 1e6 / TUTORIAL_ITERATIONS
        return tuple(rows.iloc[0][list(CASE_COLUMNS)]), float(rows[column].median()) * unit

    def doubt(self, speedup: Speedup) -> str:
        """Why this speedup may not support a claim; empty where nothing stands against it."""
        if speedup.noisy:
            return "noisy: too few blocks passed the noise gates"
        for case in (speedup.contender, speedup.baseline_case):
            if case in self.trouble:
                return f"{case_name(case)} {self.trouble[case].words}"
        if speedup.baseline in POOLS:
            for case, trouble in self.trouble.items():
                if trouble.status in BROKEN and self._could_be_baseline(case, speedup):
                    return f"{case_name(case)} {trouble.words}; it may be the faster baseline"
        return ""

    def _could_be_baseline(self, case: Case, speedup: Speedup) -> bool:
        same = case[5:] == speedup.contender[5:] and case in self.sgd
        return same and case[1] == "cpu" and case[2] == "float32"

    def why_untested(self, size: Size, baseline: str, contender: str, scope: str) -> str:
        """What is missing for a speedup at this size."""
        case, microseconds = self.baseline(size, baseline, scope)
        wanted = [one for one in self.trouble if one[5:] == size and self.is_contender(one) and named(one, contender)]
        if not any(one[5:] == size and self.is_contender(one) and named(one, contender) for one in self.measured):
            why = next((f"{case_name(one)} {self.trouble[one].words}" for one in wanted), "")
            return f"no {contender} was measured" + (f": {why}" if why else "")
        if baseline != "own" and case is None:
            return f"the baseline {baseline} was not measured at this size"
        if case is not None and not microseconds > 0:
            return f"{case_name(case)} was not measured in the scope {scope}"
        return f"no pair of {contender} and {baseline} was measured in the scope {scope}"


def gather(measurements: pd.DataFrame, confidence: float = CONFIDENCE) -> Evidence:
    """The evidence in a table of measurements, one row a case and block; intervals of `confidence`.

    A case that was `wrong` in one block testifies to nothing, in no block.
    """
    trouble = troubles(measurements)
    keys = pd.MultiIndex.from_frame(measurements[list(CASE_COLUMNS)])
    sound = trusted(measurements)
    sizes = sorted(
        {cast(Size, tuple(map(int, key))) for key in measurements[list(SIZE_COLUMNS)].itertuples(index=False)},
        key=lambda size: Problem(*size).flops,
    )
    named_by_size = {
        cast(Size, size): dict(named_baselines(same)) for size, same in sound.groupby(list(SIZE_COLUMNS), sort=False)
    }
    return Evidence(
        rows=sound,
        speedups=tuple(speedups(sound[list(NEEDED)], confidence, is_accelerator)),
        sizes=tuple(sizes),
        sgd=frozenset(keys[measurements["oracle"] == "sgd"]),
        measured=frozenset(pd.MultiIndex.from_frame(sound[list(CASE_COLUMNS)])),
        trouble=trouble,
        baselines_by_size=named_by_size,
    )


def troubles(measurements: pd.DataFrame) -> dict[Case, Trouble]:
    """Every case with a row that is not `ok`; `wrong` outweighs all else."""
    found = {}
    for key, rows in measurements.groupby(list(CASE_COLUMNS), sort=False):
        bad = rows[rows["status"] != "ok"]
        if bad.empty:
            continue
        wrong = bad[bad["status"] == "wrong"]
        worst = (wrong if len(wrong) else bad).iloc[0]
        found[cast(Case, key)] = Trouble(str(worst["status"]), str(worst["reason"]), len(bad), len(rows))
    return found


def contenders(evidence: Evidence, size: Size, baseline: str, contender: str, scope: str) -> list[Speedup]:
    """The speedups of a contender at a size over a baseline in a scope."""
    return [
        one
        for one in evidence.speedups
        if one.contender[5:] == size
        and one.scope == scope
        and one.baseline == baseline
        and evidence.is_contender(one.contender)
        and named(one.contender, contender)
    ]


def named(case: Case, contender: str) -> bool:
    """Does `contender` mean this case? A style's name alone means float32 with ieee products."""
    style, _device, dtype, precision = case[:4]
    if contender == BEST_GPU:
        return (dtype, precision) == ("float32", "ieee")
    if contender == BEST_GPU_TF32:
        return (dtype, precision) == ("float32", "tf32")
    return contender == contender_name(case) or (contender == style and (dtype, precision) == ("float32", "ieee"))


def known_contender(measurements: pd.DataFrame, contender: str) -> str:
    """The name of a contender of this run, measured or not. Raises UsageError."""
    rows = measurements[measurements["device"] != "cpu"]
    cases = [cast(Case, tuple(key)) for key in rows[list(CASE_COLUMNS)].drop_duplicates().itertuples(index=False)]
    if contender in (BEST_GPU, BEST_GPU_TF32) or any(named(case, contender) for case in cases):
        return contender
    there = ", ".join([BEST_GPU, BEST_GPU_TF32, *sorted(set(map(contender_name, cases)))])
    raise UsageError(f"--contender {contender}: this run has no such accelerator case; it has {there}")


def is_accelerator(case: Case) -> bool:
    """Anything but the CPU."""
    return case[1] != "cpu"


def contender_name(case: Case) -> str:
    """`torch_tensors cuda:0 float32`, with the precision where it is not ieee."""
    style, device, dtype, precision = case[:4]
    return f"{style} {device} {dtype}" + ("" if precision == "ieee" else f" {precision}")


def case_name(case: Case) -> str:
    """Like `contender_name`, with the threads of a CPU case."""
    threads = f" {case[4]} thread{'' if case[4] == 1 else 's'}" if case[1] == "cpu" else ""
    return contender_name(case) + threads
