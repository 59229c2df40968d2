from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.charts import losses
from bench.charts.drawing import style
from bench.charts.losses import rounded_up
from bench.tables.columns import LOSS_COLUMNS
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page, labels
from bench.tests.fakes import a_case
from bench.tests.runs import around, write_run
from bench.verdict.evidence import Evidence


def rehearsed(style, values, *, device="cpu", threads=1, dtype="float32"):
    rows = [("r", style, "sgd", device, dtype, "ieee", threads, at, loss) for at, loss in enumerate(values)]
    return pd.DataFrame(rows, columns=list(LOSS_COLUMNS))


@given(st.lists(st.tuples(st.floats(1.0, 1e8), st.floats(-1e-3, 1e-3)), min_size=1, max_size=20))
def test_a_distance_is_relative_to_the_reference_at_the_same_iteration(points):
    reference, off = (np.array(values) for values in zip(*points, strict=True))
    found = losses.distances(rehearsed("a", reference * (1 + off)), pd.Series(reference))
    assert found["distance"].to_numpy() == pytest.approx(np.maximum(np.abs(off), losses.LEAST), rel=1e-5, abs=1e-12)


def test_of_each_style_one_case_is_shown_on_one_cpu_thread_where_there_was_one():
    frame = pd.concat([
        rehearsed("a", [4.0], threads=2), rehearsed("a", [2.0]), rehearsed("a", [3.0], device="cuda:0"),
        rehearsed("b", [5.0], device="cuda:0"),
    ])  # fmt: skip
    found = losses.distances(frame, pd.Series([1.0]))
    assert found[["style", "distance"]].to_numpy().tolist() == [["a", 1.0], ["b", 4.0]]


@pytest.mark.parametrize(("reference", "said"), [(True, "numpy_manual in float64"), (False, "no float64 reference")])
def test_the_chart_says_what_it_holds_the_losses_against(tmp_path, reference, said):
    run = write_run(tmp_path / "run", {a_case("a"): around(100)})
    frames = [rehearsed("a", [9.0, 3.0]), rehearsed("b", [9.0, 3.03])]
    frames += [rehearsed("numpy_manual", [9.0, 3.0], dtype="float64")] if reference else []
    pd.concat(frames).to_csv(run.folder / "losses.csv", index=False)
    with style.applied():
        ((_name, figure),) = losses.charts(Evidence.of(run))
    title, about, _footer = (text.get_text() for text in figure.texts)
    assert said in about
    assert ("0.01" if reference else "0.005") in title


def test_lines_get_thinner_in_turn_so_that_one_below_another_shows():
    frame = losses.distances(pd.concat([rehearsed("a", [1.1, 1.2]), rehearsed("b", [1.1, 1.2])]), pd.Series([1.0, 1.0]))
    with style.applied():
        figure = losses.losses(frame, WORDS)
        assert_nothing_leaves_the_page(figure)
    widths = [line.get_linewidth() for line in figure.axes[0].get_lines()]
    assert widths == sorted(widths, reverse=True)
    assert labels(figure) == ["a cpu, 1 thread, float32", "b cpu, 1 thread, float32"]


@given(st.floats(1e-12, 1e3))
def test_what_losses_differ_by_at_most_is_never_less_than_it_is(value):
    said = float(rounded_up(value))
    assert value <= said * (1 + 1e-5) < 2.01 * value + 1e-5 * value
