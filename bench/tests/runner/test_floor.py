"""The floor under every time: where it comes from, and what happens below it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.measurement import Measurement
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.machine.ceilings import Ceiling, read_ceilings
from bench.machine.process import Answer
from bench.runner import device_floors, floor
from bench.runner.below import FAR, OF_PRODUCTS, floor_us, with_floor, with_reference
from bench.runner.floor import (
    CEILINGS_SHARE,
    DOUBTS,
    SMALLER,
    TRIES,
    Floors,
    ceiling_jobs,
    largest_buffer,
    missing_jobs,
)
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.tests.fakes import a_case, a_measurement, a_plan
from bench.worker.ceilings import COPY_BYTES

GEMM = Ceiling("gemm", "numpy", "cpu", "float64", "ieee", 1, gflops=50.0)


def copies(*held_and_rate: tuple[int, float]) -> list[Ceiling]:
    return [
        Ceiling("copy", "numpy", "cpu", "float32", "ieee", 1, gbytes_per_s=rate, bytes=held)
        for held, rate in held_and_rate
    ]


def products(us: float = 100.0, *, framework: str = "numpy", dtype: str = "float64", size: Size = TUTORIAL_SIZE) -> Any:
    return Ceiling("products", framework, "cpu", dtype, "ieee", 1, us=us, size=str(size))


def measured(latency_us: float, throughput_us: float) -> Measurement:
    case = a_case(size=TUTORIAL_SIZE)
    values = {"latency_median_us": latency_us, "throughput_us": throughput_us}
    return Measurement(case, 0, 0, "ok", values=values, timed_us=[latency_us])


def test_the_floor_is_the_products_over_the_fastest_library() -> None:
    slower = Ceiling("gemm", "torch", "cpu", "float64", "ieee", 1, gflops=20.0)
    floor = floor_us(a_case(size=TUTORIAL_SIZE), [slower, GEMM])
    assert floor == pytest.approx((4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10) / 50e9 * 1e6)


@pytest.mark.parametrize(
    "other",
    [
        Ceiling("gemm", "numpy", "cpu", "float32", "ieee", 1, gflops=50.0),
        Ceiling("gemm", "numpy", "cpu", "float64", "ieee", 2, gflops=50.0),
        Ceiling("gemm", "torch", "cuda:0", "float64", "ieee", 1, gflops=50.0),
        Ceiling("gemm", "torch", "cpu", "float64", "tf32", 1, gflops=50.0),
    ],
)
def test_a_ceiling_of_another_dtype_device_precision_or_thread_count_says_nothing(other: Ceiling) -> None:
    assert floor_us(a_case(size=TUTORIAL_SIZE), [other]) is None


def test_bytes_bound_what_the_products_do_not() -> None:
    case = a_case(size=(1, 4000, 4000, 1))
    slow_memory = copies((2**20, 1.0))
    assert floor_us(case, [GEMM, *slow_memory]) == pytest.approx(case.problem.bytes_moved / 1e3)


def test_a_copy_within_a_cache_is_no_ceiling_for_data_that_outgrow_it() -> None:
    case = a_case(size=(1, 4000, 4000, 1))
    cache_and_memory = copies((2**20, 1000.0), (2**27, 1.0))
    assert floor_us(case, [GEMM, *cache_and_memory]) == pytest.approx(case.problem.bytes_moved / 1e3)


def test_a_case_carries_its_floor_and_its_share_of_it() -> None:
    floor = floor_us(measured(1, 1).case, [GEMM])
    assert floor is not None
    values = with_floor(measured(2 * floor, 1.9 * floor), [GEMM]).values
    assert values["floor_us"] == floor
    assert values["floor_share"] == pytest.approx(0.5)


@pytest.mark.parametrize(("latency", "throughput"), [(0.9, 1.5), (1.5, 0.9)])
def test_a_time_below_its_floor_is_wrong_and_loses_its_numbers(latency: float, throughput: float) -> None:
    floor = floor_us(measured(1, 1).case, [GEMM])
    assert floor is not None
    found = with_floor(measured(latency * floor, throughput * floor), [GEMM])
    assert found.status == "wrong"
    assert "less than the" in found.reason
    assert not found.values
    assert not found.timed_us


def test_without_a_ceiling_nothing_is_claimed() -> None:
    plain = measured(1.0, 1.0)
    assert with_floor(plain, ()) is plain


@given(st.floats(1.0, 1e6), st.floats(0.1, 3.0))
def test_a_time_that_the_products_of_its_size_cannot_have_is_wrong(us, factor):
    low = Ceiling("gemm", "numpy", "cpu", "float64", "ieee", 1, gflops=1e9)
    found = with_floor(measured(factor * us, factor * us), [low, products(us), products(2 * us)])
    if abs(factor - OF_PRODUCTS) > 0.01:
        assert found.status == ("wrong" if factor < OF_PRODUCTS else "ok")
    assert found.status == "ok" or f"{us:.1f} us that its numpy products take by themselves" in found.reason
    for other in (products(us, framework="torch"), products(us, dtype="float32"), products(us, size=Size(1, 2, 3, 4))):
        assert with_floor(measured(factor * us, factor * us), [low, other]).status == "ok"


def test_only_small_sizes_on_one_thread_have_their_products_measured_by_themselves():
    cases = [
        a_case(size=TUTORIAL_SIZE), a_case(size=(16, 250, 25, 5)), a_case(size=(512, 8000, 800, 80)),
        a_case(size=(8, 9, 10, 11), threads=2), a_case(size=(5, 6, 7, 8), framework="jax"),
    ]  # fmt: skip
    jobs = {(job["framework"], job["threads"]): job["small"] for job in ceiling_jobs(a_plan(cases))}
    assert jobs == {("numpy", 1): [[16, 250, 25, 5], [64, 1000, 100, 10]], ("numpy", 2): [], ("jax", 1): []}


@given(st.floats(10.0, 100.0), st.floats(1.0, 2.0))
def test_a_reference_far_from_those_of_the_rows_before_is_not_used(usual, factor):
    row = measured(100.0, 100.0)
    values = {**row.values, "reference_us": usual * factor, "latency_per_reference": 3.0}
    found = with_reference(replace(row, values=values), [usual] * 3)
    if abs(factor - FAR) > 0.01:
        assert ("latency_per_reference" in found.values) == (factor < FAR)


@given(st.floats(1e-3, 1e6), st.floats(1.1, 100))
def test_a_faster_machine_has_a_lower_floor(gflops: float, factor: float) -> None:
    case = a_case(size=TUTORIAL_SIZE)
    slow, fast = (Ceiling("gemm", "numpy", "cpu", "float64", "ieee", 1, gflops=g) for g in (gflops, gflops * factor))
    slow_us, fast_us = floor_us(case, [slow]), floor_us(case, [fast])
    assert slow_us is not None
    assert fast_us is not None
    assert math.isclose(slow_us / fast_us, factor)


def test_ceilings_survive_machine_json() -> None:
    assert read_ceilings({"ceilings": [GEMM.row(), *(one.row() for one in copies((8, 2.0)))]}) == (
        GEMM,
        *copies((8, 2.0)),
    )
    assert read_ceilings({}) == ()


KILLED = "process killed by SIGKILL (out of memory?)"
PLAN = a_plan(
    [
        a_case("one", dtype=dtype, threads=threads, size=(2000, 2000, 2000, 10))
        for dtype in ("float32", "float64")
        for threads in (1, 2)
    ]
)


class Workers:
    """Processes of ceilings, of which the first so many are killed."""

    def __init__(self, monkeypatch, killed: int, reason: str = KILLED) -> None:
        self.asked: list[dict[str, Any]] = []
        self.killed, self.reason = killed, reason
        monkeypatch.setattr(floor, "ask", self.ask)

    def ask(self, _module, job, *, shape, **_options):
        self.asked.append(job)
        if len(self.asked) <= self.killed:
            return Answer(None, 1.0, "crashed", self.reason)
        rows = [Ceiling("gemm", "numpy", "cpu", dtype, "ieee", job["threads"], gflops=9.0) for dtype in job["dtypes"]]
        rows += [products(us=1.0, dtype=dtype, size=Size(*size)) for dtype in job["dtypes"] for size in job["small"]]
        return Answer(rows, 1.0)


def floors(folder, said) -> Floors:
    if not (folder / "machine.json").exists():
        write_machine(folder, {"run_id": "r"})
    return Floors(folder, PLAN, said.append, lambda _text: None)


@pytest.mark.parametrize("killed", range(len(SMALLER) + 1))
def test_a_ceiling_that_was_killed_for_memory_is_said_and_measured_again_with_smaller_buffers(
    tmp_path, monkeypatch, killed
):
    workers, said = Workers(monkeypatch, killed), list[str]()
    floors(tmp_path, said).complete()
    first = largest_buffer(PLAN)
    assert [job["largest"] for job in workers.asked] == [first, *SMALLER[:killed], first]
    assert len(said) == killed
    assert all(KILLED in line and "measured again with smaller buffers" in line for line in said)
    assert missing_jobs(PLAN, read_ceilings(read_machine(tmp_path))) == []
    assert read_machine(tmp_path)["ceilings_missing"] == []


def test_a_ceiling_that_is_missing_is_said_and_measured_again_in_the_next_block_and_at_a_resume(tmp_path, monkeypatch):
    workers, said = Workers(monkeypatch, killed=1, reason="process ended with exit code 1: no"), list[str]()
    first = floors(tmp_path, said)
    first.complete()
    assert len(said) == 1
    assert said[0].endswith("so its times have no floor")
    assert missing_jobs(PLAN, first.known) == ceiling_jobs(PLAN)[:1]
    case = next(case for case in PLAN.cases if case.threads == 1)
    assert "floor_us" not in first.under(a_measurement(case, 0, 1e9)).values
    resumed = floors(tmp_path, said)
    assert "floor_us" in first.under(a_measurement(case, 1, 1e9)).values
    assert "floor_us" in first.under(a_measurement(case, 2, 1e9)).values
    assert len(workers.asked) == 3
    resumed.complete()
    assert "floor_us" in resumed.under(a_measurement(case, 0, 1e9)).values
    assert len(workers.asked) == 3


def test_a_ceiling_that_never_succeeds_is_tried_a_few_times(tmp_path, monkeypatch):
    workers, said = Workers(monkeypatch, killed=10**6, reason="ImportError: no cupy"), list[str]()
    run = floors(tmp_path, said)
    run.complete()
    for block in range(20):
        run.under(a_measurement(next(iter(PLAN.cases)), block))
    assert len(workers.asked) == TRIES * len(ceiling_jobs(PLAN))
    assert read_machine(tmp_path)["ceilings_missing"] == [
        line.removesuffix("; so its times have no floor") for line in said[-2:]
    ]


def test_a_run_on_a_gpu_asks_once_for_the_floors_of_each_device_and_profiles_its_torch_styles(tmp_path, monkeypatch):
    plan = a_plan([a_case("torch_nn", device, framework="torch") for device in ("cuda:0", "cuda:1", "cpu")])
    asked: list[Any] = []

    def ask(module: str, question: Any, **_options: Any) -> Answer:
        asked.append((module, question))
        if question["device"] == "cuda:1":
            return Answer(None, 1.0, "failed", "no such device")
        return Answer({"figures": {"launch_us": 2.0}, "errors": {}}, 1.0)

    monkeypatch.setattr(device_floors, "ask", ask)
    monkeypatch.setattr(floor, "missing_jobs", lambda *_: [])
    write_machine(tmp_path, {"run_id": "run1"})
    warned: list[str] = []
    for _ in range(2):
        Floors(tmp_path, plan, warned.append, lambda _line: None).complete()
    assert [question["device"] for _, question in asked] == ["cuda:0", "cuda:1"]
    assert {module for module, _ in asked} == {"bench.doctor.floors"}
    assert asked[0][1]["styles"] == ["torch_nn"]
    found = read_machine(tmp_path)["floors"]
    assert found["cuda:0"]["figures"] == {"launch_us": 2.0}
    assert found["cuda:1"]["figures"] == {}
    assert warned == ["no floors of cuda:1: no such device"]


@given(st.lists(st.tuples(*[st.integers(1, 4000)] * 4), min_size=1, max_size=5))
def test_the_largest_buffer_holds_the_data_of_every_problem_and_no_more_is_copied_than_that_takes(sizes) -> None:
    plan = a_plan([a_case(f"s{at}", size=size, dtype="float64") for at, size in enumerate(sizes)])
    most = max(case.problem.bytes_moved for case in plan.cases)
    largest = largest_buffer(plan)
    assert largest >= most or largest == COPY_BYTES[-1]
    assert largest == COPY_BYTES[0] or COPY_BYTES[COPY_BYTES.index(largest) - 1] < most


def test_beside_an_accelerator_the_whole_memory_is_copied() -> None:
    assert largest_buffer(a_plan([a_case("one"), a_case("two", device="cuda:0", framework="torch")])) == COPY_BYTES[-1]


class SlowWorkers(Workers):
    """Processes of ceilings that take so many seconds each, by a clock that only they move."""

    def __init__(self, monkeypatch, takes_s: float) -> None:
        super().__init__(monkeypatch, killed=0)
        self.takes_s, self.now_s, self.limits_s = takes_s, 0.0, list[float]()
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)

    def ask(self, _module, job, *, shape, **_options):
        self.limits_s.append(_options["timeout_s"])
        self.now_s += min(self.takes_s, _options["timeout_s"])
        if self.takes_s > _options["timeout_s"]:
            return Answer(None, _options["timeout_s"], "timeout", "took too long; see --timeout")
        return super().ask(_module, job, shape=shape, **_options)


@given(st.floats(0.01, 500.0), st.floats(0.01, 500.0), st.floats(1.0, 1000.0))
def test_ceilings_take_no_more_of_a_budget_than_their_share_and_who_finds_no_time_says_so(
    tmp_path_factory, takes_s, timeout_s, budget_s
):
    folder, said = tmp_path_factory.mktemp("run"), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        workers = SlowWorkers(patch, takes_s)
        write_machine(folder, {"run_id": "r"})
        plan = replace(PLAN, budget_s=budget_s, timeout_s=timeout_s)
        run = Floors(folder, plan, said.append, lambda _text: None)
        run.complete()
        for block in range(1, 4):
            run.under(a_measurement(next(iter(plan.cases)), block, 1e9))
        assert workers.now_s <= CEILINGS_SHARE * budget_s * (1 + 1e-9)
        assert max(workers.limits_s) <= timeout_s
    missing = read_machine(folder)["ceilings_missing"]
    assert bool(missing) == bool(missing_jobs(plan, run.known))
    assert bool(said) == bool(missing) or takes_s <= timeout_s
    if takes_s * len(ceiling_jobs(plan)) <= CEILINGS_SHARE * budget_s and takes_s <= timeout_s:
        assert not missing


def test_a_time_below_its_floor_has_its_ceiling_measured_again_also_where_the_budget_for_ceilings_is_spent(
    tmp_path, monkeypatch
):
    workers, said = SlowWorkers(monkeypatch, takes_s=4.0), list[str]()
    write_machine(tmp_path, {"run_id": "r"})
    plan = replace(PLAN, budget_s=9.0 / CEILINGS_SHARE)
    run = Floors(tmp_path, plan, said.append, lambda _text: None)
    run.complete()
    assert len(workers.asked) == 2
    workers.now_s += 100.0
    case = next(case for case in plan.cases if case.threads == 1)
    assert run.under(a_measurement(case, 1, 1e-6)).status == "wrong"
    assert len(workers.asked) == 2 + DOUBTS


@pytest.mark.parametrize(("slow", "status"), [(0, "ok"), (1, "ok"), (DOUBTS - 1, "ok"), (DOUBTS, "wrong")])
def test_a_ceiling_from_a_core_that_a_neighbour_slows_by_turns_is_measured_until_it_was_quick_once(
    tmp_path, monkeypatch, slow, status
):
    """An honest iteration of 600 us: its products take 550, and 800 beside the neighbour."""
    case, tries = a_case(size=TUTORIAL_SIZE), list[float]()
    run = Floors(tmp_path, a_plan([case]), lambda _line: None, lambda _line: None, (GEMM, products(us=800.0)))

    def once_more(run: Floors, _jobs: object) -> None:
        tries.append(800.0 if len(tries) < slow else 550.0)
        run.known += (products(us=tries[-1]),)

    monkeypatch.setattr(Floors, "_measure", once_more)
    assert run.under(a_measurement(case, 0, 600.0)).status == status
    assert len(tries) == min(slow + 1, DOUBTS)
