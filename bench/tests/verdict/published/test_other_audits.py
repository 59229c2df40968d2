"""Tests of bench.verdict.published.other_audits: the figures that two more published comparisons come to."""

import math

import pytest

from bench.errors import UsageError
from bench.report.published.other_audits import deepbench_words, other_values, pyhpc_words
from bench.verdict.published.other_audits import deepbench_ratios, pyhpc_ratios


def test_against_one_core_the_best_backend_takes_most_of_the_speedup():
    found = pyhpc_ratios().dropna()
    assert len(found) == 6
    assert [round(found["over_numpy"].min(), 1), round(found["over_numpy"].max())] == [23.5, 228]
    assert [round(found["over_best"].min(), 1), round(found["over_best"].max(), 1)] == [6.8, 75.4]
    assert (found["over_best"] >= 50).sum() == 1


def test_no_ratio_is_taken_of_a_time_with_one_digit():
    found = pyhpc_ratios()
    short = found[found["kernel"] == "equation_of_state"]
    assert len(short) == 3
    assert short[["over_numpy", "over_best"]].isna().all(axis=None)
    assert "printed with one digit, 0.001 s." in " ".join(pyhpc_words(found, 50.0))


@pytest.mark.parametrize(
    ("device", "half", "low", "median", "high"),
    [
        ("NV_V100", False, 1.39, 3.08, 4.77),
        ("NV_V100", True, 2.41, 14.36, 26.29),
        ("NV_M40", False, 0.21, 0.82, 1.30),
    ],
)
def test_products_on_cards_over_a_xeon_phi(device, half, low, median, high):
    found = deepbench_ratios().query("device == @device and half == @half").iloc[0]
    assert [round(found[name], 2) for name in ("low", "median", "high")] == [low, median, high]
    assert found["products"] == 160


@pytest.mark.parametrize("threshold", [1.0, 10.0, 50.0, 1000.0])
def test_the_sentences_count_what_reaches_a_threshold(threshold):
    kernels = pyhpc_ratios()
    reaching = sum(not math.isnan(one) and one >= threshold for one in kernels["over_best"])
    assert f"{threshold:g}x or more in {reaching} of 6 cells" in " ".join(pyhpc_words(kernels, threshold))
    assert "1.39-4.77x, median 3.1x" in " ".join(deepbench_words(deepbench_ratios()))
    assert len(other_values(threshold)) == 2


def test_a_file_without_its_columns_ends_in_a_line_that_names_it(tmp_path):
    (tmp_path / "other.csv").write_text("size,mean_s\n4194304,1.0\n")
    with pytest.raises(UsageError, match="has no column 'host'"):
        pyhpc_ratios(tmp_path / "other.csv")
    (tmp_path / "gemm.csv").write_text("device,sheet,m,n,k,ms,a_transposed,b_transposed\nx,y,1,1,1,-1,N,N\n")
    with pytest.raises(UsageError, match="above 0"):
        deepbench_ratios(tmp_path / "gemm.csv")
