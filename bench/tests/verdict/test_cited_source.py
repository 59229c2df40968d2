"""Tests of bench.verdict.cited_source: the figures that the audit must reach, from the committed CSV."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.errors import UsageError
from bench.report.cited_source import reading, summary
from bench.verdict.cited_source import NO_CUDNN, audit, cudnn_version, headline_words, peak_ratio, read_figures

CARD = "Pascal Titan X"


@pytest.fixture(scope="module")
def found():
    return audit(read_figures())


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
    group = found.group(card, cudnn)
    assert (round(group.lowest.ratio, 1), round(group.highest.ratio, 1)) == (low, high)
    assert (group.reaching(50), len(group.cells)) == (above, networks)


def test_medians_would_give_other_figures(found):
    figures = read_figures()
    by_median = audit(figures.assign(total_ms=figures["total_median_ms"])).group(CARD, "5.1")
    assert by_median is not None
    assert round(by_median.lowest.ratio, 1) == 63.4


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


def test_a_headline_that_does_stand_in_the_table_is_not_called_absent(found):
    figures = read_figures()
    slower = (figures["device"] == "TITAN X") & (figures["cudnn"] == "5005") & (figures["model"] == "vgg19")
    figures.loc[slower, "total_ms"] = 9849.23 / 49
    assert headline_words(audit(figures))[0] == 'The headline\'s "49x" is in the tables of that card.'


def test_of_two_runs_of_a_cell_the_lower_mean_is_used_and_told(found):
    cell = next(one for one in found.twice if one.card == "cpu")
    assert (cell.network, sorted(cell.runs_ms), cell.used_ms) == ("resnet-18", [2195.78, 2220.01], 2195.78)
    assert "  CPU, resnet-18: 2220.01 and 2195.78 ms; used 2195.78" in list(reading(found))
    group = found.group(CARD, "5.1")
    assert next(one for one in group.cells if one.network == "resnet-18").cpu_ms == 2195.78


def test_networks_without_a_cpu_time_have_no_ratio(found):
    assert found.without_cpu == ("alexnet", "googlenet-v1")
    assert not {cell.network for group in found.groups for cell in group.cells} & set(found.without_cpu)


def test_cudnns_own_number_becomes_a_version():
    assert [cudnn_version(code) for code in ("5005", "5105", "5110", "4007", "none")] == [
        "5.0", "5.1", "5.1", "4.0", "none",
    ]  # fmt: skip


def test_figures_without_any_cpu_give_no_ratio():
    figures = read_figures()
    assert audit(figures[figures["device"] != "cpu"]).groups == ()


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
