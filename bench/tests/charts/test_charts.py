from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.cases.case import CaseKey
from bench.cases.problem import Problem, Size
from bench.charts import against_work as chart_work
from bench.charts import break_even as chart_total
from bench.charts import ladder as charts
from bench.charts import layers as chart_cost
from bench.charts import style as chart_style
from bench.charts import trace as chart_process
from bench.charts.factors import waterfall
from bench.charts.losses import losses
from bench.charts.rows import Config, config_of, in_order
from bench.charts.style import Words
from bench.verdict.crossover import first_reaching
from bench.verdict.intervals import Ratio
from bench.verdict.speedup import Speedup

WORDS = Words("A title", "A subtitle", "A footer")
SMALL, TUTORIAL, LARGE = Size(32, 500, 50, 5), Size(64, 1000, 100, 10), Size(256, 4000, 400, 40)
CPU = Config("cpu", 1, "float32", "ieee")
GPU = Config("cuda:0", 1, "float32", "ieee")
positive = st.floats(1e-3, 1e3)


def speedup(style, value, *, device="cpu", threads=1, size=TUTORIAL, half=0.1, noisy=False):
    baseline = CaseKey("numpy_in_place", "cpu", "float32", "ieee", 1, *size)
    ratio = Ratio(value, value * (1 - half), value * (1 + half), 5)
    contender = CaseKey(style, device, "float32", "ieee", threads, *size)
    return Speedup(contender, "best-cpu", baseline, "iteration", ratio, 100.0, 100.0 / value, noisy, "clean")


def texts(figure: Figure) -> list[str]:
    return [*(text.get_text() for text in figure.texts), *(t.get_text() for axes in figure.axes for t in axes.texts)]


def assert_nothing_leaves_the_page(figure: Figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]:
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut off at {box}"


def assert_rows_do_not_overlap(figure: Figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts if text.get_text()]
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 + 2 or other.y1 <= one.y0 + 2
            assert apart, f"{one} lies on {other}"


def test_the_ladder_groups_by_device_and_sorts_by_speedup():
    found = [speedup("a", 2.0), speedup("b", 3.0), speedup("c", 40.0, device="cuda:0")]
    rows = charts.ladder_rows(found)
    assert [row.text for row in rows] == [
        "cpu, 1 thread, float32", "b", "a", "numpy_in_place", "cuda:0, float32", "c",
    ]  # fmt: skip


def test_the_baseline_stands_in_the_ladder_without_a_speedup():
    rows = charts.ladder_rows([speedup("a", 2.0)])
    assert [row.text for row in rows if not row.heading and row.speedup is None] == ["numpy_in_place"]


def test_the_ladder_shows_every_speedup_with_its_interval_and_both_lines():
    with chart_style.applied():
        figure = charts.speedup_ladder([speedup("a", 2.0), speedup("b", 3.0, noisy=True)], WORDS)
    shown = texts(figure)
    assert {"2.00x [1.80, 2.20]", "3.00x [2.70, 3.30] *", "the baseline", "1x", "50x", "A footer"} <= set(shown)
    low, high = figure.axes[0].get_xlim()
    assert low < 1 < 50 < high


def test_a_speedup_from_one_block_says_that_its_interval_is_unknown():
    one = speedup("a", 2.0, half=math.nan)
    assert charts.ratio_words(one) == "2.00x [?]"
    with chart_style.applied():
        assert "2.00x [?]" in texts(charts.speedup_ladder([one], WORDS))


@pytest.mark.parametrize("cases", [1, 40])
@pytest.mark.parametrize("name", ["a", "a_style_with_a_name_that_is_far_too_long_for_any_chart_whatever"])
def test_ladders_of_one_and_of_forty_cases_are_readable(cases, name):
    found = [
        speedup(f"{name}_{index // 2}", 1 + index, device=("cpu", "cuda:0")[index % 2], threads=16)
        for index in range(cases)
    ]
    with chart_style.applied():
        figure = charts.speedup_ladder(found, WORDS)
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)


def test_an_endless_interval_does_not_squeeze_the_chart():
    wide = speedup("a", 2.0)
    endless = Speedup(
        wide.contender, "best-cpu", wide.baseline_case, "iteration", Ratio(2, 1e-200, 1e200, 2), 1, 1, True, ""
    )
    low, high = charts.ratio_limits([endless])
    assert low > 1e-5
    assert high < 1e7


def a_line(work, middle):
    return chart_work.Line("torch_tensors", GPU, tuple(work), tuple(middle), tuple(middle), tuple(middle))


@given(st.lists(positive, min_size=2, max_size=6), st.sampled_from([1.0, 50.0]))
def test_a_ring_is_where_the_verdict_has_its_crossover(ratios, level):
    work = [10.0**index for index in range(len(ratios))]
    at = chart_work.crossing(a_line(work, ratios), level)
    assert at is None or (at == first_reaching(work, ratios, level) and work[0] < at <= work[-1])


def test_a_level_that_the_first_size_has_reached_gets_no_ring():
    assert chart_work.crossing(a_line([1, 100], [2.0, 10.0]), 1.0) is None
    assert chart_work.crossing(a_line([1, 100], [0.1, 0.2]), 1.0) is None
    assert chart_work.crossing(a_line([1, 100], [0.1, 10.0]), 1.0) == pytest.approx(10.0)


def test_lines_go_through_their_sizes_in_order_of_work_and_the_baseline_lies_at_one():
    found = [speedup("a", 3.0, size=LARGE), speedup("a", 2.0, size=SMALL)]
    by_style = {line.style: line for line in chart_work.speedup_lines(found)}
    assert by_style["a"].work == (Problem(*SMALL).flops, Problem(*LARGE).flops)
    assert by_style["a"].middle == (2.0, 3.0)
    assert by_style["numpy_in_place"].middle == (1.0, 1.0)


@pytest.mark.parametrize("styles", [1, 20])
def test_speedup_against_work_keeps_few_lines_together_and_many_apart(styles):
    found = [
        speedup(f"style_{index}", value, size=size, device=device)
        for index in range(styles)
        for size, value in ((SMALL, 0.3), (TUTORIAL, 2.0), (LARGE, 60.0))
        for device in ("cpu", "cuda:0")
    ]
    with chart_style.applied():
        figure = chart_work.speedup_against_work(found, WORDS)
        assert_nothing_leaves_the_page(figure)
    assert len(figure.axes) == (1 if styles == 1 else 2)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any(label.startswith("reaches 1x or 50x") for label in labels)


def measured(**changes):
    common = {
        "block": 0, "style": "torch_tensors", "framework": "torch",
        "device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 1,
        "flops": 1e6, "floor_us": np.nan, "latency_median_us": 100.0, "import_seconds": 1.0, "transfer_seconds": 0.5,
        "first_iteration_seconds": 0.25, "program_seconds": np.nan, "n": 64, "d_in": 1000, "hidden": 100, "d_out": 10,
    }  # fmt: skip
    return {**common, **changes}


def test_time_against_work_draws_the_floor_only_where_it_was_measured():
    sizes = [measured(flops=flops, latency_median_us=us) for flops, us in ((1e6, 50.0), (1e8, 900.0))]
    floored = [{**row, "device": "cuda:0", "floor_us": row["latency_median_us"] / 3} for row in sizes]
    with chart_style.applied():
        without = chart_work.time_against_work(pd.DataFrame(sizes), WORDS)
        both = chart_work.time_against_work(pd.DataFrame([*sizes, *floored]), WORDS)
    assert len(without.legends) == 1
    assert len(both.legends) == 2
    assert [axes.get_title(loc="left") for axes in both.axes] == [CPU.label, GPU.label]


def test_the_layers_add_up_to_the_last_one():
    times = {"torch_tensors": (10, 12), "torch_autograd": (15, 16), "torch_nn": (14, 18)}
    frame = pd.DataFrame(
        measured(style=style, block=block, latency_median_us=us)
        for style, both in times.items()
        for block, us in enumerate(both)
    )
    found = chart_cost.rungs(frame)
    assert [one.name for one in found] == ["torch_tensors", "torch_autograd", "torch_nn"]
    assert found[0].us + sum(one.added_us for one in found[1:]) == pytest.approx(found[-1].us)
    assert found[1].low_us < 4.5 < found[1].high_us
    with chart_style.applied():
        figure = chart_cost.layers([(CPU, found), (GPU, found)], WORDS)
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)


def test_layers_under_chaos_stay_on_the_page():
    wild = [chart_cost.Rung("torch_tensors", 300.0, *[math.nan] * 3)]
    wild += [chart_cost.Rung(f"torch_{name}", 9e3, 8.7e3, -45_678.0, 98_765.0) for name in ("autograd", "optim_sgd")]
    with chart_style.applied():
        figure = chart_cost.layers([(CPU, wild)], WORDS)
        assert_nothing_leaves_the_page(figure)


def test_one_layer_alone_has_no_cost():
    assert chart_cost.rungs(pd.DataFrame([measured()])) == []


def test_a_waterfall_ends_at_the_product_of_its_factors():
    factors = [
        ("float64 to float32", 2.5),
        ("more threads", 0.8),
        ("a GPU with a name that goes on and on and on", 10.0),
    ]
    with chart_style.applied():
        figure = waterfall(factors, WORDS)
        assert_nothing_leaves_the_page(figure)
    assert {"2.50x", "0.800x", "10.0x", "20.0x"} <= set(texts(figure))


def start(config, before_s, latency_us):
    return chart_total.Start("a", config, before_s, 0.0, latency_us, math.nan)


@given(st.floats(0.01, 5), st.floats(0.01, 5), positive, positive)
def test_at_break_even_both_have_taken_as_long(before_a, before_b, us_a, us_b):
    one, other = start(CPU, before_a, us_a), start(GPU, before_b, us_b)
    iterations = chart_total.overtakes(one, other)
    if math.isfinite(iterations):
        assert one.seconds(iterations) == pytest.approx(other.seconds(iterations), rel=1e-6)
        assert 1 < iterations <= chart_total.MOST_ITERATIONS


def test_what_starts_later_and_runs_slower_never_breaks_even():
    assert math.isnan(chart_total.overtakes(start(CPU, 0.1, 10), start(GPU, 2.0, 20)))
    assert math.isnan(chart_total.overtakes(start(CPU, 0.1, 10), start(GPU, 2.0, 10)))


def test_break_even_compares_the_fastest_of_each_framework_and_device():
    rows = pd.DataFrame([
        measured(), measured(style="torch_nn", latency_median_us=200.0), measured(device="cuda:0"),
        measured(style="numpy_manual", framework="numpy", dtype="float64"), measured(import_seconds=np.nan, threads=2),
    ])  # fmt: skip
    found = chart_total.starts(rows)
    assert [(one.style, one.config.device) for one in found] == [
        ("torch_tensors", "cpu"), ("torch_tensors", "cuda:0"), ("numpy_manual", "cpu"),
    ]  # fmt: skip
    assert found[0].seconds(1) == 1.75
    with chart_style.applied():
        assert_nothing_leaves_the_page(chart_total.break_even(found, WORDS))


@given(st.integers(1, 20_000))
def test_a_thinned_trace_is_short_and_keeps_its_extremes(count):
    us = np.random.default_rng(count).lognormal(size=count)
    at, kept = chart_process.thinned(us, 5)
    assert len(at) == len(kept) <= chart_process.MOST_POINTS
    assert kept.min() == us.min()
    assert kept.max() == us.max()
    assert (us[at.astype(int) - 5] == kept).all()


def test_a_trace_shows_its_phases_with_their_counts():
    one = chart_process.Trace(5e5, np.full(100, 60.0), np.linspace(50, 90, 500), 70.0, 88.0, 700)
    with chart_style.applied():
        figure = chart_process.trace(one, WORDS)
        assert_nothing_leaves_the_page(figure)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "first call",
        "warm-up (100 of 700 kept)",
        "timed (500)",
    ]


def test_losses_of_all_styles_are_drawn_thinner_in_turn():
    frame = pd.DataFrame({"style": ["a"] * 3 + ["b"] * 3, "iteration": [0, 1, 2] * 2, "loss": [9.0, 3.0, 1.0] * 2})
    with chart_style.applied():
        lines = losses(frame, WORDS).axes[0].get_lines()
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[9.0, 3.0, 1.0]] * 2
    assert lines[0].get_linewidth() > lines[1].get_linewidth()


def test_no_two_of_forty_styles_look_alike_and_known_ones_keep_their_look():
    names = [f"style_{index}" for index in range(40)]
    look = chart_style.look([*names, "torch_nn"])
    assert len(set(look.values())) == 41
    assert look["torch_nn"] == chart_style.look(["torch_nn"])["torch_nn"]


def test_every_colour_stands_out_from_white_paper():
    for colour in chart_style.PALETTE:
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour))
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert 1.05 / (luminance + 0.05) > 2.2, colour


def test_devices_differ_in_more_than_colour():
    cpu, gpu = (chart_style.point(fast, "#000000", "o") for fast in (False, True))
    assert cpu["markerfacecolor"] != gpu["markerfacecolor"]
    assert chart_style.dashes(False, 1) != chart_style.dashes(True, 1) != chart_style.dashes(False, 2)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(50, "x", "50x"), (0.2, "x", "0.2x"), (2e4, "us", "20 ms"), (0.05, "us", "50 ns"), (3e8, "FLOP", "300M"),
     (1e4, "", "10,000"), (1e6, "", "1e6"), (0.1, "s", "100 ms")],
)  # fmt: skip
def test_ticks_are_written_out(value, unit, text):
    assert chart_style.quantity(value, unit) == text


def test_names_that_our_font_cannot_draw_and_dollars_are_drawn_all_the_same(tmp_path: Path):
    found = [speedup("$x_1$", 2.0), speedup("訓練", 3.0), speedup("_hidden", 1.5)]
    with chart_style.applied():
        chart_style.save(charts.speedup_ladder(found, WORDS), tmp_path / "chart")
    assert (tmp_path / "chart.png").stat().st_size > 10_000


def test_configurations_come_with_the_cpu_first():
    configs = [GPU, Config("cpu", 16, "float32", "ieee"), CPU, CPU]
    assert in_order(configs) == [CPU, configs[1], GPU]
    assert config_of(("a", "cuda:0", "float32", "ieee", 1)) == GPU
    assert Config("cuda:0", 1, "float32", "tf32").label == "cuda:0, float32 tf32"
