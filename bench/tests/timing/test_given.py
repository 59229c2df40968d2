"""What a style may give, and what is said of one that gives something else."""

from __future__ import annotations

import pytest

from bench.adversary.lies import HONEST, write_style
from bench.machine.frameworks import open_device
from bench.tests.fakes import a_case, a_job
from bench.verification import gate
from bench.worker.measure import examine

IN_TORCH = """    from implementations.torch_tensors import torch_tensors
    for loss in torch_tensors(x, y, w1, w2, learning_rate, steps):
        yield loss
    return w1, w2
"""


def attached(x, y, w1, w2, learning_rate, steps):
    import torch

    w1, w2 = w1.requires_grad_(), w2.requires_grad_()
    for _ in range(steps):
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for weight in (w1, w2):
                weight -= learning_rate * weight.grad
                weight.grad = None
        yield loss.detach()
    return w1, w2


def test_weights_may_still_require_grad():
    assert len(gate.rehearse(a_case("mine", framework="torch"), attached, open_device("torch", "cpu"))) == 50


@pytest.mark.parametrize(
    ("framework", "given", "reason"),
    [
        ("numpy", "[loss]", "yielded a loss of dtype list, expected float64"),
        ("numpy", "None", "yielded a loss of dtype NoneType, expected float64"),
        ("numpy", "np.stack([loss, loss])", "yielded an array of shape (2,), expected one number"),
        ("numpy", "float(loss)", "yielded a loss of dtype float, expected float64"),
        ("torch", "float(loss)", "yielded a loss of dtype float, expected float64"),
        ("torch", "[loss]", "yielded a loss of dtype list, expected float64"),
    ],
)
def test_what_is_no_loss_is_named_rather_than_where_the_harness_failed_to_read_it(framework, given, reason, tmp_path):
    body = HONEST if framework == "numpy" else IN_TORCH
    found = examine(a_job(write_style(tmp_path, body.replace("yield loss", f"yield {given}"), framework=framework)))
    assert (found.status, found.reason) == ("wrong", reason)
