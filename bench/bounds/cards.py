"""Cards and what their makers and others published of them; every rate as a dense one, unknown is NaN."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
EAGER = "torch_tensors"  # the tutorial's code as it stands
WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Card:
    """A card as published: TFLOP/s, GB/s (of the link to the host in one direction), us; NaN where no source says.

    `launch_us` is the least published time that the host spends on one launch, `answer_us` the least in which a word
    of the host comes back from a kernel, both over all cards of the maker, not of this one alone.
    """

    name: str
    also: str
    year: int
    tensor_cores: bool
    float32_tflops: float
    tf32_tflops: float
    float16_tflops: float
    float64_tflops: float
    memory_gbytes_per_s: float
    link_gbytes_per_s: float
    launch_us: float
    answer_us: float
    source: str

    def is_called(self, model: str) -> bool:
        """Whether a driver's name of a device, such as `NVIDIA A100-SXM4-80GB`, means this card or a smaller one."""
        return set(_words(self.also or self.name)) <= set(_words(model))


def _words(name: str) -> list[str]:
    return WORD.findall(name.lower())


@cache
def all_cards() -> tuple[Card, ...]:
    """The cards of `gpus.csv`, oldest first, with the least latencies that `latencies.csv` holds for their maker."""
    least = _least_latencies()
    return tuple(_card(row, least) for row in _rows("gpus.csv"))


@cache
def launches_of() -> Mapping[str, int]:
    """Launches an iteration of the styles of torch, at least, by style; see bench.worker.counting."""
    return {row["style"]: int(row["launches"]) for row in _rows("launches.csv")}


def card_of(model: str) -> Card | None:
    """The card of the table that a device's model means; None where it is not in the table."""
    return next((card for card in all_cards() if card.is_called(model)), None)


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _least_latencies() -> dict[tuple[str, str], float]:
    least: dict[tuple[str, str], float] = {}
    for row in _rows("latencies.csv"):
        key = row["vendor"], row["what"]
        least[key] = min(float(row["us"]), least.get(key, math.inf))
    return least


def _card(row: Mapping[str, str], least: Mapping[tuple[str, str], float]) -> Card:
    def figure(name: str) -> float:
        return float(row[name] or "nan")

    return Card(
        name=row["card"],
        also=row["also"],
        year=int(row["year"]),
        tensor_cores=row["tensor_cores"] == "yes",
        float32_tflops=figure("float32_tflops"),
        tf32_tflops=figure("tf32_tflops"),
        float16_tflops=figure("float16_tflops"),
        float64_tflops=figure("float64_tflops"),
        memory_gbytes_per_s=figure("memory_gbytes_per_s"),
        link_gbytes_per_s=figure("link_gbytes_per_s"),
        launch_us=least.get((row["vendor"], "launch"), math.nan),
        answer_us=least.get((row["vendor"], "answer"), math.nan),
        source=row["source"],
    )
