"""The one sentence that a run answers with: is it 50x here (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS
from bench.cases.problem import TUTORIAL_SIZE
from bench.machine.device import device_kind
from bench.report.verdict import OFTEN_WORDS
from bench.tables.run import Run
from bench.verdict.claim import TUTORIAL_CLAIM, UNTESTED, Verdict, fastest
from bench.verdict.judgement import Question, judge_run
from bench.verdict.speedup import Speedup, confidence_of, speedups, trusted
from bench.words import microseconds, number, thread_count

Size = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A run's answer: `supported`, `refuted`, `undecided` or `untested`, and the sentence that says so."""

    outcome: str
    sentence: str


def headline(run: Run) -> str:
    """The verdict of one run in one sentence: is it often 50x, the best GPU style against the best CPU's."""
    return answer(run).sentence


def answer(run: Run) -> Answer:
    """What `verdict` answers of the same run, and what an iteration takes at one telling size."""
    ok = trusted(run.measurements)
    if ok.empty:
        return Answer(UNTESTED, "Untested: no case of this run could be measured.")
    size = shown_size(ok)
    everywhere = [one for one in speedups(run.measurements, confidence_of(run.machine)) if one.scope == "iteration"]
    found = [one for one in everywhere if one.contender[5:] == size]
    verdict = judge_run(run.measurements, run.machine, Question(TUTORIAL_CLAIM)).verdict
    on_gpu = fastest([one for one in found if one.baseline == "best-cpu" and _primary(one)])
    if on_gpu is None:
        accelerated = any(device_kind(device) != "cpu" for device in ok["device"].unique())
        why = "the GPU met no CPU baseline" if accelerated else "no GPU was measured"
        return Answer(verdict.outcome, f"{_lead(verdict)}: {why}; {_on_cpu(ok, size, found)}.")
    return Answer(verdict.outcome, f"{_lead(verdict)}: {_on_gpu(run, on_gpu, size)}{_highest(everywhere, on_gpu)}.")


def _lead(verdict: Verdict) -> str:
    return OFTEN_WORDS[verdict.outcome].format(x=f"{TUTORIAL_CLAIM.threshold:g}x")


def shown_size(ok: pd.DataFrame) -> Size:
    """The tutorial's size where it was measured, else the one with the most work."""
    sizes = sorted({tuple(int(side) for side in row) for row in ok[list(SIZE_COLUMNS)].itertuples(index=False)})
    return TUTORIAL_SIZE if TUTORIAL_SIZE in sizes else max(sizes, key=math.prod)


def _primary(one: Speedup) -> bool:
    _style, device, dtype, precision, *_rest = one.contender
    return device_kind(str(device)) != "cpu" and dtype == "float32" and precision == "ieee"


def _on_gpu(run: Run, one: Speedup, size: Size) -> str:
    style, device, *_rest = one.contender
    base_style, _cpu, base_dtype, _precision, threads = one.baseline_case[:5]
    model = (run.machine.get("devices") or {}).get(device, {}).get("model", device)
    return (
        f"at {_times(size)} the fastest GPU style ({style}, {model}: {microseconds(one.contender_us)} us an iteration) "
        f"is {number(one.ratio.value)}x{_interval(one)} as fast as the fastest CPU style ({base_style} {base_dtype}, "
        f"{thread_count(int(threads))}: {microseconds(one.baseline_us)} us){', with noise' if one.noisy else ''}"
    )


def _highest(everywhere: Sequence[Speedup], shown: Speedup) -> str:
    """Where a GPU style's speedup over the best CPU is greatest, unless that is the one shown or one is unknown."""
    known = [one for one in everywhere if one.baseline == "best-cpu" and _primary(one) and one.ratio.low > 0]
    best = max(known, key=lambda one: one.ratio.value, default=shown)
    if best.contender[5:] == shown.contender[5:] or not best.ratio.value > shown.ratio.value:
        return ""
    size = tuple(int(side) for side in best.contender[5:])
    return f"; the highest is {number(best.ratio.value)}x{_interval(best)} at {_times(size)}"


def _interval(one: Speedup) -> str:
    ratio = one.ratio
    return f" [{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else ""


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
