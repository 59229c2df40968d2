"""How long a step would take on a card: its published figures, what eager code reaches of them, and both's doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bench.advice.network.asked import Counted, Operation
from bench.advice.predict import Asked, Speed, binding, step_us
from bench.bounds.cards import Card, all_cards
from bench.bounds.eager import Range, eager
from bench.verdict.ratios.intervals import Ratio

DRAWS = 1000
TENTH = 1.2815515655446004  # of the normal distribution: a tenth lies below -TENTH
ENDS = (0.1, 0.5, 0.9)
FASTER, SLOWER, UNDECIDED = "faster", "slower", "undecided"
Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class OnCard:
    """A step on a card in us, its loss read and not: low end, middle and high end of the 80% interval each.

    `binds` is what most of the middle time comes from: LAUNCHES, KERNELS, FLOP or MEMORY.
    """

    card: str
    latency: Ends
    throughput: Ends
    binds: str

    def speedup(self, cpu: Ratio) -> Ends:
        """How many times as fast as a CPU time in us, loss read: low, middle, high, both sides' doubt in the ends."""
        low, middle, high = self.latency
        return cpu.low / high, cpu.value / middle, cpu.high / low

    def repaid_after(self, cpu: Ratio) -> float:
        """The steps after which a card's start has paid for itself, at the middle of everything; infinite if never."""
        saved_us = cpu.value - self.latency[1]
        return eager()["start s"].middle * 1e6 / saved_us if saved_us > 0 else math.inf

    def outcome(self, cpu: Ratio) -> str:
        """FASTER or SLOWER than a CPU only where the whole interval says so."""
        low, _, high = self.speedup(cpu)
        return FASTER if low > 1 else SLOWER if high < 1 else UNDECIDED


def is_countable(counted: Counted | None) -> bool:
    """Whether all of a step's work was counted; else there is no prediction."""
    return counted is not None and bool(counted.work) and not counted.uncounted and counted.launches is not None


def predicted(counts: Sequence[Counted | None]) -> list[tuple[OnCard, ...]]:
    """Each step on every card whose figures are published; of a step that is not countable nothing."""
    there = [at for at, counted in enumerate(counts) if is_countable(counted)]
    steps = [one.work for at in there if (one := counts[at]) is not None]
    each = [on_card(card, steps) for card in all_cards() if is_predictable(card)] if steps else []
    found: list[tuple[OnCard, ...]] = [()] * len(counts)
    for place, at in enumerate(there):
        found[at] = tuple(card[place] for card in each)
    return found


def is_predictable(card: Card) -> bool:
    """Whether all figures of a card that a prediction needs are published."""
    return not any(map(math.isnan, (card.float32_tflops, card.memory_gbytes_per_s, card.launch_us)))


def on_card(card: Card, steps: Sequence[Sequence[Operation]], *, tf32: bool = False) -> list[OnCard]:
    """Each step on a card as float32 in eager code, or with `tf32` all its products on tensor cores."""
    asked, drawn = Asked.of(steps), _draws()
    throughput = step_us(asked, _speed(card, drawn, tf32=tf32), asynchronous=True) * drawn["model"]
    ends = [np.quantile(times, ENDS, axis=0).T.tolist() for times in (throughput + drawn["read us"], throughput)]
    middle = _speed(card, {name: one.middle for name, one in eager().items()}, tf32=tf32)
    return [
        OnCard(card.name, cast(Ends, tuple(mine)), cast(Ends, tuple(batched)), why)
        for mine, batched, why in zip(*ends, binding(asked, middle), strict=True)
    ]


def _speed(card: Card, values: Mapping[str, Any], *, tf32: bool) -> Speed:
    peak, kind = (card.tf32_tflops, "tf32 ") if tf32 else (card.float32_tflops, "")
    bandwidth = values["memory share"] * card.memory_gbytes_per_s
    return Speed(
        step_us=0.0,
        call_us=values["call us"],
        convolving_us=values["call us"],
        product_gflops=values[f"{kind}product share"] * peak * 1e3,
        convolution_gflops=values[f"{kind}convolution share"] * peak * 1e3,
        half=values["half side"],
        near_gbytes_per_s=bandwidth,
        gbytes_per_s=bandwidth,
        costly_gbytes_per_s=bandwidth,
        floor_us=values["kernel us"],
    )


@cache
def _draws() -> dict[str, NDArray[np.float64]]:
    """(DRAWS, 1) of each range, each independent of the others and the same for every card."""
    return {name: _drawn(one, at) for at, (name, one) in enumerate(eager().items())}


def _drawn(one: Range, seed: int) -> NDArray[np.float64]:
    """Normal in logarithms, below and above the middle each with its own spread, so that both ends are tenths."""
    normal = np.random.default_rng(seed).standard_normal((DRAWS, 1))
    spread = np.where(normal < 0, math.log(one.middle / one.low), math.log(one.high / one.middle)) / TENTH
    return np.asarray(one.middle * np.exp(normal * spread), dtype=float)
