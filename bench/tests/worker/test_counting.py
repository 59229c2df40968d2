"""Tests of bench.worker.counting: what must launch counts, what need not does not, and the committed table is fresh."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bounds.cards import HERE
from bench.worker import counting
from bench.worker.counting import count_launches
from implementations import find_implementations


def test_the_table_of_launches_is_what_is_counted_today(capsys):
    counting.main()
    assert (HERE / "launches.csv").read_text(encoding="utf-8") == capsys.readouterr().out


@settings(max_examples=20, deadline=None)
@given(products=st.integers(0, 5), views=st.integers(0, 5), reads=st.integers(0, 3), side=st.integers(1, 7))
def test_products_count_and_views_reads_and_allocations_do_not(products, views, reads, side):
    x, zero = torch.ones(side, side), torch.ones(())

    def step():
        for _ in range(products):
            x.mm(x)
        for _ in range(views):
            x.t().view(-1) if side == 1 else x.t().detach()
        for _ in range(reads):
            zero.item()
        torch.empty_like(x)

    assert count_launches(step) == ["aten.mm.default"] * products


def test_a_backward_pass_is_counted_too():
    w = torch.ones(3, 3, requires_grad=True)
    names = count_launches(lambda: (w @ w).sum().backward())
    assert names.count("aten.mm.default") == 3


def test_every_style_of_torch_on_a_gpu_is_counted_or_says_why_not():
    there = {one.name: one for one in find_implementations().values() if one.framework == "torch"}
    found = {one.style: one for one in counting.of_styles()}
    uncounted = there.keys() - found.keys()
    assert found.keys() | uncounted == {name for name, one in there.items() if "cuda" in one.devices}
    assert uncounted == {"torch_compile", "torch_triton"}
    assert min(one.kernels for one in found.values()) >= 5  # the products
    graphs = {name for name, one in found.items() if one.launches < one.kernels}
    assert graphs == {"torch_cuda_graph", "torch_cuda_graph_in_place"}
    assert found["torch_cuda_graph"].kernels == found["torch_tensors"].kernels  # word for word


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@given(parameters=st.integers(1, 6))
@settings(max_examples=6, deadline=None)
def test_an_optimizer_starts_as_much_for_many_parameters_as_for_one(optimizer, parameters):
    """As it does on a GPU; its choice for the CPU starts a kernel for each."""

    def updated(count: int) -> list[str]:
        weights = [torch.ones(2, requires_grad=True) for _ in range(count)]
        for one in weights:
            one.grad = torch.ones(2)
        with counting.as_on_a_gpu():
            step = optimizer(weights, lr=0.1).step
            step()
            return count_launches(step)

    assert updated(parameters) == updated(1)
