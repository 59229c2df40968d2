"""The one sentence that a run answers with: is it 50x here (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cases.problem import Size
from bench.report.verdict import OFTEN_WORDS
from bench.tables.by_case import cases_in
from bench.tables.run import Run
from bench.verdict.claim import TUTORIAL_CLAIM, UNTESTED, Verdict, fastest
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of
from bench.verdict.speedup import Speedup, mean_us
from bench.words import microseconds, number, thread_count


@dataclass(frozen=True, slots=True)
class Answer:
    """A run's answer: `supported`, `refuted`, `undecided` or `untested`, and the sentence that says so."""

    outcome: str
    sentence: str


def headline(evidence: Evidence) -> str:
    """The verdict of one run in one sentence: is it often 50x, the best GPU style against the best CPU's."""
    return answer(evidence).sentence


def answer(evidence: Evidence) -> Answer:
    """What `verdict` answers of the same run, and what an iteration takes at one telling size."""
    if evidence.rows.empty:
        return Answer(UNTESTED, "Untested: no case of this run could be measured.")
    size = evidence.shown_size
    everywhere, found = evidence.by_iteration(), evidence.by_iteration(size)
    verdict = judgement_of(evidence, Question(TUTORIAL_CLAIM)).verdict
    on_gpu = fastest([one for one in found if one.baseline == "best-cpu" and _primary(one)])
    if on_gpu is None:
        accelerated = any(not case.on_cpu for case in evidence.measured)
        why = "the GPU met no CPU baseline" if accelerated else "no GPU was measured"
        return Answer(verdict.outcome, f"{_lead(verdict)}: {why}; {_on_cpu(evidence, size, found)}.")
    words = _on_gpu(evidence.run, on_gpu, size)
    return Answer(verdict.outcome, f"{_lead(verdict)}: {words}{_highest(everywhere, on_gpu)}.")


def _lead(verdict: Verdict) -> str:
    return OFTEN_WORDS[verdict.outcome].format(x=f"{TUTORIAL_CLAIM.threshold:g}x")


def _primary(one: Speedup) -> bool:
    return not one.contender.on_cpu and one.contender.arithmetic == "float32"


def _on_gpu(run: Run, one: Speedup, size: Size) -> str:
    device, base = one.contender.device, one.baseline_case
    model = (run.machine.get("devices") or {}).get(device, {}).get("model", device)
    return (
        f"at {size} the fastest GPU style ({one.contender.style}, {model}: {microseconds(one.contender_us)} us an "
        f"iteration) is {number(one.ratio.value)}x{_interval(one)} as fast as the fastest CPU style ({base.style} "
        f"{base.dtype}, {thread_count(base.threads)}: {microseconds(one.baseline_us)} us)"
        f"{', with noise' if one.noisy else ''}"
    )


def _highest(everywhere: Sequence[Speedup], shown: Speedup) -> str:
    """Where a GPU style's speedup over the best CPU is greatest, unless that is the one shown or one is unknown."""
    known = [one for one in everywhere if one.baseline == "best-cpu" and _primary(one) and one.ratio.low > 0]
    best = max(known, key=lambda one: one.ratio.value, default=shown)
    if best.contender.size == shown.contender.size or not best.ratio.value > shown.ratio.value:
        return ""
    return f"; the highest is {number(best.ratio.value)}x{_interval(best)} at {best.contender.size}"


def _interval(one: Speedup) -> str:
    ratio = one.ratio
    return f" [{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else ""


def _on_cpu(evidence: Evidence, size: Size, found: Sequence[Speedup]) -> str:
    """The fastest style of the same training on the CPU; against numpy as the tutorial writes it, if that ran."""
    here = {case: rows for case, rows in cases_in(evidence.rows_at(size)) if case in evidence.sgd}
    if not here:
        return "no style that trains by plain SGD was measured"
    best = min(sorted(here), key=lambda case: mean_us(here[case]))
    who = f"{best.style} {best.dtype}, {thread_count(best.threads)}"
    time = f"{microseconds(mean_us(here[best]))} us an iteration at {size}"
    over = next((one for one in found if one.contender == best and one.baseline in ("tutorial", "tutorial-1")), None)
    if over is None or not math.isfinite(over.ratio.low):
        return f"the fastest CPU style, {who}, takes {time}"
    ratio = f"{number(over.ratio.value)}x [{number(over.ratio.low)}, {number(over.ratio.high)}]"
    return f"the fastest CPU style ({who}: {time}) is {ratio} as fast as the tutorial's numpy in float64"
