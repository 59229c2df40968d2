"""Tests of bench.advice.network.step and counts: what a network must be, the gate against float64, counted work."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.advice.network.asked import Processor, StepJob
from bench.advice.network.counts import Work, count_step
from bench.advice.network.gate import gate, steps
from bench.advice.network.step import count, examine
from bench.cases.phases import Rule

QUICK = Rule(warmup_iterations=2, warmup_s=0, latency_iterations=7, latency_s=0, batch_iterations=2, batches_s=0)
HEAD = "import torch\nfrom torch import nn\nfrom implementations import network\n"


def job(tmp_path, body, **changes):
    path = tmp_path / "net.py"
    path.write_text(HEAD + "@network\ndef net(batch):\n    x = torch.randn(batch, 4)\n" + body)
    return StepJob(str(path), "net", 3, Processor(), QUICK, **changes)


def test_a_network_is_timed_checked_and_counted(tmp_path):
    found = examine(job(tmp_path, "    return nn.Linear(4, 2), (x,), lambda out: out.square().sum()\n", count=True))
    assert found.status == "ok", found.reason
    assert found.latency_us is not None
    assert found.latency_us > 0
    assert (found.start_s or 0) > 0
    assert found.counted is not None
    assert found.counted.product_flops == 2 * (2 * 3 * 4 * 2)  # forward, and the gradient of the weight
    assert found.counted.held_bytes == 4 * (3 * 4 + 4 * 2 + 2)


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ("    return 1\n", "failed", "no tuple of three"),
        ("    return x, (x,), sum\n", "failed", "expected a nn.Module"),
        ("    return nn.Linear(4, 2), (), sum\n", "failed", "tuple of tensors"),
        ("    return nn.Linear(4, 2), (x,), 1\n", "failed", "a function as loss"),
        ("    return nn.ReLU(), (x,), torch.sum\n", "failed", "no parameter to train"),
        ("    return nn.Linear(4, 2), (x,), lambda out: out\n", "failed", "no single number"),
        ("    return nn.Linear(5, 2), (x,), torch.sum\n", "failed", "shapes cannot be multiplied"),
        (
            "    return nn.Linear(4, 2), (x,), lambda out: (out * float('nan')).sum()\n",
            "wrong",
            "its loss is nan, in float64 too",
        ),
        ("    raise MemoryError\n", "oom", "out of memory"),
        ("    raise ValueError('two\\nlines')\n", "failed", "ValueError: two lines"),
    ],
)
def test_what_is_no_network_is_a_row_with_its_reason(tmp_path, body, status, what):
    found = examine(job(tmp_path, body))
    assert (found.status, what in found.reason) == (status, True), found.reason


class Strange(nn.Module):
    """Right in float64 alone."""

    def __init__(self, off):
        super().__init__()
        self.inner, self.off = nn.Linear(4, 2), off

    def forward(self, x):
        y = self.inner(x)
        return y if y.dtype == torch.float64 else y * (1 + self.off)


@settings(max_examples=25, deadline=None)
@given(off=st.floats(2e-3, 10), seed=st.integers(0, 10**6))
def test_a_network_that_strays_from_float64_is_wrong_and_an_honest_one_is_not(off, seed):
    torch.manual_seed(seed)
    x = torch.randn(5, 4)
    assert gate(Strange(off), (x,), lambda out: out.square().sum()).startswith("strays")
    assert "are those of float64" in gate(Strange(0.0), (x,), lambda out: out.square().sum())


class Backward(torch.autograd.Function):
    """Right forward; its gradient is off by a factor in float32."""

    @staticmethod
    def forward(ctx, x, off):
        ctx.off = off if x.dtype == torch.float32 else 0.0
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * (1 + ctx.off), None


class Slipping(nn.Sequential):
    """A network whose gradient is off."""

    off = 0.0

    def forward(self, x):
        return Backward.apply(super().forward(x), self.off)


@settings(max_examples=25, deadline=None)
@given(off=st.one_of(st.floats(0.1, 10), st.floats(-1, -0.1)), seed=st.integers(0, 10**6))
def test_a_gradient_that_is_wrong_is_found_though_every_loss_is_right(off, seed):
    torch.manual_seed(seed)
    model, x = Slipping(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), torch.randn(5, 4)
    assert "are those of float64" in gate(model, (x,), lambda out: out.square().sum())
    model.off = off
    found = gate(model, (x,), lambda out: out.square().sum())
    assert "its gradient is off by" in found


def test_batch_norm_over_few_values_does_not_refuse_an_honest_network():
    torch.manual_seed(1)
    layers = [layer for _ in range(12) for layer in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU())]
    model, x = nn.Sequential(*layers), torch.randn(3, 16)
    assert "are those of float64" in gate(model, (x,), lambda out: out.square().sum())
    assert all(one.training for one in model.modules())


def test_targets_that_a_loss_holds_go_to_float64_with_it_and_dropout_is_left_out():
    target, x = torch.randn(5, 2), torch.randn(5, 4)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    assert "are those of float64" in gate(model, (x,), lambda out: nn.functional.mse_loss(out, target))
    shares = target.softmax(1)

    def powered(out, *, p=2):
        return (out - target).abs().pow(p).sum()

    def crossed(out, y=shares):
        return nn.functional.cross_entropy(out, y)

    for loss in (powered, crossed):
        assert "are those of float64" in gate(model, (x,), loss)
    assert model[1].p == 0.5


@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 9), wide=st.integers(1, 9), kernel=st.sampled_from([1, 3]))
def test_only_convolutions_of_one_point_count_as_products(batch, wide, kernel):
    model, x = nn.Conv2d(3, wide, kernel, bias=False), torch.randn(batch, 3, 5, 5)
    loop = steps(model, (x,), lambda out: out.sum())
    found = count_step(lambda: next(loop), model, (x,))
    assert (found.product_flops > 0, found.other_flops > 0) == (kernel == 1, kernel != 1)


@pytest.mark.parametrize(
    ("apply", "named"),
    [
        (lambda x: nn.Bilinear(4, 4, 3)(x, x), "trilinear"),
        (lambda x: torch.mv(x, nn.Parameter(torch.ones(4))), "mv"),
        (lambda x: torch.cdist(nn.Parameter(torch.randn(5, 4)), x), "cdist"),
        (lambda x: torch.fft.rfft(nn.Parameter(torch.ones(4)) * x).abs(), "fft"),
    ],
)
def test_products_that_nobody_counts_are_named(apply, named):
    x, model = torch.randn(3, 4), nn.Linear(4, 4)
    work = Work()
    with work:
        apply(model(x)).sum().backward()
    assert any(named in one for one in work.uncounted)


def test_a_recurrent_layer_has_uncounted_work_and_no_launches(tmp_path):
    body = "    return nn.LSTM(4, 2), (x.view(1, batch, 4),), lambda out: out[0].sum()\n"
    found = count(job(tmp_path, body))
    assert found.launches is None
    assert any("rnn" in name or "lstm" in name for name in found.uncounted)


def counted(model: nn.Module, x: torch.Tensor):
    """A warm step of a network whose loss is the mean square of what comes out."""
    loop = steps(model, (x,), lambda out: out.square().mean())
    next(loop)
    return count_step(lambda: next(loop), model, (x,))


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.booleans(),
    st.integers(1, 4),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_convolutions_in_groups_take_as_many_operations_as_one_for_each_group(
    batch, given_each, made_each, stride, padding, transposed, groups
):
    """Without groups they are as torch counts them; its count of a gradient's grows with the square of the groups."""
    kind = nn.ConvTranspose1d if transposed else nn.Conv1d
    each = kind(given_each, made_each, 3, stride, padding)
    x = torch.randn(batch, given_each, 7, requires_grad=True)
    with FlopCounterMode(display=False) as torchs:
        each(x).sum().backward()
    grouped, side_by_side = kind(given_each * groups, made_each * groups, 3, stride, padding, groups=groups), Work()
    with side_by_side:
        grouped(torch.randn(batch, given_each * groups, 7, requires_grad=True)).sum().backward()
    assert side_by_side.others == groups * torchs.get_total_flops()


class Table(nn.Module):
    """Looks rows up."""

    def __init__(self, *, sparse: bool, trained: bool) -> None:
        super().__init__()
        self.rows, self.linear = nn.Embedding(1000, 16, sparse=sparse), nn.Linear(16, 4)
        self.rows.weight.requires_grad = trained

    def forward(self, at: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(self.rows(at))
        return found


@pytest.mark.parametrize(
    ("sparse", "trained", "held"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_table_of_which_a_step_takes_rows_is_held_only_where_all_of_it_is_trained(sparse, trained, held):
    at = torch.tensor([3, 1, 4, 1])
    found = counted(Table(sparse=sparse, trained=trained), at)
    table = 1000 * 16 * 4
    assert found.held_bytes == 4 * (16 * 4 + 4) + at.numel() * 8 + table * held
    assert max(one.bytes for one in found.work) < table or held  # no operation reads more of it either


class Attends(nn.Module):
    """One layer of attention."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout, self.linear = dropout, nn.Linear(16, 48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.linear(x).chunk(3, -1)
        return nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout)


@pytest.mark.parametrize(("dropout", "known"), [(0.0, True), (0.1, False)])
def test_attention_that_the_cpu_takes_apart_has_an_unknown_number_of_launches(dropout, known):
    found = counted(Attends(dropout), torch.randn(2, 4, 8, 16))
    assert (found.launches is not None) is known
    assert found.why == ("" if known else "a GPU runs attention in fewer launches than the CPU dispatches")


def test_a_dropout_is_one_launch_forward_and_one_backward():
    """Of the GPU; the CPU draws, scales and multiplies."""
    x = torch.randn(8, 16)
    with_it, without = (
        counted(nn.Sequential(nn.Linear(16, 4), *more, nn.Linear(4, 4)), x).launches for more in ([nn.Dropout(0.1)], [])
    )
    assert with_it == without + 2


class Narrow(nn.Linear):
    """Computes in numbers of 16 bits what it takes and gives in 32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


def test_products_of_16_bits_are_bounded_by_the_rate_of_those():
    assert counted(nn.Linear(4, 2), torch.randn(3, 4)).arithmetic == "float32"
    assert counted(Narrow(4, 2), torch.randn(3, 4)).arithmetic == "bfloat16"
