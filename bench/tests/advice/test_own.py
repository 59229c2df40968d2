"""Tests of advice for a network in memory: measured like a file's, and what cannot be handed on is refused."""

import json
from random import Random

import pytest
import torch
from torch import nn

import bench
from bench.advice.network import memory
from bench.advice.network.asked import StepFound
from bench.advice.network.step import build
from bench.errors import UsageError


def quick(job):
    """Builds as a process would, and takes no time."""
    model, inputs, loss = build(job)
    assert loss(model(*inputs)).numel() == 1
    return StepFound("ok", "", 10.0 * len(inputs[0]), 10.0, "", "checked", 1, None)


def test_a_model_in_memory_is_measured_by_a_fresh_process():
    torch.manual_seed(3)
    found = bench.advise(nn.Linear(5, 3), torch.randn(4, 5), batches=[2, 9], blocks=2)
    assert [(one.batch, one.status, one.parameters) for one in found.batches] == [(2, "ok", 18), (9, "ok", 18)]
    assert found.name == "Linear"
    assert found.batches[0].checked == "its loss and gradient are those of float64"
    assert found.batches[0].bounds


def test_the_rows_of_the_example_come_again_for_a_larger_batch(tmp_path):
    rows, batch = Random().randint(1, 6), Random().randint(1, 20)
    x = torch.randn(rows, 3)
    memory.save(tmp_path, nn.Linear(3, 2), x, None)
    _model, (got,), loss = memory.load(tmp_path, batch)
    assert torch.equal(got, torch.stack([x[at % rows] for at in range(batch)]))
    assert torch.equal(loss(torch.full((2, 2), 3.0)), torch.tensor(9.0))


def test_several_inputs_and_a_loss_of_ones_own():
    inputs = (torch.randn(6, 2), torch.randn(6, 3))
    (row,) = bench.advise(nn.Bilinear(2, 3, 4), inputs, memory.mean_square, batches=[5], blocks=1, asked=quick).batches
    assert (row.batch, row.status) == (5, "ok")


class Inner(nn.Linear):
    """Importable."""


Hidden = type("Hidden", (nn.Linear,), {"__module__": "__main__"})


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((nn.Linear(3, 2),), "give an example"),
        ((3, torch.randn(4, 3)), "give a torch.nn.Module or a file, not a int"),
        ((nn.Linear(3, 2), "x"), "first side is the batch"),
        ((nn.Linear(3, 2), torch.tensor(1.0)), "first side is the batch"),
        ((nn.Linear(3, 2), torch.randn(0, 3)), "first side is the batch"),
        ((nn.Linear(3, 2), (torch.randn(4, 3), torch.randn(5, 3))), "first side is the batch"),
        ((Hidden(3, 2), torch.randn(4, 3)), "Hidden is defined in a notebook"),
        ((nn.Sequential(Hidden(3, 2)), torch.randn(4, 3)), "Hidden is defined in a notebook"),
        (
            (nn.Linear(3, 2), torch.randn(4, 3), lambda out: out.sum()),
            "is defined in a notebook, a script or a function",
        ),
        (("net.py", torch.randn(4, 3)), "a file says itself"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_cure(arguments, what):
    with pytest.raises(UsageError, match=what):
        bench.advise(*arguments, asked=quick)


@pytest.mark.parametrize(
    ("model", "example", "status", "what"),
    [
        (nn.Linear(3, 2), torch.randn(4, 5), "failed", "shapes cannot be multiplied"),
        (nn.Linear(3, 2), torch.full((4, 3), float("nan")), "wrong", "its loss is nan"),
        (nn.ReLU(), torch.randn(4, 5), "failed", "no parameter to train"),
    ],
)
def test_a_model_that_does_not_run_is_a_row_with_its_reason(model, example, status, what):
    (row,) = bench.advise(model, example, batches=[4], blocks=1).batches
    assert (row.status, what in row.reason) == (status, True), row.reason


def test_a_network_too_large_for_memory_is_a_row(tmp_path):
    path = tmp_path / "large.py"
    path.write_text(
        "import torch\nfrom implementations import network\n@network\ndef large(batch):\n"
        "    return torch.nn.Linear(10**7, 10**7), (torch.randn(batch, 10**7),), torch.sum\n"
    )
    (row,) = bench.advise(path, batches=[1], blocks=1).batches
    assert row.status == "oom", row.reason


def test_advice_of_a_model_is_plain_values_too():
    from bench.plain import to_plain

    found = bench.advise(Inner(3, 2), torch.randn(4, 3), batches=[4], blocks=1, asked=quick)
    assert json.loads(json.dumps(to_plain(found)))["name"] == "Inner"
