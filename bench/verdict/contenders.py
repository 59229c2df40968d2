"""Which cases the name of a contender means (pure)."""

from __future__ import annotations

import pandas as pd

from bench.cases.case import CaseKey
from bench.errors import UsageError
from bench.tables.by_case import cases_in

BEST_GPU, BEST_GPU_TF32 = "best-gpu", "best-gpu-tf32"


def named(case: CaseKey, contender: str) -> bool:
    """Does `contender` mean this case? A style's name alone means float32 with ieee products."""
    if contender in (BEST_GPU, BEST_GPU_TF32):
        return not case.on_cpu and case.arithmetic == ("float32" if contender == BEST_GPU else "float32 tf32")
    return contender == case.label or (contender == case.style and case.arithmetic == "float32")


def known_contender(measurements: pd.DataFrame, contender: str) -> str:
    """The name of a contender of this run, measured or not. Raises UsageError."""
    cases = [case for case, _ in cases_in(measurements)]
    if contender in (BEST_GPU, BEST_GPU_TF32) or any(named(case, contender) for case in cases):
        return contender
    there = ", ".join([BEST_GPU, BEST_GPU_TF32, *sorted({case.style for case in cases})])
    raise UsageError(
        f"--contender {contender}: this run has no such case; it has {there}, "
        f"or one of them in full, such as '{cases[0].label}'"
    )
