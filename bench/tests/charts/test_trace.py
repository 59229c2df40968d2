from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.charts import trace
from bench.charts.drawing import style
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page, measured

TIMED = np.linspace(50, 90, 500)


def a_process(warmups=700.0):
    return pd.Series({"latency_median_us": 70.0, "latency_p95_us": 88.0, "warmup_iterations": warmups})


def legend_of(samples, process):
    with style.applied():
        figure = trace.trace(samples, process, WORDS)
        assert_nothing_leaves_the_page(figure)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@given(st.integers(1, 20_000))
def test_a_thinned_trace_is_short_and_keeps_its_extremes(count):
    us = np.random.default_rng(count).lognormal(size=count)
    at, kept = trace.thinned(us, 5)
    assert len(at) == len(kept) <= trace.MOST_POINTS
    assert kept.min() == us.min()
    assert kept.max() == us.max()
    assert (us[at.astype(int) - 5] == kept).all()


def test_a_trace_shows_its_phases_with_their_counts():
    samples = {"first": np.array([5e5]), "warmup": np.full(100, 60.0), "timed": TIMED}
    assert legend_of(samples, a_process()) == ["first call", "warm-up (100 of 700 kept)", "timed (500)"]


@pytest.mark.parametrize("warmups", [0.0, math.nan])
def test_a_process_that_kept_its_timed_iterations_alone_is_drawn_too(warmups):
    assert legend_of({"timed": TIMED}, a_process(warmups)) == ["first call", "warm-up (0)", "timed (500)"]


def test_the_process_shown_is_the_middle_block_of_the_fastest_plain_case_on_an_accelerator():
    rows = pd.DataFrame(
        [
            measured(device=device, precision=precision, oracle=oracle, block=block, latency_median_us=us + block)
            for device, precision, oracle, us in (
                ("cpu", "ieee", "sgd", 1.0), ("cuda:0", "tf32", "sgd", 2.0), ("cuda:0", "ieee", "adam", 3.0),
                ("cuda:0", "ieee", "sgd", 40.0),
            )
            for block in range(3)
        ]
    )  # fmt: skip
    assert trace.process_shown(rows)["latency_median_us"] == 41.0
