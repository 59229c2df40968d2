"""Tests of bench.advice.cards: held against published times, said only outside the undecided band, above the bound."""

import csv
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.advice.cards import FASTER, SLOWER, UNDECIDED, OnCard, is_predictable, on_card, predicted
from bench.advice.network.asked import PRODUCT, Counted, Operation
from bench.advice.rows import count_of, path_of
from bench.bounds.cards import all_cards
from bench.bounds.eager import eager
from bench.bounds.least import Demand, least_of
from bench.verdict.published.cited_source import published, ratios, read_figures
from bench.verdict.ratios.intervals import Ratio

CARDS = {card.name: card for card in all_cards()}
ends = st.lists(st.floats(1, 1e6), min_size=3, max_size=3).map(lambda three: tuple(sorted(three)))


def test_every_figure_is_a_range_with_a_source():
    for name, one in eager().items():
        assert 0 < one.low < one.middle < one.high, name
        assert len(one.source) > 10, name


@given(ends, ends)
def test_faster_or_slower_is_only_said_where_both_intervals_say_so(gpu, cpu):
    card, time = OnCard("a card", gpu, gpu, "FLOP"), Ratio(cpu[1], cpu[0], cpu[2], 3)
    outcome = card.outcome(time)
    assert (outcome == FASTER) == (gpu[2] < cpu[0])
    assert (outcome == SLOWER) == (gpu[0] > cpu[2])
    assert outcome in (FASTER, SLOWER, UNDECIDED)
    low, middle, high = card.speedup(time)
    assert low <= middle <= high


@given(ends, st.floats(1, 1e6))
def test_a_start_is_only_repaid_by_a_card_that_is_faster(gpu, us):
    steps = OnCard("a card", gpu, gpu, "FLOP").repaid_after(Ratio(us, us, us, 3))
    assert (steps < float("inf")) == (us > gpu[1])


def test_of_work_that_was_not_counted_there_is_no_prediction():
    work = (Operation(PRODUCT, 1, 1e6, 100, 10, 10, 10),)
    whole = Counted(1e6, 0.0, 100, 1, 1, work=work)
    found = predicted([
        whole, None, Counted(1e6, 0.0, 100, 1, 1, uncounted=("aten.lstm",), work=work),
        Counted(1e6, 0.0, 100, 1, None, "recurrent", work=work), whole,
    ])  # fmt: skip
    assert [len(one) for one in found] == [sum(map(is_predictable, all_cards())), 0, 0, 0, len(found[0])]
    assert found[0] == found[4]


@pytest.mark.parametrize("name", [card.name for card in all_cards() if is_predictable(card)])
def test_no_prediction_lies_below_what_no_gpu_can_beat(name):
    random = Random()
    network, batch = random.choice(["two_layer", "lenet", "transformer_small"]), random.choice([1, 8, 64, 512])
    counted = count_of(path_of("small"), network, batch)
    (one,) = on_card(CARDS[name], [counted.work])
    for scope, times in (("iteration", one.latency), ("throughput", one.throughput)):
        bound = least_of(CARDS[name], Demand(counted.product_flops, counted.held_bytes), "float32", scope)
        assert bound is not None
        assert bound.us <= times[0], (network, batch, scope)


DEEPBENCH = {"NV_V100": "V100 SXM2", "NV_T4": "T4", "NV_TitanX_Pascal": "Titan X (Pascal)"}


@pytest.mark.parametrize("device", DEEPBENCH)
def test_published_products_lie_in_their_intervals_about_as_often_as_they_say(device):
    with published("deepbench_gemm_train.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == device and "FP16" not in row["sheet"]]
    large = [row for row in rows if float(row["ms"]) > 0.1]  # what takes less pays torch's launches, not theirs
    steps = []
    for row in large:
        m, n, k = (int(row[side]) for side in "mnk")
        steps.append([Operation(PRODUCT, 1, 2.0 * m * n * k, 4 * (m * n + n * k + m * k), m, n, k)])
    found = on_card(CARDS[DEEPBENCH[device]], steps)
    inside = [
        one.throughput[0] <= float(row["ms"]) * 1e3 <= one.throughput[2] for row, one in zip(large, found, strict=True)
    ]
    assert len(large) > 100
    assert sum(inside) / len(inside) > 0.6


def test_the_published_times_of_the_source_lie_in_their_intervals():
    theirs = ratios(read_figures()).query("card == 'Pascal Titan X' and cudnn == '5.1'").set_index("network")["gpu_ms"]
    names = [str(name).replace("-", "_") for name in theirs.index]
    found = on_card(CARDS["Titan X (Pascal)"], [count_of(path_of("cnn"), name, 16).work for name in names])
    inside = [one.throughput[0] <= ms * 1e3 <= one.throughput[2] for one, ms in zip(found, theirs, strict=True)]
    assert len(inside) == 8
    assert sum(inside) >= 6
