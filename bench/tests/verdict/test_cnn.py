"""Tests of bench.verdict._cnn and its page: shares of peaks, the source's ratio at equal shares, bad folders."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.advice.rows import Row
from bench.cli import main
from bench.errors import UsageError
from bench.tables.columns import NETWORKS
from bench.tables.csv_files import write_as
from bench.verdict._cnn import THEIR_PEAK_GFLOPS, Beside, read_cnn
from bench.verdict.intervals import Ratio

PLAIN = Row(
    block=0, network="vgg16", batch=16, threads=2, status="ok", reason="", latency_us=1.2e6, throughput_us=1e6,
    noise="", checked="checked", parameters=1, flops=1482e9, passes=3, forward_us=1e6 / 3, backward_us=2e6 / 3,
    pass_us=1e6, peak_gflops=200.0, cpu_model="a CPU", torch="2",
)  # fmt: skip


def row(block, network="vgg16", us=1e6, **changes):
    return replace(
        PLAIN, **{"block": block, "network": network, "forward_us": us / 3, "backward_us": us * 2 / 3, **changes}
    )


def folder(path, rows):
    write_as(path / NETWORKS, Row, rows)
    return path


@given(gflop=st.floats(1, 1e4), ms=st.floats(1, 1e6), peak=st.floats(1, 1e5), theirs=st.floats(1, 1e6))
def test_at_equal_shares_the_ratio_is_that_of_a_cpu_as_well_used_as_ours(gflop, ms, peak, theirs):
    time = Ratio(ms, ms, ms, 3)
    one = Beside("vgg16", 16, 1, gflop, time, time, peak, 0, theirs, 100.0)
    their_ms_at_our_share = gflop / (one.our_share * THEIR_PEAK_GFLOPS) * 1e3
    assert one.at_equal_shares == pytest.approx(their_ms_at_our_share / 100.0)


def test_a_folder_is_read_beside_the_source(tmp_path):
    us = Random().uniform(1e5, 1e7)
    rows = [row(block, us=us) for block in range(3)] + [row(0, "resnet_18", flops=170e9), row(0, "iris")]
    found = read_cnn(folder(tmp_path, [*rows, row(1, "resnet_18", status="oom", reason="out of memory")]))
    assert [one.network for one in found.rows] == ["resnet-18", "vgg16"]
    vgg = found.rows[1]
    assert vgg.pass_ms.value == pytest.approx(us / 1e3)
    assert vgg.our_share == pytest.approx(1482e3 / (us / 1e3) / 200.0)
    assert (vgg.their_ms, vgg.card_ms) == (8495.48, 128.62)
    assert vgg.their_share == pytest.approx(0.142, abs=0.001)
    assert found.missing == (("out of memory", "resnet-18"),)


@pytest.mark.parametrize("rows", [[], [row(0, "iris")], [row(0, forward_us=None)], [row(0, status="failed")]])
def test_a_folder_without_a_pass_of_the_source_is_refused(tmp_path, rows):
    with pytest.raises(UsageError):
        read_cnn(folder(tmp_path, rows))


@pytest.mark.usefixtures("handlers")
def test_the_command_says_untested_and_what_the_ratio_would_be(tmp_path, capsys):
    (tmp_path / "cnn").mkdir()
    made = folder(tmp_path / "cnn", [row(block) for block in range(3)])
    assert main(["verdict", str(made)]) == 3
    out = capsys.readouterr().out
    assert "cnn: Untested: no GPU was measured" in out
    assert "66.1x" in out
    assert main(["verdict", str(made), "--json"]) == 3
    (one,) = json.loads(capsys.readouterr().out)["networks"]
    assert one["rows"][0]["at_equal_shares"] == pytest.approx(66.05 * 0.1419 / (1482 / 200), rel=0.01)
    for option, value in (("--scope", "loop"), ("--at-least", "30"), ("--claim", "50x")):
        assert main(["verdict", str(made), option, value]) == 2
        assert f"leave out {option}" in capsys.readouterr().err
    assert main(["verdict", str(made), "results/tutorial-cpu"]) == 2
