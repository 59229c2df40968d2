"""Tests of bench.verdict.published.cited_source: the figures that the audit must reach, from the committed CSV."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.errors import UsageError
from bench.report.published.cited_source import headline_words, reading, summary
from bench.verdict.published.cited_source import (
    NO_CUDNN,
    cudnn_version,
    groups,
    peak_ratio,
    ratios,
    read_figures,
    run_twice,
    without_cpu,
)

CARD = "Pascal Titan X"


@pytest.fixture
def figures():
    return read_figures()


@pytest.fixture
def found(figures):
    return ratios(figures)


def group_of(found, card, cudnn):
    (group,) = groups(found, 50).query("card == @card and cudnn == @cudnn").itertuples()
    return group


@pytest.mark.parametrize(
    ("card", "cudnn", "low", "high", "above", "networks"),
    [
        (CARD, "5.1", 64.0, 77.4, 8, 8),
        (CARD, "5.0", 51.6, 74.9, 8, 8),
        (CARD, NO_CUDNN, 22.4, 27.7, 0, 8),
        ("Maxwell Titan X", "5.1", 40.5, 49.4, 0, 8),
        ("GTX 1080", "5.0", 34.9, 51.4, 1, 7),
    ],
)
def test_the_range_of_a_card_is_that_of_the_sources_means(found, card, cudnn, low, high, above, networks):
    group = group_of(found, card, cudnn)
    assert (round(group.low, 1), round(group.high, 1)) == (low, high)
    assert (group.reaching, group.networks) == (above, networks)


def test_medians_would_give_other_figures(figures):
    by_median = ratios(figures.assign(total_ms=figures["total_median_ms"]))
    assert round(group_of(by_median, CARD, "5.1").low, 1) == 63.4


def test_the_summary_says_what_must_be_said(found):
    text = "\n".join(summary(found, 50))
    assert "Pascal Titan X, cuDNN 5.1: 64.0-77.4x, all 8 networks above 50x." in text
    assert "22.4-27.7x, none above 50x." in text
    assert (
        '"49x" stands in no current table of the Pascal Titan X: that card\'s lowest is 51.6x (vgg19, cuDNN 5.0)'
        in text
    )
    assert "the ratio would be 8.3x: 10.16 TFLOP/s against 2 x 8 cores x 2.4 GHz x 32" in text
    assert round(peak_ratio(), 1) == 8.3


def test_a_headline_that_does_stand_in_the_table_is_not_called_absent(figures):
    slower = (figures["card"] == CARD) & (figures["cudnn"] == "5.0") & (figures["model"] == "vgg19")
    figures.loc[slower, "total_ms"] = 9849.23 / 49
    assert headline_words(ratios(figures))[0] == 'The headline\'s "49x" is in the tables of that card.'


def test_of_two_runs_of_a_cell_the_lower_mean_is_used_and_said(figures, found):
    cell: Any
    (cell,) = run_twice(figures).query("card == 'cpu'").itertuples()
    assert (cell.network, sorted(cell.runs_ms), cell.used) == ("resnet-18", [2195.78, 2220.01], 2195.78)
    assert "  CPU, resnet-18: 2220.01 and 2195.78 ms; used 2195.78" in list(reading(figures))
    assert set(found.query("network == 'resnet-18'")["cpu_ms"]) == {2195.78}


def test_networks_without_a_cpu_time_have_no_ratio(figures, found):
    assert without_cpu(figures) == ["alexnet", "googlenet-v1"]
    assert not set(found["network"]) & set(without_cpu(figures))


def test_cudnns_own_number_becomes_a_version():
    assert [cudnn_version(code) for code in ("5005", "5105", "5110", "4007", "none")] == [
        "5.0", "5.1", "5.1", "4.0", "none",
    ]  # fmt: skip


def test_figures_without_any_cpu_give_no_ratio(figures):
    found = ratios(figures[figures["device"] != "cpu"])
    assert found.empty
    assert groups(found, 50).empty
    assert headline_words(found) == ["The figures hold no Pascal Titan X with cuDNN: the headline cannot be checked."]


def test_figures_that_are_broken_are_refused(tmp_path):
    path = tmp_path / "figures.csv"
    with pytest.raises(UsageError, match="cannot be read"):
        read_figures(path)
    whole = pd.DataFrame({"device": ["cpu"], "cudnn": ["none"], "batch_size": [16], "total_ms": [0.0]})
    whole.to_csv(path, index=False)
    with pytest.raises(UsageError, match="no column 'model'"):
        read_figures(path)
    whole.assign(model="vgg16").to_csv(path, index=False)
    with pytest.raises(UsageError, match="not above 0"):
        read_figures(path)
