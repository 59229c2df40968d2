"""One measurement in one process: what it finds, and every liar that it catches."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from textwrap import indent
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench.adversary.lies import HONEST, NO_WORK, PLANTED, told_apart_by, write_style
from bench.cases import phases
from bench.cases.challenge import timed_flips
from bench.cases.measurement import Job
from bench.cases.phases import plan_counts
from bench.machine.device import DeviceError
from bench.machine.frameworks import open_device
from bench.machine.witness import Record
from bench.plain import from_plain, to_plain
from bench.tests.fakes import BRIEF, a_case, a_job, a_problem, fake_device, found_at_last
from bench.timing import loops
from bench.timing.given import WrongStyleError
from bench.timing.loops import flip_sign
from bench.verification import gate, oracle
from bench.verification.judge import judge
from bench.worker import measure as worker
from bench.worker.measure import attempt, examine, measure
from implementations import find_implementations

STYLES = find_implementations()
PATIENT = replace(BRIEF, warmup_iterations=gate.PACE_ITERATIONS)

# beside those of PLANTED, which `fiftyx validate` catches in real processes too
LIARS = {
    "sign error in one gradient": (HONEST.replace("w2 -=", "w2 +="), "loss of iteration 1 is"),
    "sign error in a gradient that comes late": (
        HONEST.replace("w2 -=", "w2 -= (1 if _t < 49 else -1) *"), "weight 2 is not where"),
    "half the gradient": (HONEST.replace("2.0 *", "1.0 *"), "loss of iteration 1 is"),
    "one weight is never updated": (HONEST.replace("        w1 -=", "        w1 - "), "loss of iteration 1 is"),
    "constant loss": (HONEST.replace("yield loss", "yield x.dtype.type(1.0)"), "loss of iteration 0 is 1,"),
    "loss is the mean": (HONEST.replace(".sum()", ".mean()"), "loss of iteration 0 is"),
    "right losses, weights exchanged": (HONEST.replace("return w1, w2", "return w2, w1"), "weight 1 has shape"),
    "other dtype of the loss": (HONEST.replace("yield loss", "yield np.float32(loss)"),
                                "yielded a loss of dtype float32, expected float64"),
    "a loss without a dtype": (HONEST.replace("yield loss", "yield float(loss)"), "yielded a loss of dtype float,"),
    "other dtype of the weights": (
        HONEST.replace("return w1, w2", "return w1.astype(np.float32), w2"), "returned weights of dtype float32"),
    "no more work after the checked losses": (
        HONEST.replace("        h = ", "        if _t >= 10 and steps != 50:\n            yield loss\n"
                       "            continue\n        h = "),
        "in the timed run: "),
    "other work at another size": (
        told_apart_by("x.shape[0] == 64", HONEST.replace("2.0 *", "1.9 *")),
        "in the first iterations at its own size: loss of iteration 1"),
    "stops early": (HONEST.replace("range(steps)", "range(min(steps, 9))"), "stopped before its"),
    "stops early in the rehearsal": (HONEST.replace("range(steps)", "range(49 if steps == 50 else steps)"),
                                     "stopped before its 50 steps"),
    "goes on": (HONEST.replace("range(steps)", "range(steps + 1)"), "more losses than it was given steps"),
    "returns nothing": (HONEST.replace("    return w1, w2\n", ""), "returned no weights"),
    "returns one weight": (HONEST.replace("return w1, w2", "return (w1,)"), "returned 1 weights, expected 2"),
    "returns lists": (HONEST.replace("return w1, w2", "return w1.tolist(), w2"), "returned a list among its weights"),
    "loss is not a number": (HONEST.replace("yield loss", "yield loss * np.nan"), "loss of iteration 0 is nan"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """What a worker has from its start: threads that spin would count as cores in use."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def any_threads(monkeypatch):
    """Other tests' libraries may have loaded here; a real worker checks its own."""
    monkeypatch.setattr(worker, "threads_in_use", lambda _case: "fake BLAS")


@pytest.mark.parametrize("lie", LIARS)
def test_a_liar_is_wrong_and_the_reason_says_where(lie, tmp_path):
    body, reason = LIARS[lie]
    found = examine(a_job(write_style(tmp_path, body)))
    assert found.status == "wrong", found
    assert reason in found.reason
    assert not found.values


@pytest.mark.parametrize("planted", [one for one in PLANTED if one.device == "cpu"], ids=lambda one: one.style)
def test_a_planted_liar_is_wrong_for_its_lie_and_the_honest_one_is_not(planted, tmp_path):
    style = write_style(tmp_path, planted.body, planted.style, framework=planted.framework)
    if style.missing:
        pytest.skip(style.missing)
    found = examine(a_job(style, PATIENT))
    assert found.status == ("wrong" if planted.must_say else "ok"), found
    assert planted.must_say in found.reason


def test_a_loop_on_two_threads_is_judged_by_pauses_that_change_x_and_others_that_do_not(monkeypatch):
    """The iterations are real, the threads one: what is drawn goes by what the case asks for."""
    made: list[bool] = []

    def seen(device, x, flip):
        made.append(flip.twice)
        flip_sign(device, x, flip)

    monkeypatch.setattr(loops, "flip_sign", seen)
    rule = replace(BRIEF, latency_iterations=60, latency_most=60)
    found = found_at_last(a_job(STYLES["numpy_manual"], rule, threads=2))
    assert found.status == "ok", found
    assert min(made.count(True), made.count(False)) > 4
    assert int(found.values["challenges"] or 0) <= made.count(False)
    made.clear()
    assert found_at_last(a_job(STYLES["numpy_manual"], rule)).status == "ok"
    assert made.count(False) > 4
    assert True not in made


def test_the_liars_are_liars_because_of_their_lie_alone(tmp_path):
    assert all(body != HONEST for body, _ in LIARS.values())
    for body in (HONEST, told_apart_by("steps == 50", HONEST)):
        found = found_at_last(a_job(write_style(tmp_path, body, name=f"honest{len(body)}")))
        assert found.status == "ok", found


def test_a_style_that_works_on_another_device_is_wrong(tmp_path, monkeypatch):
    class Away(np.ndarray):
        """An array on the fake device."""

    def describe(value):
        return str(value.dtype), "fake:0" if isinstance(value, Away) else "cpu"

    away = fake_device(name="fake:0", put=lambda array, dtype: array.astype(dtype).view(Away), describe=describe)
    monkeypatch.setattr(worker, "open_device", lambda *_: away)
    at_home = f"    x, y, w1, w2 = (np.array(a) for a in (x, y, w1, w2))\n{HONEST}"
    found = examine(a_job(write_style(tmp_path, at_home), device="fake:0"))
    assert (found.status, found.reason) == ("wrong", "yielded a loss on cpu, expected on fake:0")
    brought_back = at_home.replace("yield loss", "yield np.asarray(loss).view(Away)").replace(
        "    x,", "    Away=type(x)\n    x,"
    )
    found = examine(a_job(write_style(tmp_path, brought_back, name="half"), device="fake:0"))
    assert (found.status, found.reason) == ("wrong", "returned weights on cpu, expected on fake:0")


def test_a_loss_that_drags_its_graph_along_is_wrong():
    case = a_case("torch_autograd", framework="torch")

    def attached(x, y, w1, w2, learning_rate, steps):
        w1.requires_grad_()
        for _ in range(steps):
            yield (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        return w1, w2

    with pytest.raises(WrongStyleError, match=r"still requires grad: yield loss.detach\(\)"):
        gate.rehearse(case, attached, open_device("torch", "cpu"))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("    raise RuntimeError('CUDA out of memory. Tried\\nto allocate')\n    yield\n", "oom",
         "RuntimeError: CUDA out of memory. Tried to allocate (bad.py:8)"),
        ("    raise MemoryError\n    yield\n", "oom", "out of memory"),
        ("    np.empty(10**15)\n    yield\n", "oom", "out of memory: Unable to allocate 7.11 PiB"),
        ("    yield x.nothing\n", "failed", "AttributeError: "),
        ("    import a_library_nobody_has\n    yield\n", "failed",
         "ModuleNotFoundError: No module named 'a_library_nobody_has' (bad.py:8)"),
    ],
)  # fmt: skip
def test_what_a_style_raises_becomes_a_status_and_one_line(body, status, reason, tmp_path):
    found = examine(a_job(write_style(tmp_path, body, name="bad")))
    assert found.status == status
    assert found.reason.startswith(reason)
    assert "\n" not in found.reason


def test_a_device_that_is_not_there_is_a_failure_with_its_reason(monkeypatch):
    def refuse(*_):
        raise DeviceError("no CUDA device")

    monkeypatch.setattr(worker, "open_device", refuse)
    found = examine(a_job(STYLES["torch_nn"], device="cuda:0"))
    assert found.status == "failed"
    assert "no CUDA device" in found.reason


@pytest.mark.parametrize("name", STYLES)
def test_every_style_is_measured_whole_on_the_cpu(name):
    style = STYLES[name]
    if style.missing or "cpu" not in style.devices:
        pytest.skip(style.missing or "not on the cpu")
    job = a_job(style)
    record = Record(5)
    found = judge(job, attempt(lambda: measure(job, record)), record)
    assert found.status == "ok", found
    values: Any = found.values
    counts = plan_counts(BRIEF, 1.0, style.cycle, referenced=True)
    steps = counts.steps
    assert len(found.timed_us) == values["iterations"] == 8
    assert values["checked_iterations"] == sum(len(one.read) for one in counts.stretches)  # all that were read
    at_usual_speed = values["reference_us"] * values["latency_per_reference"]
    assert values["latency_min_us"] / 5 < at_usual_speed < values["latency_p95_us"] * 5
    assert values["latency_min_us"] <= values["latency_median_us"] <= values["latency_p95_us"]
    assert values["warmup_iterations"] == len(found.warmup_us) == 3
    assert values["first_iteration_seconds"] * 1e6 == pytest.approx(found.first_us)
    assert values["event_us"] is None
    assert values["flops"] > 0
    case = job.case
    flips = timed_flips(case, counts, [one.seed for one in record.seen])
    assert (values["data_seed"], values["challenges"]) == (5, len(flips))
    arrays = replace(case.problem, seed=5).arrays()
    expected = oracle.reference(case.oracle, arrays, case.problem.learning_rate, steps, flips)
    assert values["final_loss"] == pytest.approx(expected.losses[-1], rel=1e-6)


def test_the_reduced_values_are_those_of_the_samples():
    found = examine(a_job(STYLES["numpy_manual"]))
    samples = found.timed_us
    values: Any = found.values
    assert values["latency_median_us"] == pytest.approx(np.median(samples))
    assert values["latency_mean_us"] == pytest.approx(np.mean(samples))
    assert values["latency_min_us"] == min(samples)


def test_a_style_that_writes_into_its_inputs_gets_fresh_ones_each_time(tmp_path):
    body = HONEST.replace("    return w1, w2", "    x[:] = 0\n    y[:] = 0\n    return w1, w2")
    assert found_at_last(a_job(write_style(tmp_path, body))).status == "ok"


def test_a_run_too_dear_to_follow_is_still_checked_at_its_first_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "AFFORDED_FLOPS", 3.5 * a_problem().flops)
    found = found_at_last(a_job(STYLES["numpy_manual"]))
    assert (found.status, found.values["checked_iterations"]) == ("ok", 3)
    body = told_apart_by("x.shape[0] == 64", HONEST.replace("2.0 *", "1.9 *"))
    reason = "in the first iterations at its own size: loss of iteration 1"
    assert examine(a_job(write_style(tmp_path, body))).reason.startswith(reason)
    far = HONEST.replace("2.0 *", "(2.0 if steps < 60 or _t < 1 else 1.9) *")
    found = examine(a_job(write_style(tmp_path, far, "far"), replace(BRIEF, latency_iterations=60, latency_most=60)))
    assert found.reason.startswith("in the timed run: loss of iteration 2 is ")


@pytest.mark.parametrize("afforded", [0.5, 3.5])
def test_a_style_that_rests_where_the_oracle_cannot_follow_is_wrong(tmp_path, monkeypatch, afforded):
    flops = a_problem().flops
    monkeypatch.setattr(phases, "AFFORDED_FLOPS", afforded * flops)
    monkeypatch.setattr(phases, "TOO_DEAR_FLOPS", flops if afforded > 1 else flops - 1)
    checked = 3 if afforded > 1 else 0
    rest = "        if _t >= 3 and steps != 50:\n            yield loss\n            continue\n"
    rests = HONEST.replace("        h = ", f"{rest}        h = ")
    body = rests if checked else told_apart_by("steps == 50", NO_WORK)
    found = examine(a_job(write_style(tmp_path, body)))
    assert found.status == "wrong"
    assert found.reason.startswith("in the timed run: the loss stands still at ")
    assert found.reason.endswith(f"from iteration {checked} on")


def test_a_style_that_works_for_many_iterations_at_once_is_wrong(tmp_path):
    """It cannot know how x changes until then."""
    chunk = HONEST.replace("range(steps)", "range(8)").replace("yield loss", "kept.append(loss)")
    body = (
        "    for _chunk in range(0, steps, 8):\n        kept = []\n"
        + indent(chunk.replace("    return w1, w2\n", "").replace("range(8)", "range(min(8, steps - _chunk))"), "    ")
        + "        for loss in kept:\n            yield loss\n    return w1, w2\n"
    )
    rule = replace(PATIENT, latency_iterations=40, latency_most=40, batch_iterations=40)
    found = examine(a_job(write_style(tmp_path, body), rule))
    assert found.status == "wrong"
    assert (
        found.reason.startswith("in the timed run: loss of iteration ") or "several iterations at once" in found.reason
    )


def test_a_long_run_is_held_against_every_loss_that_the_oracle_affords(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, "AFFORDED_FLOPS", 70.5 * a_problem().flops)
    rests = HONEST.replace(
        "        h = ",
        "        if _t >= 60 and steps > 50:\n            yield loss\n            continue\n        h = ",
    )
    rule = replace(BRIEF, latency_iterations=70, latency_most=70, segment_iterations=70)
    honest = found_at_last(a_job(write_style(tmp_path, HONEST, name="honest"), rule))
    assert honest.status == "ok", honest.reason
    assert (honest.status, honest.values["checked_iterations"]) == ("ok", 70)
    found = examine(a_job(write_style(tmp_path, rests), rule))
    assert found.status == "wrong"
    assert found.reason.startswith("in the timed run: the loss after 61 iterations is ")


def test_a_job_comes_out_of_its_json_as_it_went_in(tmp_path):
    for style in (STYLES["torch_dynamic"], write_style(tmp_path, HONEST)):
        job = a_job(style, rule=replace(BRIEF, limit_s=0.5))
        assert from_plain(Job, json.loads(json.dumps(to_plain(job)))) == job


def test_numpy_in_place_allocates_nothing_and_numpy_manual_does():
    def growth(name: str) -> int:
        """The most bytes above its start that an iteration holds, once it is warm."""
        problem = a_problem((64, 100, 50, 10), "float32")
        arrays = [np.array(array, dtype=np.float32) for array in problem.arrays()]
        loop = STYLES[name].train(*arrays, problem.learning_rate, 100)
        for _ in range(3):
            next(loop)
        tracemalloc.start()
        try:
            next(loop)
            before, _peak = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(20):
                next(loop)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    smallest_array = 64 * 10 * 4
    assert growth("numpy_in_place") < smallest_array / 2
    assert growth("numpy_manual") > smallest_array
