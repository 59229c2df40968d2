"""Tests of frozen predictions held against measurements: every step that a folder holds, and no other card."""

from dataclasses import replace
from math import exp, log
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.advice.held import HELD, CardRow, Held, hold, summary
from bench.advice.network.asked import Processor
from bench.advice.prediction import PREDICTIONS, main
from bench.advice.rows import Row, jobs_of
from bench.cases.problem import TUTORIAL_SIZE
from bench.errors import UsageError
from bench.machine.environment import ROOT
from bench.tables.columns import NETWORKS
from bench.tables.csv_files import read_as, write_as
from bench.tests.planted import MACHINE, planted, write_run

FROZEN = read_as(ROOT / "results" / "prediction-h200" / PREDICTIONS, CardRow)
MODEL = "NVIDIA H200"
PLAIN = Row(
    block=0, network="lenet", batch=8, threads=1, status="ok", reason="", latency_us=100.0, throughput_us=90.0,
    noise="", checked="checked", parameters=1, flops=1e6, passes=0, forward_us=None, backward_us=None, pass_us=None,
    peak_gflops=5e4, cpu_model="a CPU", torch="2", device="cuda:0", device_model=MODEL,
)  # fmt: skip


def folder(path, rows):
    path.mkdir(exist_ok=True)
    write_as(path / NETWORKS, Row, rows)
    return path


def measured_as(row, factor, **changes):
    """A process that took `factor` times what was predicted of a step."""
    return replace(
        PLAIN, network=row.network, batch=row.batch, precision=row.precision, latency_us=row.latency_us * factor,
        throughput_us=row.throughput_us * factor, **changes,
    )  # fmt: skip


OF_NETWORKS = [row for row in FROZEN if " " not in row.network]


def test_every_frozen_network_is_one_that_a_preset_measures():
    jobs = [*jobs_of("cnn", ["all"], [Processor()]), *jobs_of("frozen", [], [Processor()])]
    assert {(job.function, job.batch) for job in jobs} == {(row.network, row.batch) for row in OF_NETWORKS}


@given(st.lists(st.tuples(st.sampled_from(OF_NETWORKS), st.floats(0.05, 20)), min_size=1, max_size=9))
def test_a_step_is_inside_where_its_mean_over_processes_is(tmp_path, took):
    rows = [measured_as(row, factor, block=at) for at, (row, factor) in enumerate(took)]
    found = hold(FROZEN, [folder(tmp_path / "gpu", rows)])
    assert len(found) == 2 * len({row for row, _ in took})
    for one in found:
        row = next(row for row in FROZEN if row.step == (one.network, one.batch, one.precision))
        factors = [factor for other, factor in took if other == row]
        mean = exp(sum(map(log, factors)) / len(factors))
        ends = (row.latency_low_us, row.latency_us, row.latency_high_us)
        if one.scope == "throughput":
            ends = (row.throughput_low_us, row.throughput_us, row.throughput_high_us)
        assert (one.low_us, one.predicted_us, one.high_us) == ends
        assert one.measured_us == pytest.approx(ends[1] * mean)
        assert one.inside == (ends[0] <= one.measured_us <= ends[2])
        assert one.processes == len(factors)
        assert one.factor == pytest.approx(1 / mean)


def test_rows_of_a_cpu_and_those_that_failed_are_no_measurement_of_the_card(tmp_path):
    row = Random().choice(OF_NETWORKS)
    bad = [measured_as(row, 9.0, device="cpu"), measured_as(row, 9.0, status="failed"), measured_as(row, 1.0)]
    found = hold(FROZEN, [folder(tmp_path, bad)])
    assert [(one.processes, one.inside) for one in found] == [(1, True)] * 2
    with pytest.raises(UsageError, match="none of the predicted steps"):
        hold(FROZEN, [folder(tmp_path, bad[:2])])


@pytest.mark.parametrize("model", ["NVIDIA H100 80GB HBM3", "a card", ""])
def test_what_was_measured_on_another_card_is_refused(tmp_path, model):
    rows = [measured_as(OF_NETWORKS[0], 1.0, device_model=model)]
    with pytest.raises(UsageError, match="the predictions are of H200 SXM"):
        hold(FROZEN, [folder(tmp_path, rows)])


def test_a_folder_that_holds_nothing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"holds neither networks\.csv nor measurements\.csv"):
        hold(FROZEN, [tmp_path])


def test_the_styles_of_a_run_are_held_too(tmp_path):
    sides = [("torch_tensors", "cuda:0", "float32", 1), ("torch_tensors", "cpu", "float32", 1)]
    table = planted([*sides, ("torch_autograd", "cuda:0", "float32", 1)], [TUTORIAL_SIZE], blocks=3)
    table.loc[table["style"] == "torch_autograd", "style"] = "torch_nn"  # of which nothing is predicted
    table.loc[table["device"] == "cuda:0", "device_model"] = MODEL
    machine = {**MACHINE, "devices": {**MACHINE["devices"], "cuda:0": {"model": MODEL}}}
    found = hold(FROZEN, [write_run(tmp_path / "run", table, machine)])
    assert [(one.network, one.batch, one.precision, one.scope, one.processes) for one in found] == [
        ("torch_tensors 64x1000x100x10", 64, "ieee", scope, 3) for scope in ("iteration", "throughput")
    ]
    mine = table[(table["style"] == "torch_tensors") & (table["device"] == "cuda:0")]
    assert found[0].measured_us == pytest.approx(exp(mine["latency_median_us"].map(log).mean()))
    assert found[1].measured_us == pytest.approx(exp(mine["throughput_us"].map(log).mean()))


def test_the_command_writes_a_table_prints_it_and_leaves_the_predictions_as_they_are(tmp_path, capsys):
    frozen = tmp_path / "frozen"
    write_as(_made(frozen) / PREDICTIONS, CardRow, FROZEN)
    before = (frozen / PREDICTIONS).read_bytes()
    good, bad = Random().sample(OF_NETWORKS, 2)
    measured = folder(tmp_path / "gpu", [measured_as(good, 1.01), measured_as(bad, 50.0)])
    assert main([str(frozen), "--measured", str(measured)]) == 0
    out = capsys.readouterr().out
    assert f"2 steps of {len(FROZEN)} predicted for H200 SXM measured. The 80% intervals hold 2 of 4 times (50%)" in out
    assert f"{bad.network} at {bad.batch} {bad.precision} by iteration 0.0200" in out
    assert "Not measured: torch_tensors 16x250x25x2 at 16 ieee" in out
    assert (frozen / PREDICTIONS).read_bytes() == before
    rows = read_as(frozen / HELD, Held)
    assert sorted(one.inside for one in rows) == [False, False, True, True]
    assert main([str(tmp_path / "nowhere"), "--measured", str(measured)]) == 2
    assert main([str(frozen), "--measured", str(frozen)]) == 2


def test_without_a_miss_none_is_named(tmp_path):
    found = hold(FROZEN, [folder(tmp_path, [measured_as(OF_NETWORKS[0], 1.0)])])
    assert not any("misses" in line for line in summary(FROZEN, found))


def test_the_gate_of_a_large_batch_looks_at_a_small_one():
    assert {(job.batch, job.check["batch"]) for job in jobs_of("frozen", [], [Processor()])} == {(8, 8), (512, 8)}


def _made(path: Path) -> Path:
    path.mkdir()
    return path
