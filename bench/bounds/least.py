"""The least time that a card leaves an iteration, from published figures alone, rounded in the card's favour."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.bounds.cards import Card, all_cards, card_of
from bench.cases.problem import ITEM_BYTES, TUTORIAL_ITERATIONS, Problem, Size
from bench.words import microseconds

# Every published figure is taken to be this much better: a round allowance, for peaks are published at a boost clock
# that cards exceed, and latencies depend on the host's clock and bus.
BETTER = 1.3
SPLIT = 3  # products of float16 that make one as exact as float32 (Ootomo and Yokota 2022, arXiv:2203.03341)
ON_CHIP_BYTES = 2**28  # more than any card of the table holds in registers, shared memory and caches together

FLOP, MEMORY, ROUND_TRIP, TRANSFER, LAUNCHES = "FLOP", "memory", "launch and answer", "transfer", "launches"


@dataclass(frozen=True, slots=True)
class Least:
    """The least us an iteration, and what of FLOP, MEMORY, ROUND_TRIP, TRANSFER or LAUNCHES it comes from."""

    us: float
    term: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What an iteration asks for: operations in products, bytes that it reads or trains, launches (0: not known)."""

    product_flops: float
    held_bytes: int
    launches: int = 0


def tflops(card: Card, arithmetic: str) -> float:
    """The most TFLOP/s of products that could pass for `arithmetic`, as published; NaN where that is not known.

    Tensor cores make products as exact as float32 out of SPLIT products of float16, and so beat the peak of float32
    (51 TFLOP/s were measured on an A100, whose peak is 19.5). float64 counts as no slower than that, since it can be
    made of products of int8. `float32 tf32` and bfloat16 count at the rate of float16.
    """
    half = card.float16_tflops if card.tensor_cores else card.float32_tflops
    exact = card.float32_tflops if not card.tensor_cores else max(card.float32_tflops, half / SPLIT)
    if card.tensor_cores and math.isnan(half):
        return math.nan
    if arithmetic == "float32":
        return exact
    if arithmetic == "float64":
        return max(exact, _known(card.float64_tflops))
    return max(exact, half, _known(card.tf32_tflops)) if arithmetic in ("float32 tf32", "bfloat16") else math.nan


def least(card: Card, size: Size, arithmetic: str, scope: str, launches: int = 0) -> Least | None:
    """What no program on `card` goes below that does the iteration's five products; None where nothing is known.

    The greatest of, each only where all of its figures are published:
    FLOP: 4*N*D_in*H + 6*N*H*D_out over `tflops`. Elementwise work is free. A program that rewrites the algebra (x x^T
    once, then no product with x; Strassen's scheme) or leaves out what ReLU's zeros multiply is not covered.
    MEMORY: what x, y, w1 and w2 hold beyond ON_CHIP_BYTES, over the bandwidth: an iteration uses all of it, and at its
    start no more than that can be on the chip.
    ROUND_TRIP, in `iteration` alone: one launch and one answer, since the clock waits for an idle device and reads the
    loss. In `throughput` iterations may share a launch; in `loop` and `program` one launch may serve all 500.
    TRANSFER, in `loop` and `program`: x, y, w1 and w2 over the link, once.
    LAUNCHES, of an eager style whose `launches` an iteration are counted: so many launches, in every scope.
    """
    problem = Problem(*size, dtype=arithmetic.partition(" ")[0])
    held = (problem.n * (problem.d_in + problem.d_out) + problem.weights) * ITEM_BYTES[problem.dtype]
    return least_of(card, Demand(problem.product_flops, held, launches), arithmetic, scope)


def least_of(card: Card, demand: Demand, arithmetic: str, scope: str) -> Least | None:
    """`least` for any iteration of which it is known what it asks for."""
    cold = scope in ("loop", "program")
    trip = (_known(card.launch_us) + _known(card.answer_us)) / BETTER
    times = {
        FLOP: demand.product_flops / tflops(card, arithmetic) / BETTER / 1e6,
        MEMORY: max(0, demand.held_bytes - ON_CHIP_BYTES) / card.memory_gbytes_per_s / BETTER / 1e3,
        ROUND_TRIP: trip / TUTORIAL_ITERATIONS if cold else trip * (scope == "iteration"),
        TRANSFER: demand.held_bytes / card.link_gbytes_per_s / BETTER / 1e3 / TUTORIAL_ITERATIONS if cold else 0.0,
        LAUNCHES: demand.launches * card.launch_us / BETTER,
    }
    term = max(times, key=lambda name: _known(times[name]))
    return Least(times[term], term) if times[term] > 0 else None


def least_here(model: str, of: Callable[[Card], Least | None]) -> Least | None:
    """The bound `of` the card that a device calls itself.

    Of a device outside the table it is the least of all cards, None where that is unknown of any.
    """
    card = card_of(model)
    known = []
    for one in [card] if card else all_cards():
        if (bound := of(one)) is None:
            return None
        known.append(bound)
    return min(known, key=lambda one: one.us)


def beaten_words(took: str, bound: Least) -> str:
    """What `took` less time than a bound: somewhere is a fault."""
    return (
        f"{took}, less than the {microseconds(bound.us)} us that published figures leave ({bound.term}): the bound or "
        "the measurement is wrong"
    )


def _known(figure: float) -> float:
    return 0.0 if math.isnan(figure) else figure
