"""Everything that a verdict rests on, for one run: findings, crossovers, break-even, decomposition, peaks (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.errors import UsageError
from bench.machine.ceilings import Peaks, peaks
from bench.plain import to_plain
from bench.verdict.break_even import BreakEven, break_even
from bench.verdict.claim import Claim, Finding, Verdict, find, often
from bench.verdict.crossover import TARGETS, Crossover, crossover
from bench.verdict.decomposition import Decomposition, decompose
from bench.verdict.evidence import BEST_GPU, Evidence, known_contender
from bench.verdict.speedup import PRIMARY


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
    )


def _crossovers(evidence: Evidence, question: Question) -> list[Crossover]:
    """For the contender asked about and every other: each target against the baseline asked about."""
    targets = sorted({*TARGETS, question.claim.threshold})
    found = []
    for name in dict.fromkeys((question.contender, *evidence.contenders)):
        each = find(evidence, question.claim, [question.baseline], name, [question.scope])
        known = [(one.speedup, one.size.flops) for one in each if one.speedup is not None]
        if known:
            ratios, flops = zip(*known, strict=True)
            found += [crossover(name, question.baseline, target, ratios, flops) for target in targets]
    return found


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
        "findings": [_finding_values(one) for one in judgement.findings],
        "crossovers": [asdict(one) for one in judgement.crossovers],
        "break_even": [asdict(one) for one in judgement.break_evens],
        "decomposition": None if decomposition is None else asdict(decomposition),
        "peaks": None if judgement.peaks is None else {**asdict(judgement.peaks), "ratio": judgement.peaks.ratio},
        "missing": list(judgement.missing),
    }
    return {name: to_plain(value) for name, value in values.items()}


def _finding_values(one: Finding) -> dict[str, Any]:
    return {**to_plain(one), "flops": one.size.flops, "speedup": one.speedup and to_plain(one.speedup.row())}
