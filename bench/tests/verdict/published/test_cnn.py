"""The claim's own networks and their page: shares of peaks, the source's ratio at equal shares, bad folders."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.advice.rows import Row
from bench.cli import main
from bench.errors import UsageError
from bench.report.published.cnn import gpu_sheet, sentence
from bench.tables.columns import NETWORKS
from bench.tables.csv_files import write_as
from bench.verdict.published.cnn import THEIR_PEAK_GFLOPS, Beside, read_cnn
from bench.verdict.ratios.intervals import Ratio

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
    path.mkdir(exist_ok=True)
    write_as(path / NETWORKS, Row, rows)
    return path


@given(gflop=st.floats(1, 1e4), ms=st.floats(1, 1e6), peak=st.floats(1, 1e5), theirs=st.floats(1, 1e6))
def test_at_equal_shares_the_ratio_is_that_of_a_cpu_as_well_used_as_ours(gflop, ms, peak, theirs):
    time = Ratio(ms, ms, ms, 3)
    one = Beside("vgg16", 16, 1, gflop, time, time, peak, 0, theirs, 100.0)
    their_ms_at_our_share = gflop / (one.our_share * THEIR_PEAK_GFLOPS) * 1e3
    assert one.at_equal_shares == pytest.approx(their_ms_at_our_share / 100.0)


@pytest.mark.parametrize("name", ["peak_gflops", "latency_us", "flops", "forward_us", "batch"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_figure_that_none_is_says_where_it_stands(tmp_path, name, value):
    rows = [row(block) for block in range(3)]
    with pytest.raises(UsageError, match=f"networks.csv:5: column '{name}' is '{value}.*expected a number from"):
        read_cnn(folder(tmp_path, [*rows, row(3, **{name: value})]))


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


def on_gpu(block, network="vgg16", us=2e4, **changes):
    return row(
        block,
        network,
        us,
        **{"device": "cuda:0", "device_model": "a card", "threads": 1, "peak_gflops": 5e4, **changes},
    )


def test_a_table_from_before_there_was_a_device_is_of_a_cpu(tmp_path):
    rows = [row(block) for block in range(3)]
    new, old = (folder(tmp_path / name, rows) for name in ("new", "old"))
    lines = [line.rsplit(",", 3)[0] for line in (old / NETWORKS).read_text().splitlines()]
    (old / NETWORKS).write_text("\n".join(lines) + "\n")
    assert lines[0].endswith("torch")
    assert replace(read_cnn(old), name="new") == read_cnn(new)


@settings(max_examples=15)
@given(st.floats(1e4, 1e8), st.floats(1e2, 1e6), st.integers(1, 5))
def test_the_measured_ratio_is_a_pass_here_over_a_pass_there_block_by_block(tmp_path, here_us, there_us, blocks):
    drift = [1 + Random(block).random() / 9 for block in range(blocks)]
    cpu = [row(block, us=here_us * drift[block]) for block in range(blocks)]
    gpu = [on_gpu(block, us=there_us * drift[block]) for block in range(blocks)]
    (found,) = read_cnn(folder(tmp_path / "both", [*gpu, *cpu])).rows
    (card,) = found.gpus
    assert card.ratio.value == pytest.approx(here_us / there_us)
    assert (card.device, card.model, card.precision, card.ratio.blocks) == ("cuda:0", "a card", "ieee", blocks)
    if blocks > 1:  # both sides moved alike
        assert card.ratio.low == pytest.approx(card.ratio.high)
    assert replace(found, gpus=()) == read_cnn(folder(tmp_path / "alone", cpu)).rows[0]


def spread(made, us):
    return [made(block, us=us * factor) for block, factor in enumerate((1.0, 1.01, 0.99, 1.005))]


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [
        ((60.0, 70.0, 20.0), "supported"),
        ((60.0, 10.0, 20.0), "refuted"),
        ((60.0, 50.0, 20.0), "undecided"),
        ((60.0, None, None), "undecided"),
        ((None, None, None), "untested"),
    ],
)
def test_the_claim_is_judged_by_half_of_its_networks_in_float32(tmp_path, ratios, outcome):
    rows = []
    for network, ratio in zip(("vgg16", "resnet_18", "resnet_50"), ratios, strict=True):
        rows += spread(lambda block, us, network=network: row(block, network, us), 1e6)
        rows += spread(lambda block, us, network=network: row(block, network, us, threads=4), 4e6)  # no faster
        if ratio is not None:
            # the same factors in another order: as a neighbour would have it
            rows += spread(lambda block, us, network=network: on_gpu(3 - block, network, us), 1e6 / ratio)
            # a slower card beside it takes nothing away
            rows += spread(lambda block, us, network=network: on_gpu(block, network, us, device="cuda:1"), 1e6)
        # however fast TF32 is, it decides nothing
        rows += spread(lambda block, us, network=network: on_gpu(block, network, us, precision="tf32"), 1e3)
    found = read_cnn(folder(tmp_path, rows))
    assert found.verdict.outcome == outcome
    assert found.verdict.reason.endswith("in float32") == (outcome == "untested")


def test_what_has_no_counterpart_is_said(tmp_path):
    rows = [row(0), on_gpu(0, "resnet_18"), on_gpu(1), on_gpu(0, status="oom", reason="out of memory")]
    found = read_cnn(folder(tmp_path, rows))
    assert found.missing == (("out of memory", "vgg16 cuda:0"), ("no CPU row of it", "resnet-18"))
    table = gpu_sheet(found)
    assert table is not None
    assert "no block in common" in [cell.text for cell in table.rows[0]]
    assert "Undecided" in sentence(found)
    with pytest.raises(UsageError, match="on a CPU"):
        read_cnn(folder(tmp_path, rows[1:]))
    with pytest.raises(UsageError, match="no precision"):
        read_cnn(folder(tmp_path, [row(0), on_gpu(0, precision="odd")]))


@pytest.mark.usefixtures("handlers")
def test_the_command_puts_the_measured_ratio_beside_that_of_2017(tmp_path, capsys):
    rows = spread(row, 1e6) + spread(lambda b, us: on_gpu(3 - b, us=us), 1e6 / 80)
    rows += spread(lambda b, us: on_gpu(b, us=us, precision="tf32"), 5e3)
    assert main(["verdict", str(folder(tmp_path, rows))]) == 0
    out = capsys.readouterr().out
    assert "Supported: 1 of 1 networks reach 50x, 0 do not. On a card (float32) a pass is 80.0x as fast" in out
    assert "On a card (TF32) a pass is 200x as fast as on this CPU, where the source measured 66.1x." in " ".join(
        out.split()
    )
    assert main(["verdict", str(tmp_path), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["networks"]
    assert one["outcome"] == "supported"
    assert one["rows"][0]["gpus"][0]["ratio"]["value"] == pytest.approx(80)
