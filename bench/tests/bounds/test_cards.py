"""Tests of bench.bounds.cards: every row has a source, and a driver's name finds its card."""

import csv
import math

import pytest

from bench.bounds.cards import HERE, all_cards, card_of


def rows(name):
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_dozen_cards_each_with_a_source_and_with_figures_above_zero():
    assert len(all_cards()) >= 12
    for card in all_cards():
        assert "." in card.source, card.name
        assert card.float32_tflops > 0
        figures = (card.tf32_tflops, card.float16_tflops, card.float64_tflops, card.memory_gbytes_per_s)
        assert all(math.isnan(one) or one > 0 for one in figures), card.name


def test_every_published_latency_has_a_source_and_says_where():
    for row in rows("latencies.csv"):
        assert row["source"]
        assert row["where"]
        assert float(row["us"]) > 0


def test_a_cards_latency_is_the_least_that_anybody_published_for_its_maker():
    published = {(row["vendor"], row["what"]): float(row["us"]) for row in reversed(rows("latencies.csv"))}
    vendors = {row["card"]: row["vendor"] for row in rows("gpus.csv")}
    for card in all_cards():
        for what, us in (("launch", card.launch_us), ("answer", card.answer_us)):
            each = [float(row["us"]) for row in rows("latencies.csv") if row["vendor"] == vendors[card.name]
                    and row["what"] == what]  # fmt: skip
            assert us == min(each) if each else math.isnan(us)
    assert published


@pytest.mark.parametrize(
    ("model", "card"),
    [
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100 80GB SXM"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2"),
        ("Tesla P100-PCIE-16GB", "P100 SXM2"),
        ("NVIDIA TITAN X (Pascal)", "Titan X (Pascal)"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "RTX 4090"),
        ("NVIDIA GeForce RTX 2080 Ti", "RTX 2080 Ti"),
        ("NVIDIA GeForce GTX TITAN X", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA GeForce RTX 2080", None),
        ("Apple GPU", None),
        ("", None),
    ],
)
def test_a_drivers_name_means_its_card_and_a_card_outside_the_table_none(model, card):
    found = card_of(model)
    assert (found.name if found else None) == card
