from __future__ import annotations

from itertools import pairwise

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import CaseKey
from bench.charts.drawing import series, style
from bench.charts.drawing.series import Config
from bench.tests.charts.pages import CPU, GPU, TUTORIAL, measured


def test_no_two_of_forty_styles_look_alike_and_known_ones_keep_their_look():
    names = [f"style_{index}" for index in range(40)]
    palette = series.palette([*names, "torch_nn"])
    assert len(set(palette.values())) == 41
    assert palette["torch_nn"] == series.palette(["torch_nn"])["torch_nn"]


@given(st.sets(st.sampled_from([*series.KNOWN, *(f"own_{at}" for at in range(30))]), min_size=1, max_size=12))
def test_twelve_styles_of_a_run_have_twelve_colours_and_known_ones_their_own(names):
    found = series.palette(names)
    assert len({colour for colour, _shape in found.values()}) == len(names)
    assert all(found[name] == series.palette([name])[name] for name in names if name in series.KNOWN)


@given(st.sets(st.sampled_from([*series.KNOWN, *(f"own_{at}" for at in range(30))]), min_size=13, max_size=24))
def test_of_more_styles_at_most_two_share_a_colour(names):
    colours = [colour for colour, _shape in series.palette(names).values()]
    assert max(map(colours.count, colours)) == 2


@given(st.lists(st.floats(0.05, 30), min_size=1, max_size=20, unique=True))
def test_an_axis_of_work_names_the_tutorials_size_and_no_name_lies_on_another(scales):
    sizes = {TUTORIAL, *(TUTORIAL.scaled(scale) for scale in scales)}
    with style.applied():
        figure, (axes,) = style.panels(style.Words("", "", ""), [""], [], "", "")
        axes.set_xlim(min(size.flops for size in sizes) / 2, max(size.flops for size in sizes) * 2)
        axes.set_xscale("log")
        series.name_sizes(axes, sizes)
        figure.draw_without_rendering()
        shown = [tick.label1 for tick in axes.xaxis.get_major_ticks()]
        boxes = sorted((text.get_window_extent() for text in shown), key=lambda box: box.x0)
    assert "26M\ntutorial" in [text.get_text() for text in shown]
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_devices_differ_in_more_than_colour():
    cpu, gpu = (series.point(config, "#000000", "o") for config in (CPU, GPU))
    assert cpu["markerfacecolor"] != gpu["markerfacecolor"]
    two = Config("cpu", 2, "float32", "ieee")
    double = Config("cpu", 1, "float64", "ieee")
    assert len({str(series.dashes(config)) for config in (CPU, GPU, two, double)}) == 4


def test_configurations_come_with_the_cpu_first():
    configs = [GPU, Config("cpu", 16, "float32", "ieee"), CPU, CPU]
    assert series.in_order(configs) == [CPU, configs[1], GPU]
    assert series.config_of(CaseKey("a", "cuda:0", "float32", "ieee", 1, *TUTORIAL)) == GPU
    assert Config("cuda:0", 1, "float32", "tf32").label == "cuda:0, float32 tf32"


def test_rows_by_configuration_come_in_that_order_and_all_of_them():
    rows = pd.DataFrame([measured(device="cuda:0"), measured(threads=2), measured(), measured(block=1)])
    found = series.by_config(rows)
    assert list(found) == [CPU, Config("cpu", 2, "float32", "ieee"), GPU]
    assert [len(same) for same in found.values()] == [2, 1, 1]
