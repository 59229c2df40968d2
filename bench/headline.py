"""The one sentence that a run answers with: is it 50x here (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import pandas as pd

from bench.case import CASE_COLUMNS
from bench.claim import TUTORIAL_CLAIM, fastest, judge
from bench.problem import TUTORIAL_SIZE
from bench.report import microseconds, number, thread_count
from bench.speedup import SIZE_COLUMNS, Speedup, speedups
from bench.table import Run

OUTCOMES = ("supported", "refuted", "undecided", "untested")
Size = tuple[int, ...]


def headline(run: Run) -> str:
    """The verdict of one run in one sentence, led by its outcome; against the best CPU, an iteration, ieee float32."""
    ok = run.measurements[run.measurements["status"] == "ok"]
    if ok.empty:
        return "Untested: no case of this run could be measured."
    size = shown_size(ok)
    found = [one for one in speedups(ok) if one.contender[5:] == size and one.scope == "iteration"]
    on_gpu = fastest([one for one in found if one.baseline == "best-cpu" and _primary(one)])
    if on_gpu is None:
        return f"Untested: no GPU was measured; {_on_cpu(ok, size, found)}."
    return _on_gpu(run, on_gpu, size)


def outcome_of(sentence: str) -> str:
    """The outcome that leads a headline, empty where none does."""
    first = sentence.split(":", 1)[0].strip().lower()
    return first if first in OUTCOMES else ""


def shown_size(ok: pd.DataFrame) -> Size:
    """The tutorial's size where it was measured, else the one with the most work."""
    sizes = sorted({tuple(int(side) for side in row) for row in ok[list(SIZE_COLUMNS)].itertuples(index=False)})
    return TUTORIAL_SIZE if TUTORIAL_SIZE in sizes else max(sizes, key=math.prod)


def _primary(one: Speedup) -> bool:
    _style, device, dtype, precision, *_rest = one.contender
    return device != "cpu" and dtype == "float32" and precision == "ieee"


def _on_gpu(run: Run, one: Speedup, size: Size) -> str:
    limit, ratio = TUTORIAL_CLAIM.threshold, one.ratio
    verdict = judge(ratio, limit, "its processes were noisy" if one.noisy else "")
    style, device, *_rest = one.contender
    base_style, _cpu, base_dtype, _precision, threads = one.baseline_case[:5]
    model = run.machine.get("devices", {}).get(device, {}).get("model", device)
    interval = f" [{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else ""
    return (
        f"{verdict.outcome.capitalize()}: at {_times(size)} the GPU ({model}, {style}) is {number(ratio.value)}x"
        f"{interval} as fast as the best CPU style ({base_style} {base_dtype}, {thread_count(int(threads))}): "
        f"{microseconds(one.contender_us)} against {microseconds(one.baseline_us)} us an iteration; "
        f"the claim says {limit:g}x."
    )


def _on_cpu(ok: pd.DataFrame, size: Size, found: Sequence[Speedup]) -> str:
    """The fastest style of the same training on the CPU; against numpy as the tutorial writes it, if that ran."""
    same = ok[(ok[list(SIZE_COLUMNS)] == list(size)).all(axis=1) & (ok["oracle"] == "sgd")]
    if same.empty:
        return "no style that trains by plain SGD was measured"
    medians = same.groupby(list(CASE_COLUMNS), sort=True)["latency_median_us"].median()
    best = cast(tuple[str | int, ...], medians.idxmin())
    style, _device, dtype, _precision, threads = best[:5]
    who = f"{style} {dtype}, {thread_count(int(threads))}"
    time = f"{microseconds(float(medians.min()))} us an iteration at {_times(size)}"
    over = next((one for one in found if one.contender == best and one.baseline in ("tutorial", "tutorial-1")), None)
    if over is None or not math.isfinite(over.ratio.low):
        return f"the fastest CPU style, {who}, takes {time}"
    ratio = f"{number(over.ratio.value)}x [{number(over.ratio.low)}, {number(over.ratio.high)}]"
    return f"the fastest CPU style ({who}: {time}) is {ratio} as fast as the tutorial's numpy in float64"


def _times(size: Size) -> str:
    return "x".join(map(str, size))
