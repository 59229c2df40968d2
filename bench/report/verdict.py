"""What `verdict` prints of a run: a sentence in plain words, then the tables that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cases.problem import TUTORIAL_SIZE
from bench.report.verdict_tables import (
    break_even_table,
    crossover_table,
    crossover_words,
    headers,
    peaks_words,
    plain_table,
    print_decomposition,
    ratio_words,
)
from bench.verdict.claim import REFUTED, SUPPORTED, UNDECIDED, UNTESTED, Finding
from bench.verdict.intervals import CONFIDENCE
from bench.verdict.judgement import Judgement
from bench.verdict.speedup import BASELINES, SCOPES
from bench.words import engineering, microseconds

OFTEN_WORDS = {
    SUPPORTED: "Yes, often {x} here",
    REFUTED: "No, not often {x} here",
    UNDECIDED: "Undecided whether often {x} here",
    UNTESTED: "Untested",
}


def print_judgement(console: Console, judgement: Judgement) -> None:
    """The sentence first; then sizes, scopes, crossovers, break-even, decomposition, peaks, and what is missing."""
    question, run = judgement.question, judgement.evidence.run
    console.print(f"{run.name}: {sentence(judgement)}", markup=False, soft_wrap=True)
    console.print(machine_words(run.machine), markup=False, soft_wrap=True)
    console.print(f'The claim: "{question.claim.text}" ({question.claim.source}).', markup=False, soft_wrap=True)
    console.print()
    console.print(findings_table(judgement))
    for line in baseline_lines(judgement):
        console.print(line, markup=False, soft_wrap=True)
    tables = [scopes_table(judgement), crossover_table(judgement), break_even_table(judgement.break_evens)]
    for table in tables:
        if table is not None:
            console.print()
            console.print(table)
    console.print()
    print_decomposition(console, judgement.decomposition)
    for line in (peaks_words(judgement.peaks), *(f"missing: {one}" for one in judgement.missing)):
        console.print(line, markup=False, soft_wrap=True)


def sentence(judgement: Judgement) -> str:
    """The answer in plain words."""
    question, verdict = judgement.question, judgement.verdict
    threshold = f"{question.claim.threshold:g}x"
    who = f"{question.contender} against {question.baseline} by {question.scope}"
    words = [f"{OFTEN_WORDS[verdict.outcome].format(x=threshold)}: {who}, {verdict.reason}."]
    at = next((one for one in judgement.main if one.size == TUTORIAL_SIZE), None)
    if at is not None and at.speedup is not None:
        words.append(
            f"At the tutorial's size {ratio_words(at.speedup.ratio)}: {microseconds(at.speedup.contender_us)} us an "
            f"iteration on {at.speedup.contender.label}, {microseconds(at.baseline_us)} us on "
            f"{at.speedup.baseline_case.label}."
        )
    elif judgement.main:
        one = at or judgement.main[0]
        words.append(f"{'At the tutorial' + chr(39) + 's size' if at else str(one.size)}: {one.verdict.reason}.")
    crossing = [one for one in judgement.crossovers if one.contender == question.contender]
    words += [
        f"{one.target:g}x: {crossover_words(one)} an iteration."
        for one in crossing
        if one.target in (1.0, question.claim.threshold)
    ]
    return " ".join(words)


def machine_words(machine: Mapping[str, Any]) -> str:
    """The machine, what is in it, and the run."""
    devices = machine.get("devices") or {}
    others = [f"{name} {device.get('model', '')}".strip() for name, device in devices.items() if name != "cpu"]
    plan = machine.get("plan") or {}
    parts = [
        f"{machine.get('cpu_model', 'unknown CPU')}, {machine.get('cpus', '?')} CPUs",
        ", ".join(others) or "no accelerator",
        f"run {machine.get('run_id', 'unknown')}" + (f", {count_words(plan['blocks'])}" if "blocks" in plan else ""),
    ]
    if machine.get("environment") == "kept":
        parts.append("distorting variables were kept (--keep-env)")
    return "Machine: " + "; ".join(parts) + "."


def count_words(blocks: int) -> str:
    """`1 block`, `10 blocks`."""
    return "1 block" if blocks == 1 else f"{blocks} blocks"


def machine_values(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What of machine.json names the machine and the run, for JSON."""
    names = ("run_id", "created", "cpu_model", "cpus", "devices", "environment")
    return {name: machine[name] for name in names if name in machine}


CONTENDER_HEADERS = ("contender", "us>", "speedup>")


def findings_table(judgement: Judgement) -> Table:
    """Per size and baseline: absolute times, the speedup with its interval, the outcome and why."""
    scope = judgement.question.scope
    table = plain_table(f"{judgement.question.contender} by {scope}, us an iteration")
    mine = sorted((one for one in judgement.findings if one.scope == scope), key=lambda one: one.size.flops)
    # without a contender its columns would only squeeze the reason
    width = len(CONTENDER_HEADERS) if any(one.speedup for one in mine) else 0
    for header, right in headers("size", "work>", "baseline", "its case", "us>", *CONTENDER_HEADERS[:width]):
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("why")
    last = None
    for one in mine:
        size = ["", ""] if one.size == last else [str(one.size), engineering(one.size.flops, "FLOP")]
        last = one.size
        cells = _finding_cells(one)[: 3 + width]
        table.add_row(*size, *cells, one.verdict.outcome, one.verdict.reason.partition(": ")[0])
    return table


def _finding_cells(one: Finding) -> list[str]:
    contender = one.speedup
    return [
        one.baseline,
        one.baseline_case.label if one.baseline_case else "",
        microseconds(one.baseline_us),
        contender.contender.label if contender else "",
        microseconds(contender.contender_us) if contender else "",
        ratio_words(contender.ratio) if contender else "",
    ]


def baseline_lines(judgement: Judgement) -> list[str]:
    """Each baseline's whole name, and how the intervals are made."""
    shown = dict.fromkeys(one.baseline for one in judgement.findings)
    percent = f"{judgement.evidence.confidence:.1%}".replace(".0%", "%")
    how = f"Intervals: {percent}, over processes, paired by block"
    why = "" if judgement.evidence.confidence == CONFIDENCE else " (95% over all of the run's looks at the threshold)"
    return [*(f"{name}: {BASELINES[name]}." for name in shown), f"{how}{why}."]


def scopes_table(judgement: Judgement) -> Table | None:
    """The same machine by iteration, throughput, loop and program; None where no speedup was measured in any."""
    there = {(one.size.flops, one.size, one.baseline) for one in judgement.findings if one.speedup is not None}
    if not there:
        return None
    table = plain_table("by scope: an iteration with its loss read, in a batch, a cold loop of 500, a whole python")
    for header, right in headers("size", "baseline", *(f"{scope}>" for scope in SCOPES)):
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    order = [(one.size.flops, one.size, one.baseline) for one in judgement.findings if one.scope == "iteration"]
    by_key = {(one.size, one.baseline, one.scope): one for one in judgement.findings}
    for key in sorted((key for key in order if key in there), key=lambda key: key[0]):
        cells = [by_key[(*key[1:], scope)] for scope in SCOPES]
        table.add_row(str(cells[0].size), key[2], *(scope_cell(one) for one in cells))
    return table


def scope_cell(one: Finding) -> str:
    """`8.12 [7.94, 8.30] refuted`, or that it was not measured."""
    return f"{ratio_words(one.speedup.ratio)} {one.verdict.outcome}" if one.speedup else "not measured"
