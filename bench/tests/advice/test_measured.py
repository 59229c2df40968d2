"""Tests of advice with an accelerator: times beside the CPU, speedup, its start, what its bound forbids."""

import json
import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.advice import own
from bench.advice.accelerated import Accelerated, accelerated
from bench.advice.advise import AtBatch
from bench.advice.network.asked import PRODUCT, Counted, Operation, Processor, StepFound
from bench.advice.network.memory import load, save
from bench.advice.words import batch_sheet, lines_of, paragraph, print_advice, remarks
from bench.cli import main
from bench.commands._common import console
from bench.errors import UsageError
from bench.plain import to_plain
from bench.tests.fakes import PROBE, REASON
from bench.verdict.ratios.intervals import Ratio

H200 = "NVIDIA H200"
GPU = {**PROBE, "devices": {**PROBE["devices"], "cuda:0": {"model": H200}}, "missing": {}}
CARD = Processor("cuda:0", H200)
COUNTED = Counted(1e6, 0.0, 4000, 20, 20, work=[Operation(PRODUCT, 20, 5e4, 2000, 10, 50, 50)])
FILE = """
import torch
from implementations import network

@network
def tiny(batch):
    return torch.nn.Linear(5, 3), (torch.randn(batch, 5),), torch.sum
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.advice.processors.probe_devices", lambda: GPU)
    path = tmp_path / "tiny.py"
    path.write_text(FILE)
    return path


def answers(cpu_us, gpu_us, **changes):
    """A machine whose CPU takes `cpu_us(batch)` on one thread and twice that on more, its GPU `gpu_us(batch)`."""
    asked = []

    def one(job):
        asked.append(job)
        wobble = 1 + 0.01 * ((7 * len(asked)) % 5)
        us = (cpu_us(job.batch) * min(2, job.on.threads) if job.on.on_cpu else gpu_us(job.batch)) * wobble
        counted, start_s = COUNTED if job.count else None, 0.5 if job.on.on_cpu else 3.5
        found = StepFound("ok", "", us, 0.5 * us, "", "checked", 18, counted, start_s=start_s)
        return replace(found, **({} if job.on.on_cpu else changes))

    one.asked = asked  # type: ignore[attr-defined]
    return one


def test_every_block_holds_the_accelerator_after_the_threads_of_the_cpu(file):
    one = answers(lambda _batch: 100.0, lambda _batch: 50.0)
    found = own.advise(file, batches=[1, 8], threads=[1, 2], blocks=2, asked=one)
    assert [(job.batch, job.on.device, job.on.threads, job.count) for job in one.asked[:6]] == [
        (1, "cpu", 1, True), (1, "cpu", 2, False), (1, "cuda:0", 1, False),
        (8, "cpu", 1, True), (8, "cpu", 2, False), (8, "cuda:0", 1, False),
    ]  # fmt: skip
    assert len(one.asked) == 12
    assert found.threads == (1, 2)
    assert [row.gpu and row.gpu.on for row in found.batches] == [CARD, CARD]


def test_without_an_accelerator_or_with_device_cpu_there_is_none(file, monkeypatch):
    one = answers(lambda _batch: 100.0, lambda _batch: 50.0)
    assert own.advise(file, batches=[1], blocks=1, device="cpu", asked=one).batches[0].gpu is None
    monkeypatch.setattr("bench.advice.processors.probe_devices", lambda: PROBE)
    assert own.advise(file, batches=[1], blocks=1, asked=one).batches[0].gpu is None
    with pytest.raises(UsageError, match="no accelerator here"):
        own.advise(file, batches=[1], blocks=1, device="gpu", asked=one)
    with pytest.raises(UsageError, match="tf32 exists only"):
        own.advise(file, batches=[1], blocks=1, precision="tf32", asked=one)


def test_the_precision_is_that_of_the_accelerator_alone(file):
    one = answers(lambda _batch: 100.0, lambda _batch: 50.0)
    own.advise(file, batches=[1], blocks=1, precision="tf32", device="cuda", asked=one)
    assert [job.on.precision for job in one.asked] == ["ieee", "tf32"]


times = st.lists(st.floats(1, 1e4), min_size=2, max_size=2)


@settings(max_examples=60)
@given(st.lists(st.tuples(times, st.floats(1, 1e4)), min_size=1, max_size=6))
def test_the_speedup_is_over_the_fastest_thread_count_and_paired_by_block(blocks):
    def found(us):
        return StepFound("ok", "", us, 2 * us, start_s=us)

    cpus = [[found(cpu[at]) for cpu, _ in blocks] for at in range(2)]
    one = accelerated(CARD, [found(us) for _, us in blocks], cpus, None)
    means = [math.exp(sum(math.log(cpu[at] / us) for cpu, us in blocks) / len(blocks)) for at in range(2)]
    for ratio in (one.speedup, one.batch_speedup):
        assert ratio is not None
        assert ratio.value == pytest.approx(min(means))
        assert ratio.blocks == len(blocks)
        if len(blocks) > 1:
            assert ratio.low <= ratio.value <= ratio.high
        else:
            assert math.isnan(ratio.low)
    assert one.faster == (one.speedup is not None and one.speedup.low > 1)


def test_a_drift_that_both_sides_share_leaves_the_speedup_sharp():
    drift = [1.0, 1.5, 0.7, 1.2]
    cpu, gpu = ([StepFound("ok", "", us * one, us * one) for one in drift] for us in (300.0, 100.0))
    speedup = accelerated(CARD, gpu, [cpu], None).speedup
    assert speedup is not None
    assert speedup.low == pytest.approx(3.0)
    assert speedup.high == pytest.approx(3.0)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(2, 1e6), st.floats(2, 1e6))
def test_a_start_is_repaid_by_what_each_step_saves(cpu_s, gpu_s, cpu_us, gpu_us):
    cpu, gpu = StepFound("ok", "", cpu_us, 1.0, start_s=cpu_s), StepFound("ok", "", gpu_us, 1.0, start_s=gpu_s)
    found = accelerated(CARD, [gpu] * 2, [[cpu] * 2], None)
    assert found.latency is not None
    steps, saved_us = found.repaid_after(Ratio(cpu_us, cpu_us, cpu_us, 2)), cpu_us - found.latency.value
    if saved_us > 0:
        assert steps * saved_us == pytest.approx(max(0.0, gpu_s - cpu_s) * 1e6)
    else:
        assert steps == math.inf


def test_a_start_that_nobody_timed_repays_nothing_and_is_not_spoken_of(file):
    one = answers(lambda batch: 100.0 * batch, lambda _batch: 50.0)
    found = own.advise(
        file,
        batches=[8],
        blocks=3,
        asked=lambda job: replace(one(job), start_s=None, counted=None),
    )
    assert "repaid" not in " ".join(paragraph(found))
    assert "From batch 8 on it is faster by its whole interval." in " ".join(paragraph(found))


@pytest.mark.parametrize(
    ("cpu_us", "gpu_us", "says"),
    [
        (lambda batch: 100.0 * batch, lambda batch: 400.0 + batch, "From batch 8 on it is faster by its whole"),
        (lambda batch: 100.0, lambda batch: 400.0, "At no batch measured is it faster by its whole interval."),
        (
            lambda batch: 1000.0, lambda batch: 9.0 if batch == 1 else 2000.0,
            "At batch 64 it is not faster by its whole interval, though at batch 1 it is.",
        ),
    ],
)  # fmt: skip
def test_the_paragraph_says_what_was_measured_before_what_is_predicted(file, cpu_us, gpu_us, says):
    found = own.advise(file, batches=[1, 8, 64], threads=[1, 2], blocks=4, asked=answers(cpu_us, gpu_us))
    words = " ".join(paragraph(found))
    assert f"Measured on {H200} (cuda:0 float32): at batch 1 " in words
    assert says in words
    assert words.index("Measured on") < words.index("Predicted at")
    assert ("its start takes 3 s more than the CPU's, repaid there after about" in words) == ("From" in says)
    assert "nan" not in words


def test_the_table_and_the_chart_have_the_measured_speedup_and_the_bounds_stay(file):
    found = own.advise(file, batches=[1, 8], blocks=4, asked=answers(lambda _batch: 900.0, lambda _batch: 300.0))
    table = batch_sheet(found)
    assert table.title == f"tiny: a training step on this CPU and on {H200} (cuda:0 float32), 4 blocks"
    at = [column.name for column in table.columns].index("GPU speedup")
    assert all(row[at].text.endswith("x") and 2.8 < (row[at].sort or 0) < 3.2 for row in table.rows)
    assert all(row[at].small for row in table.rows)
    line = lines_of(found)[f"measured on {H200} (cuda:0 float32), loss read"]
    assert [batch for batch, _ in line] == [1, 8]
    assert all(row.bounds and row.predicted for row in found.batches)


def test_one_block_has_a_speedup_without_an_interval(file, capsys):
    found = own.advise(file, batches=[1], blocks=1, asked=answers(lambda _batch: 900.0, lambda _batch: 300.0))
    words = " ".join(paragraph(found))
    assert "at batch 1 2." in words or "at batch 1 3." in words
    assert "At no batch measured" in words
    print_advice(console(), found)
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize(("us", "faults"), [(0.5, 2), (1e5, 0)])
def test_a_time_below_the_bound_of_its_own_card_is_a_fault(file, us, faults):
    found = own.advise(file, batches=[1], blocks=3, asked=answers(lambda _batch: 900.0, lambda _batch: us))
    lines = [line for line in remarks(found) if line.startswith("Fault: at batch 1 a step by ")]
    assert len(lines) == faults
    assert all("less than the" in line and "cuda:0 float32" in line for line in lines)


@given(st.floats(1e-3, 1e5), st.sampled_from(["iteration", "throughput"]), st.sampled_from(["ieee", "tf32"]))
def test_a_card_outside_the_table_is_held_to_the_least_of_all(us, scope, precision):
    def faults(model):
        steps = [StepFound("ok", "", us, us)] * 2
        found = accelerated(Processor("cuda:0", model, 1, precision), steps, [steps], COUNTED).faults
        return sum(f"by {scope} " in one for one in found)

    assert faults("nobody knows") == min(
        map(faults, ("NVIDIA H200", "NVIDIA B200", "NVIDIA GeForce RTX 5090", "T4", "-"))
    )


def test_an_accelerator_that_runs_out_of_memory_leaves_the_cpu_its_row(file):
    one = answers(lambda _batch: 900.0, lambda _batch: 300.0)

    def out_of_memory(job):
        return one(job) if job.on.on_cpu or job.batch == 1 else StepFound("oom", "out of memory")

    found = own.advise(file, batches=[1, 8], blocks=3, asked=out_of_memory)
    assert [row.status for row in found.batches] == ["ok", "ok"]
    assert [row.gpu and row.gpu.status for row in found.batches] == ["ok", "oom"]
    assert "cuda:0 float32: oom: out of memory: 1 case: batch 8" in list(remarks(found))
    assert "at batch 1 " in " ".join(paragraph(found))
    assert json.dumps(to_plain(found), allow_nan=False)


def test_an_accelerator_that_never_worked_has_no_column_and_no_sentence(file):
    one = answers(lambda _batch: 900.0, lambda _batch: 300.0)
    found = own.advise(
        file, batches=[1], blocks=3, asked=lambda job: one(job) if job.on.on_cpu else StepFound("failed", "no")
    )
    assert not any(column.name.startswith("GPU") for column in batch_sheet(found).columns)
    assert "Measured on" not in " ".join(paragraph(found))


def test_noise_and_checks_of_the_accelerator_are_said(file):
    one = answers(lambda _batch: 900.0, lambda _batch: 300.0, noise="halves differ")
    found = own.advise(file, batches=[1], blocks=2, asked=one)
    assert any("2 stayed noisy" in line for line in remarks(found))
    assert "Check on cuda:0 float32: checked." in list(remarks(found))


def test_a_model_that_lies_on_a_device_is_measured_from_the_cpu(tmp_path):
    import torch

    at = Random().randint(1, 5)
    save(tmp_path, torch.nn.Linear(at, 2), torch.randn(3, at), None)
    model, (x,), _ = load(tmp_path, 4)
    assert {str(one.device) for one in (*model.parameters(), x)} == {"cpu"}


def test_a_file_that_makes_its_network_on_a_device_is_told_to_leave_that(tmp_path, monkeypatch):
    import torch

    from bench.advice.network.asked import StepJob
    from bench.advice.network.step import examine
    from bench.cases.phases import Rule

    path = tmp_path / "net.py"
    path.write_text(FILE)
    elsewhere = property(lambda _self: torch.device("cuda:0"))
    monkeypatch.setattr(torch.nn.Parameter, "device", elsewhere, raising=False)
    found = examine(StepJob(str(path), "tiny", 2, Processor(), Rule()))
    assert (found.status, found.reason[:16]) == ("failed", "made on cuda:0: ")


@pytest.mark.usefixtures("handlers")
def test_the_command_measures_the_accelerator_too_unless_told_otherwise(file, capsys, monkeypatch):
    one = answers(lambda _batch: 900.0, lambda _batch: 300.0)
    monkeypatch.setattr("bench.advice.advise.ask_step", lambda job, _timeout: one(job))
    command = ["advise", str(file), "--batch", "2", "--blocks", "3", "--threads", "1"]
    assert main(command) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Measured on {H200} (cuda:0 float32): at batch 2 3." in out or "at batch 2 2.9" in out
    assert main([*command, "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["batches"][0]["gpu"] is None
    assert main([*command, "--json", "--precision", "tf32"]) == 0
    gpu = json.loads(capsys.readouterr().out)["batches"][0]["gpu"]
    assert (gpu["on"]["precision"], gpu["on"]["model"]) == ("tf32", H200)
    assert main([*command, "--device", "cpu", "--device", "gpu"]) == 2
    assert "--device: give one" in capsys.readouterr().err
    monkeypatch.setattr("bench.advice.processors.probe_devices", lambda: PROBE)
    assert main([*command, "--device", "cuda:0"]) == 2
    assert REASON in capsys.readouterr().err


def test_a_row_of_a_batch_has_what_was_measured(file):
    found = own.advise(file, batches=[1], blocks=2, asked=answers(lambda _batch: 900.0, lambda _batch: 300.0))
    (row,) = found.batches
    assert isinstance(row, AtBatch)
    assert isinstance(row.gpu, Accelerated)
    assert row.gpu.start_s == pytest.approx(3.0)
