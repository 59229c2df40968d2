"""What an iteration is made of: its products and bytes as counted by hand, and parts that may be missing."""

from __future__ import annotations

import random
import weakref
from dataclasses import replace
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from bench.adversary.lies import HONEST, write_style
from bench.cases.problem import ITEM_BYTES, TUTORIAL_SIZE, Problem, Size
from bench.machine.frameworks import open_device
from bench.tests.fakes import BRIEF, FakeClock, a_case, a_job, found_at_last
from bench.verification import gate
from bench.worker import measure, parts
from bench.worker.again import CYCLES, Lives, Look, Operation, one_after_another
from bench.worker.measure import examine
from bench.worker.parts import WHOLE, Bench, _seen
from implementations import find_implementations

STYLES = {name: style for name, style in find_implementations().items() if "cpu" in style.devices and not style.missing}
NOTHING: Any = None
PARTS = ("calls_us", "products_us", "passes_us", "passes_bytes", "fault_us")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(measure, "threads_in_use", lambda _case: "fake BLAS")
    with threadpool_limits(1):
        yield


def a_size(seed: int) -> Size:
    draw = random.Random(seed)
    return Size(*(draw.randint(3, 40) for _ in range(4)))


def bench_of(name: str, size: Size, dtype: str = "float32") -> Bench:
    style = STYLES[name]
    case = replace(
        a_case(style=name), problem=Problem(*size, dtype=dtype), framework=style.framework, oracle=style.oracle
    )
    return Bench(replace(a_job(style), case=case), style.train, open_device(style.framework, "cpu"))


def seen_of(name: str, size: Size, dtype: str = "float32"):
    return _seen(bench_of(name, size, dtype), size)[0]


def passed_bytes(name: str, size: Size, dtype: str = "float32") -> int:
    (one,) = seen_of(name, size, dtype)
    return int(one.passed_bytes)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_tutorials_numpy_passes_over_is_what_is_counted_by_hand(seed, dtype):
    size = a_size(seed)
    n, _d_in, hidden, d_out = size
    item, weights = ITEM_BYTES[dtype], Problem(*size).weights
    hidden_numbers = 2 + 2 + 1 + 1  # maximum, copy, h < 0, the masked write
    output_numbers = 3 + 2 + 1 + 3 + 2  # difference, square, sum, difference again, times 2
    by_hand = item * (hidden_numbers * n * hidden + output_numbers * n * d_out + (2 + 3) * weights)
    by_hand += 2 * n * hidden  # the mask is written and read
    counted = passed_bytes("numpy_manual", size, dtype)
    assert abs(counted - by_hand) <= 64, (counted, by_hand)  # but for a few single numbers


@pytest.mark.parametrize("seed", range(4))
def test_the_in_place_styles_pass_over_no_more_than_they_say(seed):
    size = a_size(seed)
    n, _d_in, hidden, d_out = size
    weights = Problem(*size).weights
    numpy = 4 * (3 * weights + (2 + 1 + 1 + 3) * n * hidden + (3 + 2 + 2) * n * d_out) + 2 * n * hidden
    assert abs(passed_bytes("numpy_in_place", size) - numpy) <= 64
    torch = 4 * ((2 + 3) * n * hidden + (3 + 2) * n * d_out)
    assert abs(passed_bytes("torch_in_place", size) - torch) <= 64


@pytest.mark.parametrize("name", sorted(STYLES))
def test_every_style_does_five_products_of_the_sizes_of_the_net(name):
    if STYLES[name].compiled:
        pytest.skip("nobody sees its operations")
    size = n, d_in, hidden, d_out = a_size(7)
    style = STYLES[name]
    cycle = [[(a.shape[0], a.shape[1], b.shape[1]) for a, b in one.products] for one in seen_of(name, size)]
    if style.oracle == "dynamic":
        assert [len(found) for found in cycle] == [5 + 3 * middle for middle in range(style.cycle)]
        return
    (found,) = cycle
    work = sum(2 * rows * inner * columns for rows, inner, columns in found)
    assert len(found) == 5
    assert work == Problem(*size).product_flops
    each = {frozenset((n, d_in, hidden)): 2, frozenset((n, hidden, d_out)): 3}
    if len(set(size)) == 4:
        assert {key: sum(set(one) == key for one in found) for key in each} == each


@pytest.mark.parametrize("name", ["numpy_manual", "numpy_in_place", "torch_tensors", "torch_autograd", "torch_dynamic"])
def test_a_measured_case_has_all_of_its_parts(name):
    found = found_at_last(a_job(STYLES[name], size=TUTORIAL_SIZE))
    assert found.status == "ok", found
    assert set(PARTS) - {"fault_us"} <= set(found.values)  # no system has to count page faults
    assert float(found.values["products_us"] or 0) > 0
    assert float(found.values["passes_bytes"] or 0) > 0


def test_a_style_that_fails_on_tiny_arrays_is_measured_and_only_its_calls_are_unknown(tmp_path):
    style = write_style(tmp_path, f"    assert x.shape[0] > 2\n{HONEST}")
    found = found_at_last(a_job(style))
    assert found.status == "ok", found
    assert "calls_us" not in found.values
    assert "passes_us" not in found.values  # they are less what they take on tiny arrays


def test_what_compiles_is_not_compiled_again_for_tiny_arrays(monkeypatch):
    monkeypatch.setattr(parts, "COMPILES_S", 0.0)
    found = examine(a_job(STYLES["numpy_manual"]))
    assert "calls_us" not in found.values


def test_of_what_is_compiled_nobody_sees_operations_and_only_a_page_fault_is_measured(tmp_path):
    found = found_at_last(a_job(write_style(tmp_path, HONEST, compiled=True)))
    assert found.status == "ok", found
    assert set(PARTS) & set(found.values) <= {"fault_us"}


def test_no_parts_are_measured_on_an_accelerator():
    job = a_job(STYLES["numpy_manual"])
    job = replace(job, case=replace(job.case, device="cuda:0"), rule=BRIEF)
    assert parts.measure_parts(job, NOTHING, NOTHING, NOTHING, 0.0) == {}


@pytest.mark.parametrize("seed", range(5))
def test_parts_take_turns_and_a_drift_of_the_machine_leaves_their_shares_alone(monkeypatch, seed):
    draw = random.Random(seed)
    drift, took = draw.uniform(1.0, 1.01), {"whole": draw.uniform(50, 500), "part": draw.uniform(1, 50)}
    clock = FakeClock()
    monkeypatch.setattr(parts, "perf_counter", lambda: clock.ns / 1e9)

    def timed(name: str, _device) -> tuple[float, None]:
        took.update({one: us * drift for one, us in took.items()})
        clock.pass_ns(int(took[name] * 1000))
        return took[name] / 1e6, None

    monkeypatch.setattr(parts, "time_call", timed)
    share, place = took["part"] / took["whole"], Bench(a_job(STYLES["numpy_manual"]), NOTHING, NOTHING)
    found = place.in_turns({WHOLE: ["whole"], "part": ["part"]}, [lambda: None], 4)  # type: ignore[list-item]
    assert len(found[WHOLE]) == len(found["part"]) >= parts.LEAST
    for whole, part in zip(found[WHOLE], found["part"], strict=True):
        assert part / whole == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_each_iteration_of_a_cycle_comes_right_after_what_leaves_the_caches_as_it_does(monkeypatch, seed):
    draw, seen = random.Random(seed), list[tuple[str, int]]()
    cycle, in_a_row = draw.randint(1, 5), draw.randint(2, 4)

    def calls(name: str) -> list[Any]:
        return [lambda at=at: seen.append((name, at)) for at in range(cycle)]

    monkeypatch.setattr(parts, "time_call", lambda call, _device: (1e-6, call()))
    monkeypatch.setattr(parts, "LEAST", 1)
    place = Bench(replace(a_job(STYLES["numpy_manual"]), rule=replace(BRIEF, parts_s=0.0)), NOTHING, NOTHING)
    found = place.in_turns({WHOLE: calls("whole"), "part": calls("part")}, calls("after"), in_a_row)
    assert found == {WHOLE: [pytest.approx(cycle * 1e-6)], "part": [pytest.approx(cycle * 1e-6)]}
    whole = [("whole", at) for at in range(cycle)] * (2 * in_a_row - 1)
    assert seen == whole + [(name, at) for at in range(cycle) for name in ("after", "part")] * in_a_row


class Thing:
    """A result that may be watched."""


def an_operation(made: Thing) -> Operation:
    def gone(one: Thing) -> Any:
        there = weakref.ref(one)
        return lambda: there() is None

    return Operation("add", Thing, [], {}, [], made, Look(Thing, id, id, gone))


@pytest.mark.parametrize("seed", range(20))
def test_a_result_lives_as_long_when_all_is_done_again_as_it_did_in_the_loop(seed):
    """A loop of names and temporaries as drawn: before each operation as many results are alive as there were."""
    draw = random.Random(seed)
    count, cycle = draw.randint(1, 9), draw.randint(1, 3)
    names = [draw.choice([None, None, *range(count)]) for _ in range(count * cycle)]  # which name a result is given
    dropped = [draw.choice([None, None, *range(count)]) for _ in range(count * cycle)]  # and which one ends before it
    alive = weakref.WeakSet[Thing]()
    there: dict[int, Thing] = {}
    lives, expected = Lives(), []

    def operation(at: int) -> None:
        there.pop(dropped[at], None)
        made = Thing()
        lives.note(an_operation(made))
        expected.append(len(alive))
        alive.add(made)
        if names[at] is not None:
            there[names[at]] = made

    whole = count * cycle
    for _ in range(2):
        lives, expected = Lives(), []
        for at in [*range(whole)] * CYCLES:
            operation(at)
    there.clear()
    assert len(alive) == 0

    found = []

    def call(_results: object) -> Thing:
        found.append(len(alive))
        made = Thing()
        alive.add(made)
        return made

    again = one_after_another([[call] * count] * cycle, lives.releases(whole))
    for _ in range(4):
        for one in again:
            one()
    assert found[-whole:] == expected[-whole:]


def test_a_result_lives_until_the_next_iteration_has_one_in_its_place_where_no_release_is_known():
    alive = weakref.WeakSet[Thing]()
    most = 0

    def call(_results: object) -> Thing:
        nonlocal most
        made = Thing()
        alive.add(made)
        most = max(most, len(alive))
        return made

    (again,) = one_after_another([[call] * 5])
    for _ in range(3):
        again()
    assert len(alive) == 5
    assert most <= 6


def test_where_two_cycles_are_not_alike_nobody_knows_how_long_results_live():
    lives = Lives()
    for _ in range(5):
        lives.note(an_operation(Thing()))
    assert lives.releases(3) == [[], [], []]


@pytest.mark.parametrize(
    "name", ["numpy_manual", "torch_tensors", "torch_autograd", "torch_dynamic", "torch_optim_adam"]
)
def test_it_is_known_how_long_the_results_of_a_style_live(name):
    size = a_size(3)
    seen, lives = _seen(bench_of(name, size), size)
    operations = sum(len(one.operations) for one in seen)
    assert len(lives.gone) == CYCLES * operations
    assert sum(map(len, lives.releases(operations))) > operations // 3


IN_PLACE = [
    "numpy_manual", "numpy_in_place", "numpy_kept", "torch_tensors", "torch_autograd", "torch_nn", "torch_optim_sgd",
    "torch_in_place",
]  # fmt: skip
ON_RESULTS = HONEST.replace("np.maximum(h, 0)", "np.concatenate((h,))\n        h_relu *= h > 0").replace(
    "grad_y_pred = 2.0 * (y_pred - y)", "y_pred -= y\n        grad_y_pred = np.multiply(y_pred, 2.0, out=y_pred)"
)


@pytest.mark.parametrize("name", [*IN_PLACE, "on_results"])
def test_what_a_style_does_again_goes_on_from_its_own_results(name, tmp_path, monkeypatch):
    """The weights that it changes in place are those of so many iterations, to the last bit."""
    if name == "on_results":
        monkeypatch.setitem(STYLES, name, write_style(tmp_path, ON_RESULTS, name))
    size = a_size(5)
    place = bench_of(name, size, "float64")
    (one,), case, device = _seen(place, size)[0], place.job.case, place.device
    w1 = next(right for left, right in one.products if left.shape[1] == right.shape[0] == size.d_in)
    (again,) = one_after_another([one.operations])
    for steps in (3, 4, 5):  # two were watched
        again()
        expected = gate.run(case, place.train, device, case.problem, case.problem.arrays(), steps).weights[0]
        assert (device.fetch(w1) == expected).all()
