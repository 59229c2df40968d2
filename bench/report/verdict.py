"""What `verdict` prints of a run: the one sentence that answers, then the tables that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.report.reach import card_sheet, reach_words, scope_sheet
from bench.report.run_tables import interval_words
from bench.report.sheet import print_sheet, print_words
from bench.report.verdict_tables import (
    AS_WRITTEN,
    answers_sheet,
    break_even_sheet,
    crossover_sheet,
    decomposition_sheet,
    findings_sheet,
    peaks_words,
    scopes_sheet,
)
from bench.tables.by_case import cases_in
from bench.tables.machine_words import accelerators
from bench.verdict.claim import OUT_OF_REACH, REFUTED, SUPPORTED, TUTORIAL_CLAIM, UNDECIDED, UNTESTED, Finding
from bench.verdict.contenders import BEST_GPU
from bench.verdict.crossover import TARGETS
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Judgement, Question, base_words, fastest_on_cpu, judgement_of
from bench.verdict.ratios.intervals import CONFIDENCE
from bench.verdict.ratios.speedup import BASELINES, PRIMARY, mean_us
from bench.words import beside, grouped, microseconds, number, percent, thread_count, times

OFTEN_WORDS = {
    SUPPORTED: "Yes, often {x} here",
    REFUTED: "No, not often {x} here",
    UNDECIDED: "Undecided whether often {x} here",
    UNTESTED: "Untested",
    OUT_OF_REACH: "Out of reach: not often {x} here",
}


MORE = "--all shows every baseline and scope, crossovers, break-even, where the speedup comes from, and the method."


def print_judgement(console: Console, judgement: Judgement, *, everything: bool = False) -> None:
    """The sentence first, then a row a size, what is missing and the machine; with `everything` all it rests on."""
    question, run = judgement.question, judgement.evidence.run
    asked = f"{question.contender} against {question.baseline} by {question.scope}"
    print_words(console, f"{run.name}: {sentence(judgement)}")
    if everything:
        print_words(console, f'The claim: "{question.claim.text}" ({question.claim.source}); asked of {asked}.')
        _print_tables(console, judgement)
        print_words(console, peaks_words(judgement.peaks))
    elif not judgement.evidence.rows.empty:
        console.print()
        table = answers_sheet(judgement)
        names = [column.name for column in table.columns if column.name in ("its case", "baseline us")]
        note = f"{question.baseline}: {BASELINES[question.baseline]}"
        print_sheet(console, replace(table, notes=(note,)), ("work", "contender", *names))
    for line in judgement.beaten:
        print_words(console, f"a fault: {line}")
    missing = ((trouble.words, str(case)) for case, trouble in judgement.evidence.trouble.items())
    for line in grouped(missing):
        print_words(console, f"missing: {line}")
    print_words(console, f"Machine: {'; '.join(run.facts)}.")
    if not (everything or judgement.evidence.rows.empty):
        print_words(console, MORE)


def _print_tables(console: Console, judgement: Judgement) -> None:
    """Sizes against every baseline, scopes, crossovers, break-even, decomposition."""
    question = judgement.question
    tables = (
        (findings_sheet(judgement, baseline_lines(judgement)), ("work", "its case", "why", "contender", "baseline us")),
        (scopes_sheet(judgement), ("throughput", "loop")),
        (scope_sheet(judgement), ("loop", "throughput")),
        (card_sheet(judgement), ()),
        (crossover_sheet(judgement), [f"{one:g}x" for one in TARGETS if one not in (1.0, question.claim.threshold)]),
        (break_even_sheet(judgement.break_evens), ("import", "start", "saves")),
        (decomposition_sheet(judgement.decomposition), ("from", "from us")),
    )
    for table, leave_out in tables:
        if table is not None:
            console.print()
            print_sheet(console, table, leave_out)


def answer(evidence: Evidence) -> tuple[str, str]:
    """Is it 50x here: the outcome and its sentence, for the page and the index. Raises UsageError."""
    judgement = judgement_of(evidence, Question(TUTORIAL_CLAIM))
    return judgement.verdict.outcome, sentence(judgement)


def sentence(judgement: Judgement) -> str:
    """The answer to the question of a judgement, the same wherever it is shown."""
    question, verdict, evidence = judgement.question, judgement.verdict, judgement.evidence
    if evidence.rows.empty:
        return "Untested: no case of this run could be measured."
    lead = OFTEN_WORDS[verdict.outcome].format(x=times(question.claim.threshold))
    lead += "" if verdict.outcome == UNTESTED else f", {verdict.reason}"
    known = [one for one in judgement.main if one.speedup is not None]
    if not known:
        no_gpu = question.contender == BEST_GPU and not evidence.gpu_tried
        size, asked = evidence.shown_size, (question.baseline, question.contender, question.scope)
        why = "no GPU was measured" if no_gpu else evidence.why_untested(size, *asked)
        shown = next(one for one in judgement.main if one.size == size)
        parts = (why, _on_cpu(evidence, size, question.scope), reach_words(shown, question))
        return f"{lead}: {'; '.join(filter(None, parts))}."
    shown = next((one for one in known if one.size == evidence.shown_size), known[-1])
    return f"{lead}: {_speedup_words(judgement, shown)}{_highest(known, shown, question)}."


def _speedup_words(judgement: Judgement, shown: Finding) -> str:
    """What the contender takes and what the baseline takes, at one size."""
    assert shown.speedup is not None
    question, one = judgement.question, shown.speedup
    who, base = one.contender, one.baseline_case
    model = accelerators(judgement.evidence.run.machine).get(who.device) or who.device
    model = thread_count(who.threads) if who.on_cpu else model
    scope = "" if question.scope == "iteration" else f" by {question.scope}"
    return (
        f"{_at(shown.size)}{scope} {base_words(question.contender)} ({who.style} {who.arithmetic}, "
        f"{model}: {microseconds(one.contender_us)} us an iteration) is {_ratio(shown, question)} as fast as "
        f"{base_words(question.baseline)} ({base.style} {base.dtype}, "
        f"{thread_count(base.threads)}: {microseconds(one.baseline_us)} us){', with noise' if one.noisy else ''}"
    )


def _highest(known: Sequence[Finding], shown: Finding, question: Question) -> str:
    """Where the speedup is greatest, unless that is the one shown or its interval is unknown."""
    values = {one.size: one.speedup.ratio for one in known if one.speedup is not None}
    sure = [one for one in known if values[one.size].low > 0]
    best = max(sure, key=lambda one: values[one.size].value, default=shown)
    if best is shown or not values[best.size].value > values[shown.size].value:
        return ""
    return f"; the highest is {_ratio(best, question)} {_at(best.size)}"


def _at(size: Size) -> str:
    return f"at the tutorial's size {size}" if size == TUTORIAL_SIZE else f"at {size}"


def _ratio(one: Finding, question: Question) -> str:
    """`12.3x [11.9, 12.7]`; the figure alone without an interval."""
    assert one.speedup is not None
    ratio = one.speedup.ratio
    return f"{beside(ratio.value, question.claim.threshold)}x" + (f" {interval_words(ratio)}" if ratio.low > 0 else "")


def _on_cpu(evidence: Evidence, size: Size, scope: str) -> str:
    """The fastest style of the same training on the CPU in a scope, by iteration where none has it; and over numpy."""
    best, us = evidence.baseline(size, PRIMARY, scope)
    if best is None:
        best, scope = fastest_on_cpu(evidence, size), "iteration"
        us = next((mean_us(rows) for case, rows in cases_in(evidence.rows_at(size)) if case == best), us)
    if best is None:
        return "no CPU style that trains by plain SGD was measured"
    who = f"{best.style} {best.dtype}, {thread_count(best.threads)}"
    time = f"{microseconds(us)} us an iteration{'' if scope == 'iteration' else f' by {scope}'}"
    against = [one for one in evidence.speedups if (one.contender, one.scope) == (best, scope)]
    over = next((evidence.as_the_best(one).ratio for one in against if one.baseline in AS_WRITTEN), None)
    if over is None or not over.low > 0:
        return f"{_at(size)} the fastest CPU style, {who}, takes {time}"
    ratio = f"{number(over.value)}x {interval_words(over)}"
    return f"{_at(size)} the fastest CPU style ({who}: {time}) is {ratio} as fast as the tutorial's numpy in float64"


def baseline_lines(judgement: Judgement) -> list[str]:
    """Each baseline's whole name, and how the intervals are made."""
    shown, confidence = dict.fromkeys(one.baseline for one in judgement.findings), judgement.evidence.confidence
    why = "" if confidence == CONFIDENCE else " (95% over all of the run's looks at the threshold)"
    how = f"Intervals: {percent(confidence)}, over processes, paired by block{why}."
    return [*(f"{name}: {BASELINES[name]}." for name in shown), how]


def machine_values(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What of machine.json names the machine and the run, for JSON."""
    names = ("run_id", "created", "cpu_model", "cpus", "devices", "environment")
    return {name: machine[name] for name in names if name in machine}
