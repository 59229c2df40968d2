"""What published figures leave of a speedup that was not measured: a sentence, and a sheet a card and scope."""

from __future__ import annotations

from bench.bounds.least import BETTER
from bench.report.run_tables import times_cell
from bench.report.sheet import Cell, Sheet, sheet
from bench.verdict.claim import OUT_OF_REACH, Finding
from bench.verdict.contenders import BEST_GPU, BEST_GPU_TF32
from bench.verdict.judgement import Judgement, Question, base_words
from bench.verdict.ratios.pairs import SCOPES
from bench.verdict.reach import OnCard, Reach
from bench.words import number, times

METHOD = (
    "A bound, not a prediction: the upper end of the baseline's time over the least that published figures leave a "
    f"card, every figure taken {100 * (BETTER - 1):.0f}% better than published: products at the card's best rate (of "
    "tensor cores a third of float16's, which is as exact), what no cache holds over the bandwidth, by iteration one "
    "launch and one answer, by loop and program the transfer. eager: counted launches of the tutorial's code besides."
)


def reach_words(shown: Finding, question: Question) -> str:
    """One sentence about the best card at one size; empty where nothing is bounded."""
    reach = shown.reach
    if reach is None:
        return ""
    by = "" if question.scope == "iteration" else f" by {question.scope}"
    best, x = reach.best, times(question.claim.threshold)
    eager = ""
    if reach.eager is not None:
        eager = f", the tutorial's eager code {number(reach.eager.at_most)}x where a launch's cost is published"
        eager += f", so not {x}" if reach.eager.at_most < question.claim.threshold <= best.at_most else ""
    who = "a GPU" if question.contender in (BEST_GPU, BEST_GPU_TF32) else f"{question.contender} on a GPU"
    over = base_words(question.baseline)
    out = f"{x} is out of reach: " if shown.verdict.outcome == OUT_OF_REACH else ""
    return (
        f"{out}by published figures {who} can be at most {number(best.at_most)}x as fast as {over}{by} "
        f"({best.card}){eager}"
    )


def reach_cell(one: Finding) -> Cell:
    """`98.1x` and the card; empty where nothing is bounded."""
    return _cell(None if one.reach is None else one.reach.best)


def card_sheet(judgement: Judgement) -> Sheet | None:
    """A row a card, a column a size: the speedup at most in the scope asked about, and the term that bounds it."""
    found = sorted((one for one in judgement.main if one.reach is not None), key=lambda one: one.size.flops)
    if not found:
        return None
    rows: list[dict[str, Cell | str]] = []
    for card in sorted(_of(found[0]).cards, key=lambda one: one.year):
        there = {str(one.size): next(on for on in _of(one).cards if on.card == card.card) for one in found}
        rows.append({"card": card.card, **{size: times_cell(on.at_most, on.term) for size, on in there.items()}})
    eager = {str(one.size): _of(one).eager for one in found}
    if any(eager.values()):
        rows.append({"card": f"eager ({_of(found[0]).eager_style})", **{size: _cell(on) for size, on in eager.items()}})
    question = judgement.question
    title = f"at most so many times as fast as {question.baseline} by {question.scope}, a row a card"
    return sheet(title, rows, [METHOD])


def reach_sheets(judgement: Judgement) -> list[Sheet]:
    """By scope, then by card, as far as anything is bounded."""
    return [table for table in (scope_sheet(judgement), card_sheet(judgement)) if table is not None]


def scope_sheet(judgement: Judgement) -> Sheet | None:
    """A row a size, a column a scope: the best card's speedup at most, and the outcome."""
    baseline = judgement.question.baseline
    rows: list[dict[str, Cell | str]] = []
    for first in judgement.about(baseline, "iteration"):
        row: dict[str, Cell | str] = {"size": str(first.size)}
        for scope in SCOPES:
            one = next(each for each in judgement.about(baseline, scope) if each.size == first.size)
            cell = reach_cell(one)
            row[scope] = Cell(cell.text, one.verdict.outcome if one.reach else "", cell.sort)
        rows.append(row)
    title = f"at most so many times as fast as {baseline}, on the best card, by scope"
    return sheet(title, rows) if any(one.reach for one in judgement.findings if one.baseline == baseline) else None


def _cell(on: OnCard | None) -> Cell:
    return Cell("") if on is None else times_cell(on.at_most, on.card)


def _of(one: Finding) -> Reach:
    assert one.reach is not None
    return one.reach
