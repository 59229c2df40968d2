from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import accumulate, pairwise
from operator import mul
from statistics import median

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from bench.cases.case import CaseKey
from bench.charts import costs
from bench.charts.drawing import style
from bench.charts.drawing.series import palette
from bench.charts.drawing.words import time_words
from bench.tests.charts.pages import (
    CPU,
    GPU,
    TUTORIAL,
    WORDS,
    assert_nothing_leaves_the_page,
    assert_rows_do_not_overlap,
    measured,
    texts,
)
from bench.verdict.decomposition import Decomposition, Factor
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.speedup import mean_us

TIMES = {"torch_tensors": (10.0, 12.0), "torch_autograd": (15.0, 16.0), "torch_nn": (14.0, 18.0)}
CASE = CaseKey("numpy_manual", "cpu", "float64", "ieee", 1, *TUTORIAL)
FASTER = CASE._replace(dtype="float32")


def layered(times):
    return pd.DataFrame(
        measured(style=style, block=block, latency_median_us=us)
        for style, blocks in times.items()
        for block, us in enumerate(blocks)
    )


def headline(*factors):
    """A decomposition into these (label, factor), without intervals."""
    ratios = [Ratio(value, math.nan, math.nan, 1) for _label, value in factors]
    product = Ratio(math.prod(value for _label, value in factors), math.nan, math.nan, 1)
    links = (Factor(label, ratio, CASE, FASTER, 1.0, 1.0) for (label, _), ratio in zip(factors, ratios, strict=True))
    return Decomposition(TUTORIAL, tuple(links), product, (), on_gpu=True, noisy=False)


def test_the_layers_add_up_to_the_last_one():
    found = costs.rungs(layered(TIMES))
    assert [one.name for one in found] == ["torch_tensors", "torch_autograd", "torch_nn"]
    assert sum(one.added_us for one in found[1:]) == pytest.approx(16.0 - 11.0)  # means over blocks
    assert found[1].low_us < 4.5 < found[1].high_us
    with style.applied():
        figure = costs.layers({CPU: found, GPU: found}, WORDS, "95% interval")
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)


@given(st.lists(st.tuples(*[st.floats(1, 1e4)] * 3), min_size=1, max_size=6))
def test_the_shown_time_of_a_layer_is_the_one_time_of_its_case(blocks):
    rows = layered(dict(zip(TIMES, zip(*blocks, strict=True), strict=True)))
    for one in costs.rungs(rows):
        assert one.us == mean_us(rows[rows["style"] == one.name])


@given(st.lists(st.floats(1e-4, 2.0), min_size=2, max_size=2))
def test_a_layer_shows_what_its_first_call_costs(seconds):
    rows = layered(TIMES)
    last = rows["style"] == "torch_nn"
    rows.loc[last, "first_iteration_seconds"] = seconds
    found = costs.rungs(rows)
    assert found[-1].first_us == pytest.approx(median(seconds) * 1e6)
    assert costs.layer_words(found[-1]) == f"nn.Sequential; {time_words(found[-1].first_us)}"
    assert costs.layer_words(costs.Rung("torch_nn", 1.0, 1.0, 1.0, 1.0)) == "nn.Sequential"


def test_a_block_that_one_layer_lacks_counts_for_none():
    found = costs.rungs(layered({**TIMES, "torch_autograd": (15.0,)}))
    assert [one.us for one in found] == [10.0, 15.0, 14.0]
    assert found[1].added_us == 5.0
    assert math.isnan(found[1].low_us)


def test_layers_under_chaos_stay_on_the_page():
    wild = [costs.Rung("torch_tensors", 300.0, *[math.nan] * 3)]
    wild += [costs.Rung(f"torch_{name}", 9e3, 8.7e3, -45_678.0, 98_765.0) for name in ("autograd", "optim_sgd")]
    with style.applied():
        figure = costs.layers({CPU: wild}, WORDS, "95% interval")
        assert_nothing_leaves_the_page(figure)


def test_one_layer_alone_has_no_cost():
    assert costs.rungs(pd.DataFrame([measured()])) == []


def test_a_waterfall_ends_at_the_product_of_its_factors():
    factors = [
        ("float64 to float32", 2.5),
        ("more threads", 0.8),
        ("a GPU with a name that goes on and on and on", 10.0),
    ]
    with style.applied():
        figure = costs.waterfall(headline(*factors), WORDS)
        assert_nothing_leaves_the_page(figure)
    assert {"2.50x [?]", "0.800x [?]", "10.0x [?]", "20.0x [?]"} <= set(texts(figure))


def test_a_link_that_stays_where_it_is_has_no_bar_and_merged_ones_are_counted():
    found = headline(("float64 to float32", 2.5), ("no page faults + no temporaries + threads + framework", 1.5))
    still = replace(found.factors[0], label="threads", ratio=Ratio(1.0, 1.0, 1.0, 5), after=CASE)
    with style.applied():
        figure = costs.waterfall(replace(found, factors=(*found.factors, still)), WORDS)
    assert {"float64 to float32", "framework + 3 more", "all together"} <= set(texts(figure))
    assert "threads" not in texts(figure)


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=6))
def test_each_bar_of_a_waterfall_starts_where_the_one_before_ended(factors):
    with style.applied():
        axes = costs.waterfall(headline(*((f"factor {value}", value) for value in factors)), WORDS).axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]  # type: ignore[attr-defined]
    reached = [1.0, *accumulate(factors, mul)]
    for bar, ends in zip(bars, [*pairwise(reached), (1.0, reached[-1])], strict=True):
        assert bar == pytest.approx(tuple(sorted(ends)))


def test_a_layer_has_its_styles_own_colour_and_what_is_no_style_has_none_of_the_palette():
    found = costs.rungs(layered(TIMES))
    with style.applied():
        bars = costs.layers({CPU: found}, WORDS, "95% interval").axes[0].patches
        factors = costs.waterfall(headline(("a", 2.0), ("b", 0.5), ("c", 3.0)), WORDS).axes[0].patches
    before, added = ([to_hex(bar.get_facecolor()) for bar in bars[at::2]] for at in (0, 1))
    assert set(before) == {style.PALE}
    palettes = palette(TIMES)
    assert added[1:] == [to_hex(palettes[one.name][0]) for one in found[1:]]
    assert not {to_hex(bar.get_edgecolor()) for bar in factors} & {to_hex(one) for one in style.PALETTE}


@given(st.lists(st.lists(st.floats(1e-5, 10), min_size=1, max_size=4), min_size=2, max_size=9))
def test_first_calls_are_medians_the_dearest_first_and_the_title_names_both_ends(seconds):
    rows = pd.DataFrame(
        measured(style=f"style_{at}", block=block, first_iteration_seconds=value)
        for at, values in enumerate(seconds)
        for block, value in enumerate(values)
    )
    found = costs.first_calls(rows)
    medians = [float(us.median()) for us in found.values()]
    assert medians == sorted(medians, reverse=True)
    assert sorted(medians) == pytest.approx(sorted(median(values) * 1e6 for values in seconds))
    dear, *_, cheap = found
    assert re.match(rf"A first call takes .* with {dear.style}, .* with {cheap.style}$", costs.first_words(found))


def test_the_first_calls_of_every_training_are_shown_once_a_device_and_arithmetic():
    rows = pd.DataFrame([
        measured(), measured(threads=2), measured(device="cuda:0", first_iteration_seconds=0.5),
        measured(style="torch_optim_adam", oracle="adam", first_iteration_seconds=3.0),
    ])  # fmt: skip
    found = costs.first_calls(rows)
    assert [(case.style, case.device, case.threads) for case in found] == [
        ("torch_optim_adam", "cpu", 1), ("torch_tensors", "cuda:0", 1), ("torch_tensors", "cpu", 1),
    ]  # fmt: skip
    with style.applied():
        figure = costs.first_call(found, WORDS)
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)
    assert {"3 s", "500 ms", "250 ms"} <= set(texts(figure))
