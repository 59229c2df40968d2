"""Tests of measuring networks on an accelerator: what is here, moved, waited for, in which precision, in which row."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.advice import rows as table
from bench.advice.network import step
from bench.advice.network.asked import Processor, StepFound, StepJob
from bench.advice.network.gate import TF32_STRAYS, gate, gate_of_loss
from bench.advice.network.moved import holding
from bench.advice.network.step import build, examine, time_passes
from bench.advice.processors import processors_of
from bench.advice.rows import PRESETS, Row, jobs_of, measure_rows, path_of, rows_of
from bench.cases.phases import Rule
from bench.cli import main
from bench.errors import UsageError
from bench.machine.ceilings import Ceiling
from bench.machine.process import Answer
from bench.tables.columns import NETWORKS, NETWORKS_LATER
from bench.tests.fakes import PROBE, REASON, fake_device
from implementations import read_networks

QUICK = Rule(
    warmup_iterations=2, accelerator_warmup_s=0, latency_iterations=7, latency_s=0, batch_iterations=7, batches=2,
    batches_s=0,
)  # fmt: skip
CARDS = {"cuda:0": {"model": "a card"}, "cuda:1": {"model": "another"}}
GPU = {**PROBE, "devices": {**PROBE["devices"], **CARDS}, "missing": {}}
CARD, TF32 = Processor("cuda:0", "a card"), Processor("cuda:0", "a card", 1, "tf32")


def here(monkeypatch, probe):
    monkeypatch.setattr("bench.advice.processors.probe_devices", lambda: probe)


def test_gpu_is_the_accelerator_that_is_here_on_one_thread_and_the_cpu_has_those_asked_for(monkeypatch):
    here(monkeypatch, GPU)
    assert processors_of(["gpu"], [1, 3]) == processors_of(["cuda"], [2]) == [CARD]
    assert processors_of(["cuda:1"], [1], "tf32") == [Processor("cuda:1", "another", 1, "tf32")]
    found = processors_of(["gpu", "cpu", "cuda:0"], [1, 3, 1], "tf32")
    assert [(one.device, one.threads, one.precision) for one in found] == [
        ("cpu", 1, "ieee"), ("cpu", 3, "ieee"), ("cuda:0", 1, "tf32"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("devices", "precision", "why"),
    [
        (["gpu"], "ieee", "no accelerator here"),
        (["cpu", "cuda:0"], "ieee", REASON),
        (["cuda:x"], "ieee", "give cuda or cuda:0"),
        (["gqu"], "ieee", "did you mean 'gpu'"),
        (["cpu"], "tf32", "tf32 exists only for torch on cuda"),
        (["cpu"], "tf23", "did you mean 'tf32'"),
    ],
)
def test_what_is_not_here_is_one_line_with_its_reason(monkeypatch, devices, precision, why):
    here(monkeypatch, PROBE)
    with pytest.raises(UsageError) as error:
        processors_of(devices, [1], precision)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_a_card_beyond_those_that_are_here_is_named_with_them(monkeypatch):
    here(monkeypatch, GPU)
    with pytest.raises(UsageError, match="cuda:7: not here; there are cpu, cuda:0, cuda:1"):
        processors_of(["cuda:7"], [1])


FILE = """
import torch
from torch import nn
from implementations import network

@network
def tiny(batch):
    x, y, w = torch.randn(batch, 4), torch.randn(batch, 2), torch.ones(2)
    return nn.Linear(4, 2), (x,), lambda out, w=w: ((out - y).square() * w).sum()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(FILE)
    return str(path)


def test_model_inputs_and_what_the_loss_holds_are_moved_to_the_device(file):
    model, (x,), loss_of = build(StepJob(file, "tiny", Random().randint(1, 9), CARD, QUICK), "meta")
    assert isinstance(loss_of, FunctionType)
    held = [cell.cell_contents for cell in loss_of.__closure__ or ()] + list(loss_of.__defaults__ or ())
    assert {str(one.device) for one in (*model.parameters(), x, *held)} == {"meta"}


class Compared(nn.Module):
    """A loss that is a module with a tensor of its own."""

    def __init__(self, y):
        super().__init__()
        self.y = nn.Buffer(y)

    def forward(self, out):
        return (out - self.y).square().sum()

    def weighed(self, out, by):
        return self(out) * by


def test_a_loss_of_any_make_moves_with_what_it_holds_and_is_the_same_loss():
    y, out = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    pair = {"y": (y, [2.0])}

    def inner(out):
        return (out - y).square().sum()

    def again(out, more=1):
        return again(out, more - 1) if more else inner(out)

    compared = Compared(y)
    losses: list[Any] = [
        inner, again, compared, compared.weighed, partial(compared.weighed, by=y.sum()), lambda out: again(out, 3),
        lambda out, *, pair=pair: (out - pair["y"][0]).square().sum(),
    ]  # fmt: skip
    for loss_of in losses:
        arguments = (out, torch.tensor(2.0)) if loss_of == compared.weighed else (out,)
        same = holding(loss_of, lambda held: held, {})
        assert torch.equal(same(*arguments), loss_of(*arguments))
    for loss_of in losses:  # last: a module moves in place
        moved = holding(loss_of, lambda held: held.to("meta"), {})
        there = [one.to("meta") for one in ((out, y.sum()) if loss_of == compared.weighed else (out,))]
        assert moved(*there).device.type == "meta"


def test_a_loss_that_speaks_of_its_model_speaks_of_the_one_that_is_checked():
    torch.manual_seed(Random().randint(0, 10**6))
    model, x = nn.Linear(4, 2), torch.randn(5, 4)
    assert "are those of float64" in gate(model, (x,), lambda out: out.square().sum() + model.weight.square().sum())
    assert all(one.grad is None for one in model.parameters())


def recorded(monkeypatch, events, **changes):
    """A device that writes down each opening, each wait and each loss read."""

    def opened(_framework, name, precision="ieee"):
        events.append(f"{name} {precision}")
        return fake_device(
            synchronize=lambda: events.append("w"), read=lambda loss: events.append("r") or float(loss), **changes
        )

    monkeypatch.setattr(step, "open_device", opened)
    return opened("torch", "cpu")


@pytest.fixture
def forwards():
    """Writes an f for each forward pass of a Linear."""
    events = []
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, *_: events.append("f") if isinstance(module, nn.Linear) else None
    )
    yield events
    hook.remove()


def test_each_loss_is_read_between_waits_and_a_batch_is_waited_for_at_its_ends(file, monkeypatch, forwards):
    recorded(monkeypatch, forwards)
    found = examine(StepJob(file, "tiny", 3, CARD, QUICK))
    assert (found.status, found.reason) == ("ok", "")
    assert forwards[1:3] == ["cuda:0 ieee", "w"]
    timed = "".join(one for one in forwards if len(one) == 1)
    assert timed.endswith("wfrw" * 7 + ("w" + "f" * 7 + "w") * 2)


def test_a_pass_is_waited_for_forward_and_backward(file, monkeypatch, forwards):
    device, passes = recorded(monkeypatch, []), Random().randint(1, 5)
    device = replace(device, synchronize=lambda: forwards.append("w"))
    job = StepJob(file, "tiny", 3, CARD, replace(QUICK, floor_iterations=1), passes=passes)
    model, inputs, _ = build(job)
    forwards.clear()
    time_passes(model, inputs, job, device)
    assert "".join(forwards) == "wfwww" * (passes + 1)


def test_tf32_is_checked_in_float32_first_and_then_timed_as_tf32(file, monkeypatch):
    events: list[str] = []
    recorded(monkeypatch, events)
    found = examine(StepJob(file, "tiny", 3, TF32, QUICK))
    assert [one for one in events if " " in one] == ["cpu ieee", "cuda:0 ieee", "cuda:0 tf32"]
    assert found.checked == (
        "float32: its loss and gradient are those of float64; float32 tf32: its loss is that of float64 to 20%"
    )


def test_noise_of_an_accelerator_is_no_spread_of_a_cpu(file, monkeypatch):
    seen = []
    recorded(monkeypatch, [])

    def quiet(sampled):
        seen.append(sampled)

    monkeypatch.setattr(step, "disturbance", quiet)
    examine(StepJob(file, "tiny", 3, CARD, QUICK))
    examine(StepJob(file, "tiny", 3, Processor(threads=2), QUICK))
    assert [(one.on_cpu, one.threads) for one in seen] == [(False, 1), (True, 2)]


class AsTf32(TorchDispatchMode):
    """Rounds what goes into a product to the ten bits of TF32."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in str(func) for name in ("mm", "convolution")):
            args = torch.utils._pytree.tree_map(_rounded, args)
        return func(*args, **(kwargs or {}))


def _rounded(value):
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
        return value
    fraction, exponent = torch.frexp(value)
    return torch.ldexp(torch.round(fraction * 2**11) / 2**11, exponent)


def test_products_rounded_as_tf32_rounds_do_not_stray_further_than_is_allowed():
    names, batch, seed = read_networks(Path(path_of("small"))), Random().choice([1, 2, 8]), Random().randint(0, 10**6)
    for name in Random().sample(names, 6):
        made = build(StepJob(path_of("small"), name, batch, Processor(), QUICK, seed=seed))
        with AsTf32():
            assert gate_of_loss(*made).startswith("its loss is that of float64"), (name, batch, seed)


def test_a_loss_further_off_than_tf32_rounds_is_wrong():
    off = Random().choice([-1, 1]) * Random().uniform(1.1, 9) * TF32_STRAYS

    class Strange(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return y if y.dtype == torch.float64 else y * (1 + off)

    assert gate_of_loss(Strange(4, 2), (torch.randn(5, 4),), torch.sum).startswith("strays from float64")


def fake(_job):
    return StepFound("ok", "", 10.0, 9.0, "", "checked", 18)


def test_rows_of_a_cpu_and_of_a_card_stand_in_one_table_that_began_before_there_were_devices(tmp_path):
    cpu, both = ([Processor()], [Processor(), CARD, TF32])
    (job,) = jobs_of("small", ["iris"], cpu)[:1]
    first = measure_rows(tmp_path, [replace(job, on=Processor())], 2, fake, peak=lambda _on: 50.0)
    path = tmp_path / NETWORKS
    with path.open() as file:
        old = [{name: cell for name, cell in row.items() if name not in NETWORKS_LATER} for row in csv.DictReader(file)]
    path.write_text("\n".join([",".join(old[0]), *(",".join(row.values()) for row in old)]) + "\n")
    assert [replace(row, device_model="") for row in first] == rows_of(tmp_path)
    peaks = {CARD: 500.0, TF32: 4000.0}
    rows = measure_rows(tmp_path, [replace(job, on=one) for one in both], 2, fake, peak=peaks.__getitem__)
    assert rows == rows_of(tmp_path)
    assert [(row.block, row.device, row.device_model, row.precision, row.peak_gflops, row.threads) for row in rows] == [
        (0, "cpu", "", "ieee", 50.0, 1), (1, "cpu", "", "ieee", 50.0, 1),
        *((block, "cuda:0", "a card", one.precision, peaks[one], 1) for block in range(2) for one in (CARD, TF32)),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="cuda:0 was a card; give another --out"):
        measure_rows(tmp_path, [replace(job, on=replace(CARD, model="B"))], 2, fake, peak=lambda _on: 1.0)


def test_a_table_that_lacks_any_other_column_is_refused(tmp_path):
    name = Random().choice([name for name in Row.__slots__ if name not in NETWORKS_LATER])
    measure_rows(tmp_path, jobs_of("small", ["iris"], [CARD])[:1], 1, fake, peak=lambda _on: 50.0)
    path = tmp_path / NETWORKS
    path.write_text(path.read_text().replace(f"{name},", f"{name}_,", 1))
    with pytest.raises(UsageError, match="has no column"):
        rows_of(tmp_path)


def test_the_peak_is_that_of_the_device_and_precision(monkeypatch):
    asked = []

    def ask(_module, job, *, shape, threads):
        asked.append((job["device"], job["precision"], job["threads"], threads, job["framework"]))
        return Answer([Ceiling("gemm", "torch", "cuda:0", "float32", "tf32", 1, one) for one in (3.0, 7.0)], 1.0)

    monkeypatch.setattr(table, "ask", ask)
    assert table.peak_gflops(TF32) == 7.0
    assert asked == [("cuda:0", "tf32", 1, 1, "torch")]


@pytest.mark.usefixtures("handlers")
def test_the_command_measures_a_preset_on_the_gpu_or_says_in_a_line_why_not(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.advice.rows.PRESETS", {"small": replace(PRESETS["small"], rule=QUICK, batches=(2,))})
    arguments = ["advise", "--preset", "small", "--network", "iris", "--blocks", "1", "--out", str(tmp_path)]
    here(monkeypatch, PROBE)
    assert main([*arguments, "--device", "gpu"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert REASON in said
    here(monkeypatch, GPU)
    assert main([*arguments, "--device", "gpu", "--threads", "1"]) == 2
    assert "--threads are the CPU's" in capsys.readouterr().err
    asked = []
    monkeypatch.setattr("bench.advice.rows.peak_gflops", lambda on: 10.0 if on.on_cpu else 100.0)

    def ask_step(job, _timeout):
        asked.append(job.on)
        return fake(job)

    monkeypatch.setattr("bench.advice.advise.ask_step", ask_step)
    assert main([*arguments, "--device", "cpu", "--device", "gpu", "--precision", "tf32"]) == 0
    assert "2 of 2 processes measured" in capsys.readouterr().out
    assert [(one.device, one.precision) for one in asked] == [("cpu", "ieee"), ("cuda:0", "tf32")]
    assert [row.peak_gflops for row in rows_of(tmp_path)] == [10.0, 100.0]
