"""Tests of bench.worker.counting: what must launch counts, what need not does not, and the committed table is fresh."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bounds.cards import HERE
from bench.worker import counting
from bench.worker.counting import count_launches


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


def test_every_counted_style_does_its_five_products_and_none_has_an_optimiser():
    found = dict(counting.of_styles())
    assert min(found.values()) >= 5
    assert {"torch_tensors", "torch_autograd"} <= set(found)
    assert not any("optim" in name or "module" in name for name in found)
