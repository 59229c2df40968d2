"""Tests of bench.bounds.least: monotone in the size, only known figures, and never above an honest time."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bench.bounds import least as bounding
from bench.bounds.cards import all_cards, launches_of
from bench.bounds.least import BETTER, FLOP, LAUNCHES, MEMORY, ROUND_TRIP, TRANSFER, Least, tflops
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size
from bench.verdict.ratios.pairs import SCOPES

cards = st.sampled_from(all_cards())
scopes = st.sampled_from(list(SCOPES))
arithmetics = st.sampled_from(["float32", "float32 tf32", "float64", "bfloat16"])
sizes = st.builds(Size, *[st.integers(1, 10**6)] * 4)
H200 = next(card for card in all_cards() if card.name == "H200 SXM")
TITAN = all_cards()[0]


def least(*asked) -> Least:
    """The bound, where there is one."""
    found = bounding.least(*asked)
    assert found is not None
    return found


@given(card=cards, size=sizes, arithmetic=arithmetics, scope=scopes, side=st.integers(0, 3), more=st.integers(1, 10**5))
def test_a_larger_problem_never_gets_a_lower_bound(card, size, arithmetic, scope, side, more):
    larger = Size(*(one + more * (at == side) for at, one in enumerate(size)))
    bounds = [least(card, one, arithmetic, scope) for one in (size, larger)]
    assert bounds[0].us <= bounds[1].us


@given(card=cards, size=sizes, arithmetic=arithmetics, scope=scopes, launches=st.integers(0, 10**4))
def test_better_figures_and_fewer_launches_never_raise_a_bound(card, size, arithmetic, scope, launches):
    better = replace(
        card,
        float32_tflops=2 * card.float32_tflops,
        tf32_tflops=2 * card.tf32_tflops,
        float16_tflops=2 * card.float16_tflops,
        float64_tflops=2 * card.float64_tflops,
        memory_gbytes_per_s=2 * card.memory_gbytes_per_s,
        link_gbytes_per_s=2 * card.link_gbytes_per_s,
        launch_us=card.launch_us / 2,
        answer_us=card.answer_us / 2,
    )
    bound = least(card, size, arithmetic, scope, launches)
    assert least(better, size, arithmetic, scope, launches).us <= bound.us
    assert least(card, size, arithmetic, scope, 0).us <= bound.us


@given(
    card=cards, size=sizes, arithmetic=arithmetics, scope=scopes,
    slack=st.tuples(*[st.floats(1, 100)] * 3),
)  # fmt: skip
def test_no_simulated_card_that_keeps_to_its_published_figures_beats_its_bound(card, size, arithmetic, scope, slack):
    """A machine as published: it loads x, y and the weights, multiplies at the best rate, and by iteration launches."""
    rate, memory, latency = slack
    n, d_in, hidden, d_out = size
    problem = Problem(n, d_in, hidden, d_out, dtype=arithmetic.partition(" ")[0])
    products_us = problem.product_flops / tflops(card, arithmetic) / 1e6 * rate
    held = (problem.n * (problem.d_in + problem.d_out) + problem.weights) * 2
    loads_us = 0.0 if math.isnan(card.memory_gbytes_per_s) else held / card.memory_gbytes_per_s / 1e3 * memory
    trip_us = sum(one for one in (card.launch_us, card.answer_us) if not math.isnan(one)) * latency
    link_us = 0.0 if math.isnan(card.link_gbytes_per_s) else 4 * held / card.link_gbytes_per_s / 1e3
    once = (trip_us + link_us) if scope in ("loop", "program") else 0.0
    us = products_us + 4 * loads_us + (trip_us if scope == "iteration" else 0.0) + once / 500
    assert least(card, size, arithmetic, scope).us <= us


@given(card=cards, size=sizes, arithmetic=arithmetics)
def test_only_an_iteration_whose_loss_is_read_pays_a_round_trip(card, size, arithmetic):
    trip = (0 if math.isnan(card.launch_us) else card.launch_us) + card.answer_us
    assert least(card, size, arithmetic, "iteration").us >= trip / BETTER
    assert least(card, size, arithmetic, "throughput").term in (FLOP, MEMORY)


def test_terms_that_bind_are_named():
    assert least(H200, TUTORIAL_SIZE, "float32", "iteration").term == ROUND_TRIP
    assert least(TITAN, TUTORIAL_SIZE, "float32", "iteration").term == FLOP
    assert least(H200, TUTORIAL_SIZE, "float32", "throughput", 18).term == LAUNCHES
    assert least(H200, Size(1, 10**6, 10**4, 1), "float32", "throughput").term == MEMORY
    assert least(H200, Size(10**6, 1, 1, 1), "float32", "loop").term == TRANSFER


def test_what_a_cache_may_hold_costs_no_memory_traffic():
    inside, beyond = Size(1, 8000, 8000, 1), Size(1, 8000, 9000, 1)  # 256 and 288 MB of float32, either side of 2^28
    assert least(H200, inside, "float32", "throughput").term == FLOP
    assert least(H200, beyond, "float32", "throughput").term == MEMORY


def test_float32_products_may_come_from_tensor_cores_but_only_where_there_are_any():
    assert tflops(H200, "float32") == H200.float16_tflops / 3 > H200.float32_tflops
    assert tflops(TITAN, "float32") == TITAN.float32_tflops
    assert tflops(H200, "float64") >= tflops(H200, "float32")
    assert math.isnan(tflops(H200, "float128"))


def test_a_figure_that_nobody_published_is_not_used():
    unknown = replace(
        H200, float16_tflops=math.nan, memory_gbytes_per_s=math.nan, launch_us=math.nan, answer_us=math.nan
    )
    assert bounding.least(unknown, TUTORIAL_SIZE, "float32", "iteration") is None
    assert least(replace(unknown, answer_us=1.3), TUTORIAL_SIZE, "float32", "iteration").us == 1.0


def test_eager_styles_have_counted_launches():
    assert launches_of()["torch_tensors"] == 18
    assert {"torch_tensors", "torch_autograd", "torch_function", "torch_nn"} <= set(launches_of())
