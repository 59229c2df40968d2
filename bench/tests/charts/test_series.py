from __future__ import annotations

import pandas as pd

from bench.cases.case import CaseKey
from bench.charts import series
from bench.charts.series import Config
from bench.tests.charts.pages import CPU, GPU, TUTORIAL, measured


def test_no_two_of_forty_styles_look_alike_and_known_ones_keep_their_look():
    names = [f"style_{index}" for index in range(40)]
    look = series.look([*names, "torch_nn"])
    assert len(set(look.values())) == 41
    assert look["torch_nn"] == series.look(["torch_nn"])["torch_nn"]


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
