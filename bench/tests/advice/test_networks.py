"""Tests of implementations.networks and bench.advice.rows: published sizes, work, and a table that goes on."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench.advice.network.asked import Processor, StepFound, StepJob
from bench.advice.network.step import build, examine, time_passes
from bench.advice.rows import MOST_FLOP, PRESETS, Row, count_of, flops_of, jobs_of, measure_rows, step_us
from bench.cases.phases import Rule
from bench.cli import main
from bench.errors import UsageError
from bench.machine.frameworks import open_device
from bench.tables.columns import NETWORKS
from bench.tables.csv_files import read_as
from implementations import StyleError, find_implementations, read_network, read_networks
from implementations import networks as own

CNN, SMALL = (Path(own.__path__[0], name) for name in ("cnn_benchmarks.py", "small.py"))
QUICK = Rule(
    warmup_iterations=1, warmup_s=0, warmup_floor=1, latency_iterations=2, latency_s=0, batch_iterations=1, batches=1,
    batches_s=0, floor_iterations=2,
)  # fmt: skip
# parameters: torchvision.models, and of ResNet-200 tensorflow/models research/slim; GFLOP of a pass at batch 16
PUBLISHED = {
    "resnet_18": (11_689_512, 170),
    "resnet_34": (21_797_672, 348),
    "resnet_50": (25_557_032, 389),
    "resnet_101": (44_549_160, 745),
    "resnet_152": (60_192_808, 1102),
    "resnet_200": (64_673_832, 1437),
    "vgg16": (138_357_544, 1482),
    "vgg19": (143_667_240, 1882),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_of_the_source_has_its_published_parameters_and_work(name):
    parameters, gflop = PUBLISHED[name]
    assert count_of(str(CNN), name, 16).held_bytes == 4 * (parameters + 16 * 3 * 224**2)
    assert flops_of(str(CNN), name, 16) / 1e9 == pytest.approx(gflop, abs=0.5)


def test_these_are_all_networks_of_the_source_that_have_a_time_on_its_cpu():
    assert read_networks(CNN) == list(PUBLISHED)


def test_no_network_is_found_as_a_style():
    assert not {*read_networks(CNN), *read_networks(SMALL)} & set(find_implementations())


@pytest.mark.parametrize("name", read_networks(SMALL))
def test_a_small_network_trains_and_is_that_of_float64(name):
    batch = Random(name).randint(2, 5)
    found = examine(StepJob(str(SMALL), name, batch, Processor(), QUICK))
    assert (found.status, found.reason) == ("ok", "")
    assert "are those of float64" in found.checked


def test_of_several_networks_in_a_file_one_is_named():
    assert read_network(SMALL, "lenet") == "lenet"
    with pytest.raises(StyleError, match="say which: resnet_18"):
        read_network(CNN)
    with pytest.raises(StyleError, match="no 'resnet_19'"):
        read_network(CNN, "resnet_19")


@pytest.mark.parametrize("limit_s", [1e-9, 100.0])
def test_one_pass_is_discarded_and_as_many_are_timed_as_the_limit_holds(limit_s):
    passes = Random().randint(2, 6)
    job = StepJob(str(SMALL), "iris", 3, Processor(), replace(QUICK, limit_s=limit_s), passes=passes)
    model, inputs, _ = build(job)
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    forward, backward = time_passes(model, inputs, job, open_device("torch", "cpu"))
    assert len(forward) == len(backward) == len(seen) - 1 == (passes if limit_s > 1 else QUICK.floor_iterations)


def test_the_gate_of_a_large_network_looks_at_a_small_one():
    job = jobs_of("cnn", [Random().choice(["resnet_18", "resnet_34"])], [Processor()])[0]
    _, (images,), _ = build(job, **job.check)
    assert images.shape == (2, 3, 64, 64)
    _, (images,), _ = build(replace(job, batch=1))
    assert images.shape == (1, 3, 224, 224)


def test_a_preset_is_its_own_networks_or_those_named_or_all():
    assert [job.function for job in jobs_of("cnn", [], [Processor(threads=2)])] == ["resnet_18", "resnet_50", "vgg16"]
    assert [job.function for job in jobs_of("cnn", ["all"], [Processor(threads=2)])] == list(PUBLISHED)
    jobs = jobs_of("cnn", [], [Processor(threads=2)])
    assert {(job.batch, job.passes, job.on.threads) for job in jobs} == {(16, 10, 2)}
    with pytest.raises(UsageError, match="did you mean 'vgg16'"):
        jobs_of("cnn", ["vgg-16"], [Processor()])
    with pytest.raises(UsageError, match="no preset 'cmn'"):
        jobs_of("cmn", [], [Processor()])


def test_small_networks_have_four_batches_that_are_done_in_moments():
    jobs = jobs_of("small", ["two_layer", "resnet_50_small", "transformer_wide"], [Processor()])
    assert [job.batch for job in jobs[:4]] == [1, 8, 64, 512]
    assert len(jobs) == 12
    assert all(flops_of(job.path, job.function, job.batch) <= 2 * MOST_FLOP for job in jobs)


def fake(us):
    """A process that takes `us` a step and a pass of twice that."""
    return StepFound("ok", "", us, us, "", "checked", 18, None, [us, us], [us, 2 * us])


def test_a_table_has_each_job_once_a_block_and_goes_on_where_it_ended(tmp_path):
    jobs, asked = jobs_of("small", ["iris", "policy"], [Processor()]), []

    def one(job):
        asked.append(job)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return fake(10.0)

    with pytest.raises(KeyboardInterrupt):
        measure_rows(tmp_path, jobs, 2, one, peak=lambda _on: 50.0)
    rows = measure_rows(tmp_path, jobs, 2, one, peak=lambda _on: 50.0)
    assert len(asked) == 1 + 2 * len(jobs)
    assert [(row.block, row.network, row.batch) for row in rows] == [
        (block, job.function, job.batch) for block in range(2) for job in jobs
    ]
    assert read_as(tmp_path / NETWORKS, Row) == rows
    assert (rows[0].forward_us, rows[0].backward_us, rows[0].pass_us, rows[0].passes) == (10.0, 15.0, 25.0, 2)
    assert [us for _, _, us in step_us(rows)] == [pytest.approx(10.0)] * len(jobs)


def test_a_table_of_another_machine_is_not_gone_on_with(tmp_path):
    jobs = jobs_of("small", ["iris"], [Processor()])
    (row, *_) = measure_rows(tmp_path, jobs[:1], 1, lambda _job: fake(1.0), peak=lambda _on: 50.0)
    path = tmp_path / NETWORKS
    path.write_text(path.read_text().replace(row.torch, "0.1"))
    with pytest.raises(UsageError, match=r"torch 0\.1"):
        measure_rows(tmp_path, jobs, 1, lambda _job: fake(1.0), peak=lambda _on: 50.0)


@pytest.mark.usefixtures("handlers")
def test_the_command_measures_a_preset_into_a_folder_and_refuses_what_does_not_go_with_it(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("bench.advice.rows.PRESETS", {"small": replace(PRESETS["small"], rule=QUICK)})
    arguments = ["advise", "--preset", "small", "--network", "iris", "--blocks", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "4 of 4 processes measured" in capsys.readouterr().out
    for wrong in (["--json"], ["--batch", "3"], [str(SMALL)]):
        assert main([*arguments, *wrong]) == 2
    assert main(["advise", "--preset", "small"]) == 2
    assert main(["advise"]) == 2
    assert main([*arguments[:-4], "--blocks", "0", "--out", str(tmp_path)]) == 2
