from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import CaseKey
from bench.charts import costs, style
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
from bench.verdict.intervals import Ratio
from bench.verdict.speedup import mean_us

TIMES = {"torch_tensors": (10.0, 12.0), "torch_autograd": (15.0, 16.0), "torch_nn": (14.0, 18.0)}
CASE = CaseKey("numpy_manual", "cpu", "float64", "ieee", 1, *TUTORIAL)


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
    links = (Factor(label, ratio, CASE, CASE, 1.0, 1.0) for (label, _), ratio in zip(factors, ratios, strict=True))
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


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=6))
def test_each_bar_of_a_waterfall_starts_where_the_one_before_ended(factors):
    with style.applied():
        axes = costs.waterfall(headline(*((f"factor {value}", value) for value in factors)), WORDS).axes[0]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]  # type: ignore[attr-defined]
    starts, last = [start for start, _ in ends], ends[-1]
    assert starts[:-1] == pytest.approx([1.0, *(end for _, end in ends[:-2])])
    assert last == pytest.approx((1.0, math.prod(factors)))
