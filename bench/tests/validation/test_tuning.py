"""Styles beside their products: in turns, ratios within a round, a row a case."""

from __future__ import annotations

import csv
import random
from inspect import signature

import pytest

from bench.machine.environment import available_cpus
from bench.machine.process import Answer
from bench.tests.fakes import TINY, FakeClock
from bench.validation import tuning
from bench.validation.tuning import COLUMNS, in_turns, main, measure, rows, summed_up


@pytest.mark.parametrize("seed", range(5))
def test_each_round_calls_both_and_gives_what_a_call_takes(monkeypatch, seed):
    clock, draw = FakeClock(), random.Random(seed)
    monkeypatch.setattr(tuning, "perf_counter_ns", clock)
    slow, fast, called = draw.randint(100, 1000), draw.randint(100, 1000), []

    def call(name: str, us: int) -> None:
        called.append(name)
        clock.pass_ns(us * 1000)

    monkeypatch.setattr(tuning, "ROUNDS", 4)
    found = in_turns([lambda: call("slow", slow), lambda: call("fast", fast)])
    assert found == [[slow, fast]] * 4
    of_each = called.count("slow")
    called.clear()
    first = iter([10**6])  # it compiles
    again = in_turns([lambda: call("slow", next(first, slow)), lambda: call("fast", fast)])
    assert (again, called.count("slow")) == (found, of_each)
    runs = [name for name, before in zip(called, [None, *called], strict=False) if name != before]
    assert runs == ["slow", "fast"] * 5  # once to count, then in turns


def test_a_style_is_measured_beside_products_of_its_own_size(monkeypatch):
    for name, brief in (("ROUNDS", 2), ("ROUND_S", 0.0), ("WARM_S", 0.0)):
        monkeypatch.setattr(tuning, name, brief)
    found = measure("numpy_in_place", [], TINY, "float32", 1)
    assert min(found["products_us"], found["iteration_us"], found["over_products"], found["of_gemm_rate"]) > 0
    assert set(found) <= {*COLUMNS}


def test_a_row_is_over_processes_and_one_that_fails_is_said(monkeypatch):
    said: list[str] = []
    answers = iter([1.0, 4.0, None])

    def ask(_module, question, **_options):
        signature(measure).bind(*question)
        ratio = next(answers)
        if ratio is None:
            return Answer(None, 1.0, "crashed", "gone")
        return Answer(
            {"products_us": 10.0, "iteration_us": 10.0 * ratio, "over_products": ratio, "of_gemm_rate": 0.5,
             "faults": 0.0}, 1.0,
        )  # fmt: skip

    monkeypatch.setattr(tuning, "ask", ask)
    (row,) = rows([("numpy_in_place", "float32", 2, tuning.SIZES[0])], [], 3, said.append)
    assert (row["processes"], row["over_products"], row["low"], row["high"]) == (2, "2.000", "1.000", "4.000")
    assert said == ["numpy_in_place, 2 threads: crashed: gone"]
    assert row["size"] == tuning.SIZES[0]


def test_the_table_has_a_row_for_every_style_size_and_thread_count(monkeypatch, tmp_path):
    one = {"products_us": 1.0, "iteration_us": 2.0, "over_products": 2.0, "of_gemm_rate": 0.5, "faults": 0.0}
    monkeypatch.setattr(tuning, "ask", lambda *_args, **_options: Answer(one, 1.0))
    main([str(tmp_path / "tuning.csv"), "--style", "numpy_in_place", "--style", "torch_in_place", "--processes", "1"])
    with open(tmp_path / "tuning.csv", newline="") as file:
        found = list(csv.DictReader(file))
    threads = {1, available_cpus()}
    assert len(found) == 2 * len(tuning.SIZES) * len(threads)
    assert list(found[0]) == list(COLUMNS)
    assert {row["size"] for row in found} == {str(size) for size in tuning.SIZES}


def test_means_of_a_case_are_geometric():
    one = {"products_us": 1.0, "iteration_us": 4.0, "over_products": 4.0, "of_gemm_rate": 0.2, "faults": 3.0}
    two = {"products_us": 4.0, "iteration_us": 4.0, "over_products": 1.0, "of_gemm_rate": 0.8, "faults": 1.0}
    row = summed_up(("a", "float32", 1, tuning.SIZES[0]), [one, two])
    assert (row["products_us"], row["over_products"], row["of_gemm_rate"], row["faults"]) == (
        "2.0",
        "2.000",
        "0.400",
        "2.0",
    )
