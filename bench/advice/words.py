"""What `advise` says: one paragraph, a row a batch, a row a card."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from bench.advice.accelerated import Accelerated
from bench.advice.advise import Advice, AtBatch
from bench.advice.cards import FASTER, SLOWER, UNDECIDED, OnCard, is_countable
from bench.advice.measured import measured, of_gpus, since, speedup_cell
from bench.advice.network.asked import Processor
from bench.report.run_tables import times_cell
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.verdict.ratios.intervals import Ratio
from bench.words import counted, engineering, grouped, microseconds, number, several, thread_count

BOUND = "At most: a bound from published figures, each taken 30% better; a real GPU stays below it, often far."
NO_BOUND = 1e5  # times as fast: an interval so wide says nothing
PREDICTED = (
    "Predicted: float32 in eager code, from published figures and what such code reaches of them; 80% intervals, no "
    "measurement. Faster or slower is only said where the whole interval is."
)


def print_advice(console: Console, advice: Advice) -> None:
    """The paragraph, the tables, and what could not be measured or counted."""
    print_words(console, " ".join(paragraph(advice)))
    if any(one.status == "ok" for one in advice.batches):
        console.print()
        print_sheet(console, batch_sheet(advice), ("in a batch us", "GPU in a batch us", "launches", "work"))
    for table in filter(None, (card_sheet(advice), predicted_sheet(advice))):
        console.print()
        print_sheet(console, table)
    for line in remarks(advice):
        print_words(console, line)


def paragraph(advice: Advice) -> Iterator[str]:
    """Faster or not, as far as a bound can say it; from which batch on; what binds."""
    known = [one for one in advice.batches if one.status == "ok"]
    bounded = [one for one in known if one.best("iteration") is not None]
    if not known:
        yield f"{advice.name}: no batch could be measured."
        return
    last = known[-1]
    assert last.latency is not None
    yield (
        f"{advice.name}: a training step of batch {last.batch} takes {microseconds(last.latency.value)} us here "
        f"({thread_count(last.threads)}, its loss read; {last.parameters:,} parameters)."
    )
    yield from measured([one for one in known if one.gpu is not None and one.gpu.status == "ok"])
    if not bounded:
        yield "Nothing bounds what a GPU could be: one block has no interval."
        return
    yield from _fast_enough(bounded)
    yield from _predicted([one for one in bounded if one.predicted])


def _predicted(known: list[AtBatch]) -> Iterator[str]:
    """How many cards are faster and slower at the first and the last batch, on the fastest by how much and why."""
    for one in (*known[:1], *known[1:][-1:]):
        outcomes = [card.outcome(_latency(one)) for card in one.predicted]
        counts = [f"{word} on {outcomes.count(word)}" for word in (FASTER, SLOWER, UNDECIDED) if word in outcomes]
        best = _best(one)
        low, middle, high = map(number, best.speedup(_latency(one)))
        yield (
            f"Predicted at batch {one.batch}, of {len(outcomes)} cards: {', '.join(counts)}; {best.card} {middle}x "
            f"[{low}, {high}], bound by {best.binds}."
        )
    if not known:
        return
    each = {one.batch: any(card.outcome(_latency(one)) == FASTER for card in one.predicted) for one in known}
    faster, last = [batch for batch, is_so in each.items() if is_so], known[-1]
    if not faster:
        yield "At no batch measured is a card faster by its whole interval."
    elif (first := since(each)) is None:
        yield f"At batch {last.batch} no card is faster by its whole interval, though at batch {faster[-1]} one is."
    else:
        best = _best(last)
        repaid = best.repaid_after(_latency(last))
        yield (
            f"From batch {first} on a card is faster by its whole interval; at batch {last.batch} the start of "
            f"{best.card} is repaid after about {repaid:,.0f} steps."
        )


def _latency(one: AtBatch) -> Ratio:
    assert one.latency is not None
    return one.latency


def _best(one: AtBatch) -> OnCard:
    """The card that is predicted to be the fastest, of equals the latest."""
    return min(reversed(one.predicted), key=lambda card: card.latency[1])


def predicted_sheet(advice: Advice) -> Sheet | None:
    """A row a card, a column a batch: how many times as fast it is predicted to be, and what that comes to."""
    known = [one for one in advice.batches if one.predicted and one.latency is not None and one.latency.low > 0]
    rows = [
        {"card": Cell(known[0].predicted[at].card)} | {f"batch {one.batch}": _speedup(one, at) for one in known}
        for at in range(len(known[0].predicted) if known else 0)
    ]
    return sheet("predicted so many times as fast, its loss read, a row a card", rows, [PREDICTED]) if rows else None


def _speedup(one: AtBatch, at: int) -> Cell:
    on_card, cpu = one.predicted[at], _latency(one)
    low, middle, high = on_card.speedup(cpu)
    return Cell(f"{number(middle)}x", f"[{number(low)}, {number(high)}] {on_card.outcome(cpu)}", middle)


def _fast_enough(bounded: list[AtBatch]) -> Iterator[str]:
    slower = [one.batch for one in bounded if (eager := one.eager("iteration")) and eager.eager_at_most < 1]
    if slower:
        yield (
            f"At batch {several([str(one) for one in slower])} eager code on a GPU whose launches have a published "
            "cost is slower than this CPU, whatever the card."
        )
    for one in (*bounded[:1], *bounded[1:][-1:]):
        best, eager = one.best("iteration"), one.eager("iteration")
        assert best is not None
        if best.at_most > NO_BOUND:
            yield f"At batch {one.batch} the processes took times too far apart to bound anything; give more --blocks."
            continue
        most = f"{number(best.at_most)}x as fast ({best.card}: {best.term})"
        rest = f", eager code no more than {number(eager.eager_at_most)}x" if eager else ""
        yield f"At batch {one.batch} no published card can be more than {most}{rest}."


def lines_of(advice: Advice) -> dict[str, list[tuple[int, float]]]:
    """For the chart: the best card's speedup at most by batch, the loss read, of any program and of eager code."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for one in advice.batches:
        if (best := one.best("iteration")) is not None:
            lines.setdefault("any program, loss read", []).append((one.batch, best.at_most))
        if one.gpu is not None and one.gpu.speedup is not None:
            lines.setdefault(f"measured on {one.gpu.name}, loss read", []).append((one.batch, one.gpu.speedup.value))
        if (eager := one.eager("iteration")) is not None:
            lines.setdefault("eager code, loss read", []).append((one.batch, eager.eager_at_most))
    return lines


def batch_sheet(advice: Advice) -> Sheet:
    """A row a batch: times, counts, and how much faster a GPU can be at most."""
    rows = []
    for one in advice.batches:
        if one.latency is None or one.throughput is None:
            continue
        best, batched, eager = one.best("iteration"), one.best("throughput"), one.eager("iteration")
        work, gpu = one.counted, one.gpu or Accelerated(Processor(), "not measured")
        rows.append(
            {
                "batch": Cell(f"{one.batch}", sort=one.batch),
                "threads": Cell(f"{one.threads}", sort=one.threads),
                "step us": _time(one.latency),
                "in a batch us": _time(one.throughput),
                "GPU step us": _time(gpu.latency),
                "GPU in a batch us": _time(gpu.throughput),
                "GPU speedup": speedup_cell(gpu.speedup),
                "in a batch speedup": speedup_cell(gpu.batch_speedup),
                "work": Cell(engineering(work.product_flops + work.other_flops, "FLOP")) if work else Cell(""),
                "launches": Cell(str(work.launches), sort=work.launches) if work and work.launches else Cell(""),
                "a GPU at most": times_cell(best.at_most, best.card) if best else Cell(""),
                "in a batch at most": times_cell(batched.at_most) if batched else Cell(""),
                "eager at most": times_cell(eager.eager_at_most) if eager else Cell(""),
            }
        )
    gpus = dict.fromkeys(one.gpu.name for one in advice.batches if one.gpu is not None)
    where = " and on ".join(["this CPU", *gpus])
    return sheet(f"{advice.name}: a training step on {where}, {counted(advice.blocks, 'block')}", rows)


def _time(time: Ratio | None) -> Cell:
    if time is None:
        return Cell("")
    interval = f"[{microseconds(time.low)}, {microseconds(time.high)}]" if time.low > 0 else ""
    return Cell(microseconds(time.value), interval, time.value)


def card_sheet(advice: Advice) -> Sheet | None:
    """A row a card, a column a batch: the speedup at most with the loss read, and what binds."""
    known = [(one.batch, {on.card: on for on in one.bounds if on.scope == "iteration"}) for one in advice.batches]
    known = [(batch, on) for batch, on in known if on]
    rows = [
        {"card": Cell(name)} | {f"batch {batch}": times_cell(on[name].at_most, on[name].term) for batch, on in known}
        for name in (known[0][1] if known else ())
    ]
    return sheet("at most so many times as fast, its loss read, a row a card", rows, [BOUND]) if rows else None


def remarks(advice: Advice) -> Iterator[str]:
    """What was not measured, not checked, not counted."""
    yield from grouped(
        (f"{one.status}: {one.reason}", f"batch {one.batch}") for one in advice.batches if one.status != "ok"
    )
    known = [one for one in advice.batches if one.status == "ok"]
    for words in dict.fromkeys(one.checked for one in known):
        yield f"Check: {words}."
    yield from of_gpus([(one.batch, one.gpu) for one in advice.batches if one.gpu is not None])
    work = [one.counted for one in known if one.counted is not None]
    if names := dict.fromkeys(name for one in work for name in one.uncounted):
        yield f"Not counted, so that the bound knows nothing of it: {', '.join(names)}."
    if any(one.other_flops for one in work):
        yield "Convolutions beyond 1x1 bound nothing: schemes with fewer multiplications compute them."
    for why in dict.fromkeys(one.why for one in work if one.why):
        yield f"No bound for eager code: {why}."
    if any(not is_countable(one) for one in work):
        yield "No prediction where not all of the work is counted."
    if noisy := sum(one.noisy + (one.gpu.noisy if one.gpu else 0) for one in known):
        yield f"Of the processes {noisy} stayed noisy even when measured again; the intervals hold that."
