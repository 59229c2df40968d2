"""A network of one's own over a range of batches: measured here, and what published figures leave a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.advice.accelerated import SCOPES, Accelerated, accelerated, time_of
from bench.advice.cards import OnCard, predicted
from bench.advice.network.asked import Counted, Processor, StepFound, StepJob
from bench.bounds.cards import all_cards
from bench.bounds.least import Demand, least_of
from bench.cases.limits import MOST_TIMEOUT_S
from bench.errors import UsageError
from bench.machine.process import DEFAULT_TIMEOUT_S, ask
from bench.plain import to_plain
from bench.status import Say
from bench.verdict.ratios.intervals import Ratio

BATCHES, BLOCKS = (1, 8, 64, 512), 5
MOST_BATCH = 10**9
Ask = Callable[[StepJob], StepFound]


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a card can be faster in a scope, whatever the program, and as eager code; NaN where unknown."""

    card: str
    scope: str
    least_us: float
    term: str
    at_most: float
    eager_at_most: float


@dataclass(frozen=True, slots=True)
class AtBatch:
    """One batch: its fastest thread count, its times there in us a step with intervals, counts and bounds.

    `latency` and `throughput` are as ratios to 1 us. Where `status` is not ok, only `reason` counts. `gpu` is the same
    on the accelerator, where one was measured.
    """

    batch: int
    status: str
    reason: str = ""
    threads: int = 0
    latency: Ratio | None = None
    throughput: Ratio | None = None
    noisy: int = 0
    checked: str = ""
    parameters: int = 0
    counted: Counted | None = None
    bounds: tuple[Bound, ...] = ()
    predicted: tuple[OnCard, ...] = ()
    gpu: Accelerated | None = None

    def best(self, scope: str) -> Bound | None:
        """The card on which most is possible in a scope, of equals the latest."""
        mine = [one for one in reversed(self.bounds) if one.scope == scope]
        return max(mine, key=lambda one: one.at_most, default=None)

    def eager(self, scope: str) -> Bound | None:
        """The card on which most is possible for eager code."""
        known = [one for one in reversed(self.bounds) if one.scope == scope and not math.isnan(one.eager_at_most)]
        return max(known, key=lambda one: one.eager_at_most, default=None)


@dataclass(frozen=True, slots=True)
class Advice:
    """What is known of a network: `blocks` processes a batch and processor, a row a batch."""

    name: str
    threads: tuple[int, ...]
    blocks: int
    batches: tuple[AtBatch, ...]


def measure_steps(
    name: str,
    what: StepJob,
    batches: Sequence[int],
    processors: Sequence[Processor],
    blocks: int,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    say: Say = lambda _words: None,
    asked: Ask | None = None,
) -> Advice:
    """The training step of `what`, measured in fresh processes and bounded. Raises UsageError.

    `processors` are the CPU at one or more thread counts first, and at most one accelerator.
    Blocks are outermost, so that each holds every batch and processor once; `say` gets a line before each process,
    `asked` replaces one, for tests.
    """
    if not batches or any(not 1 <= batch <= MOST_BATCH for batch in batches):
        raise UsageError(f"--batch: give whole numbers from 1 to {MOST_BATCH:,}")
    check_numbers(blocks, timeout_s)
    batches = sorted(set(batches))
    ask_one = asked or (lambda job: ask_step(job, timeout_s))
    found: dict[tuple[int, Processor], list[StepFound]] = {}
    keys = [(batch, on) for batch in batches for on in dict.fromkeys(processors)]
    for block in range(blocks):
        for at, (batch, on) in enumerate(keys):
            if any(one.status != "ok" for one in found.get((batch, on), ())):
                continue  # it will not go better
            say(f"block {block + 1}/{blocks}: batch {batch}, {on} ({at + 1}/{len(keys)})")
            job = replace(what, batch=batch, on=on, count=block == 0 and on == processors[0])
            answer = ask_one(job)
            if answer.status == "ok" and answer.noise and (again := ask_one(job)).status == "ok":
                answer = again
            found.setdefault((batch, on), []).append(answer)
    rows = [_at_batch(batch, {key[1]: same for key, same in found.items() if key[0] == batch}) for batch in batches]
    on_cards = predicted([one.counted for one in rows])
    rows = [replace(one, predicted=on_card) for one, on_card in zip(rows, on_cards, strict=True)]
    return Advice(name, tuple(one.threads for one in processors if one.on_cpu), blocks, tuple(rows))


def check_numbers(blocks: int, timeout_s: float) -> None:
    """Raises UsageError for blocks and seconds that cannot be."""
    if blocks < 1:
        raise UsageError(f"--blocks {blocks}: give a whole number from 1 up")
    if not 0 < timeout_s <= MOST_TIMEOUT_S:
        raise UsageError(f"--timeout {timeout_s:g}: give seconds above 0, at most {MOST_TIMEOUT_S:,.0f}")


def ask_step(job: StepJob, timeout_s: float = DEFAULT_TIMEOUT_S) -> StepFound:
    """What a fresh process finds; whatever goes wrong with it is a status and a reason."""
    answer = ask(
        "bench.advice.network.step", to_plain(job), shape=StepFound, threads=job.on.threads, timeout_s=timeout_s
    )
    if answer.status is not None:
        return StepFound(answer.status, answer.reason)
    found: StepFound = answer.value
    times = (found.latency_us, found.throughput_us)
    if found.status == "ok" and not all(time is not None and 0 < time < math.inf for time in times):
        return StepFound("crashed", "its answer is not what a worker says: no times")
    return found


def _at_batch(batch: int, by_processor: Mapping[Processor, Sequence[StepFound]]) -> AtBatch:
    by_threads = {on.threads: same for on, same in by_processor.items() if on.on_cpu}
    bad = next((one for same in by_threads.values() for one in same if one.status != "ok"), None)
    if bad is not None:
        return AtBatch(batch, bad.status, bad.reason)
    times = {
        (count, scope): time_of(same, scope, len(by_threads)) for count, same in by_threads.items() for scope in SCOPES
    }
    threads = min(by_threads, key=lambda count: times[count, "iteration"].value)
    everything = [one for same in by_threads.values() for one in same]
    counted = next((one.counted for one in everything if one.counted is not None), None)
    bounds = () if counted is None else tuple(
        bound
        for scope in SCOPES
        for bound in bounds_of(counted, scope, min(times[count, scope].high for count in by_threads))
    )  # fmt: skip
    latency, throughput = (times[threads, scope] for scope in SCOPES)
    there = [(on, same) for on, same in by_processor.items() if not on.on_cpu]
    return AtBatch(
        batch, "ok", threads=threads, latency=latency, throughput=throughput, counted=counted, bounds=bounds,
        noisy=sum(bool(one.noise) for one in everything), checked=everything[0].checked,
        parameters=everything[0].parameters,
        gpu=next((accelerated(on, same, list(by_threads.values()), counted) for on, same in there), None),
    )  # fmt: skip


def bounds_of(counted: Counted, scope: str, upper_us: float) -> tuple[Bound, ...]:
    """The bound of every card over a CPU time whose upper end is `upper_us`; none where it is unknown on any of them.

    Only matrix products and 1x1 convolutions count as operations: of other convolutions schemes with fewer
    multiplications are in use.
    """
    demand = Demand(counted.product_flops, counted.held_bytes)
    found = []
    for card in all_cards():
        bound = least_of(card, demand, counted.arithmetic, scope)
        if bound is None or not math.isfinite(upper_us):
            return ()
        eager = math.nan
        if counted.launches is not None and not math.isnan(card.launch_us):
            launching = least_of(card, replace(demand, launches=counted.launches), counted.arithmetic, scope)
            eager = math.nan if launching is None else upper_us / launching.us
        found.append(Bound(card.name, scope, bound.us, bound.term, upper_us / bound.us, eager))
    return tuple(found)
