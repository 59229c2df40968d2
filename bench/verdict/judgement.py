"""Everything that a verdict rests on, for one run: findings, crossovers, break-even, decomposition, peaks (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.cases.case import CaseKey
from bench.cases.problem import Size
from bench.errors import UsageError
from bench.machine.ceilings import Peaks, peaks
from bench.plain import to_plain
from bench.tables.by_case import cases_in
from bench.verdict.break_even import BreakEven, break_even
from bench.verdict.claim import TUTORIAL_CLAIM, Claim, Finding, Verdict, find, find_one, often
from bench.verdict.contenders import BEST_GPU, known_contender
from bench.verdict.crossover import TARGETS, Crossover, crossover
from bench.verdict.decomposition import Decomposition, decompose
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.speedup import PRIMARY, Speedup, chosen_baselines, mean_us
from bench.verdict.reach import beaten

NAMES = {
    BEST_GPU: "the fastest GPU style",
    PRIMARY: "the fastest CPU style",
    **dict.fromkeys(("tutorial", "tutorial-1"), "the tutorial's numpy"),
}


def base_words(baseline: str) -> str:
    """`the fastest CPU style`; a baseline or contender without such words by its name."""
    return NAMES.get(baseline, baseline)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a claim about a contender against a baseline in a scope."""

    claim: Claim
    baseline: str = PRIMARY
    contender: str = BEST_GPU
    scope: str = "iteration"
    only: bool = False  # show this baseline alone


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer for one run; `verdict` is of the question, `findings` of every size, baseline and scope."""

    question: Question
    evidence: Evidence
    verdict: Verdict
    findings: tuple[Finding, ...]
    crossovers: tuple[Crossover, ...]
    break_evens: tuple[BreakEven, ...]
    decomposition: Decomposition | None
    peaks: Peaks | None
    missing: tuple[str, ...]
    beaten: tuple[str, ...]  # measured times that published figures do not allow

    def about(self, baseline: str, scope: str) -> list[Finding]:
        """The findings against one baseline in one scope, by size."""
        return [one for one in self.findings if (one.baseline, one.scope) == (baseline, scope)]

    @property
    def main(self) -> list[Finding]:
        """The findings that the verdict counts."""
        return self.about(self.question.baseline, self.question.scope)


def judgement_of(evidence: Evidence, question: Question) -> Judgement:
    """Hold the question against a run. Raises UsageError."""
    run = evidence.run
    if run.measurements.empty:
        raise UsageError("the run holds no measurement; start it again")
    known_contender(run.measurements, question.contender)
    named = (question.baseline,) if question.only else (question.baseline, *evidence.baselines)
    findings = find(evidence, question.claim, dict.fromkeys(named), question.contender)
    main = [one for one in findings if (one.baseline, one.scope) == (question.baseline, question.scope)]
    first = [one for one in findings if (one.baseline, one.scope) == (question.baseline, "iteration")]
    repaid = [break_even(evidence, one.speedup) for one in first if one.speedup is not None]
    return Judgement(
        question=question,
        evidence=evidence,
        verdict=often(main),
        findings=tuple(findings),
        crossovers=tuple(_crossovers(evidence, question)),
        break_evens=tuple(one for one in repaid if one is not None),
        decomposition=decompose(evidence),
        peaks=peaks(run.machine),
        missing=tuple(_troubles(evidence)),
        beaten=tuple(beaten(evidence)),
    )


def _crossovers(evidence: Evidence, question: Question) -> list[Crossover]:
    """For the contender asked about and every other: each target against the baseline asked about."""
    names = dict.fromkeys((question.contender, *evidence.contenders))
    return [one for name in names for one in crossovers_of(evidence, replace(question, contender=name))]


def crossovers_of(evidence: Evidence, question: Question) -> list[Crossover]:
    """Where the contender asked about reaches each target; empty where it has no speedup."""
    each = find(evidence, question.claim, [question.baseline], question.contender, [question.scope])
    known = [(one.speedup, one.size.flops) for one in each if one.speedup is not None]
    if not known:
        return []
    ratios, flops = zip(*known, strict=True)
    targets = sorted({*TARGETS, question.claim.threshold})
    return [crossover(question.contender, question.baseline, target, ratios, flops) for target in targets]


def lead(evidence: Evidence, size: Size, baseline: str) -> Finding:
    """The fastest GPU style over a baseline at one size, as the claim asks; without one the fastest CPU style.

    No speedup where nothing is faster than the baseline, or nothing was measured. Titles, pictures and the first
    table of a page say this.
    """
    one = find_one(evidence, TUTORIAL_CLAIM, size, baseline, BEST_GPU, "iteration")
    if one.speedup is not None:
        return one
    best = fastest_on_cpu(evidence, size)
    over = [other for other in evidence.by_iteration(size) if (other.contender, other.baseline) == (best, baseline)]
    return replace(one, speedup=next(map(evidence.as_the_best, over), None))


def leads(evidence: Evidence) -> list[Finding]:
    """The lead at each size, small to large: of GPU styles over the best CPU, or on the CPU over the tutorial's numpy.

    Where a GPU was measured, a size without it is left out.
    """
    on_gpu = [size for size in evidence.sizes if evidence.against(size, PRIMARY, BEST_GPU, "iteration")]
    if on_gpu:
        return [lead(evidence, size, PRIMARY) for size in on_gpu]
    baseline = next(iter(chosen_baselines(evidence.by_iteration())), PRIMARY)
    found = [lead(evidence, size, baseline) for size in evidence.sizes]
    return [one for one in found if one.speedup is not None or one.baseline_case is not None]


def fastest_on_cpu(evidence: Evidence, size: Size) -> CaseKey | None:
    """The CPU case behind `best-cpu` at a size, else that in the least time by plain SGD; None without any."""
    if (best := evidence.baseline(size, PRIMARY, "iteration")[0]) is not None:
        return best
    rows = {case: same for case, same in cases_in(evidence.rows_at(size)) if case in evidence.sgd and case.on_cpu}
    return min(sorted(rows), key=lambda case: mean_us(rows[case]), default=None)


def style_words(case: CaseKey) -> str:
    """`torch_tensors`; with its arithmetic where that is none of the claim's: `numpy_manual float64`."""
    return case.style if case.arithmetic == "float32" else f"{case.style} {case.arithmetic}"


def best_of_each(found: Sequence[Speedup]) -> list[Speedup]:
    """Of each style on the CPU and of each on an accelerator the fastest case, the fastest first.

    Of a style that was measured in float32 a case in float32, as in the claim: another arithmetic is no better style.
    """
    best: dict[tuple[str, bool], Speedup] = {}
    for one in sorted(found, key=lambda one: (one.contender.arithmetic != "float32", one.contender_us)):
        best.setdefault((one.contender.style, one.contender.on_cpu), one)
    return sorted(best.values(), key=lambda one: one.contender_us)


def _troubles(evidence: Evidence) -> list[str]:
    """Cases with anything but `ok`, one line for all that have the same trouble."""
    alike: dict[str, dict[str, list[str]]] = {}
    for case, trouble in evidence.trouble.items():
        alike.setdefault(trouble.words, {}).setdefault(case.label, []).append(str(case.size))
    return [
        f"{words}: " + "; ".join(f"{name} at {', '.join(sizes)}" for name, sizes in cases.items())
        for words, cases in alike.items()
    ]


def as_values(judgement: Judgement) -> dict[str, Any]:
    """As plain values for JSON: what is unknown or without an end is null."""
    question = judgement.question
    decomposition = judgement.decomposition
    values = {
        "claim": asdict(question.claim),
        "baseline": question.baseline,
        "contender": question.contender,
        "scope": question.scope,
        "verdict": asdict(judgement.verdict),
        "confidence": judgement.evidence.confidence,
        "findings": [_finding_values(one, question.baseline) for one in judgement.findings],
        "crossovers": [asdict(one) for one in judgement.crossovers],
        "break_even": [asdict(one) for one in judgement.break_evens],
        "decomposition": None if decomposition is None else asdict(decomposition),
        "peaks": None if judgement.peaks is None else {**asdict(judgement.peaks), "ratio": judgement.peaks.ratio},
        "missing": list(judgement.missing),
        "bound_beaten": list(judgement.beaten),
    }
    return {name: to_plain(value) for name, value in values.items()}


def _finding_values(one: Finding, asked: str) -> dict[str, Any]:
    """A finding; what published figures leave of it card by card only against the baseline asked about."""
    values = {**to_plain(one), "flops": one.size.flops, "speedup": one.speedup and to_plain(one.speedup.row())}
    if one.reach is not None and one.baseline != asked:
        values["reach"]["cards"] = values["reach"]["cards"][:1]
    return values
