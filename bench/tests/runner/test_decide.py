"""`--decide`: more blocks only for what is still open, with the correction for looking again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from bench.cases.measurement import Measurement
from bench.cases.plan import dump_plan, load_plan
from bench.cases.request import Request
from bench.runner.session import with_more_blocks
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.writer import measurement_row
from bench.tests.fakes import a_case, a_plan, an_answer
from bench.tests.runs import evidence_of
from bench.verdict.claim import straddling
from bench.verdict.ratios.intervals import confidence_of, paired_ratio


def rows(medians: dict[Any, list[float]]) -> pd.DataFrame:
    """measurements.csv with these latencies by case and block."""
    return pd.DataFrame(
        [
            measurement_row("run", Measurement(case, block, 0, "ok", values=an_answer(latency).values))
            for case, latencies in medians.items()
            for block, latency in enumerate(latencies)
        ],
        columns=list(MEASUREMENT_COLUMNS),
    )


BASE = a_case("numpy_manual", dtype="float32")
OPEN = a_case("numpy_in_place", device="cuda:0", dtype="float32", framework="torch")
CLEAR = a_case("torch_tensors", device="cuda:0", dtype="float32", framework="torch")
TIMES = {BASE: [100.0, 101, 99, 100], OPEN: [2.0, 1.8, 2.2, 2.0], CLEAR: [1.0, 1.01, 0.99, 1.0]}


def test_only_the_open_case_and_its_baseline_get_more_blocks() -> None:
    plan = a_plan([BASE, OPEN, CLEAR], blocks=4, decide=50.0)
    more = with_more_blocks(plan, plan, 20, rows(TIMES))
    assert {case.style: count for case, count in more.cases.items()} == {
        "numpy_manual": 20,
        "numpy_in_place": 20,
        "torch_tensors": 4,
    }


def test_where_only_the_best_of_several_is_open_all_that_could_be_it_get_more_blocks() -> None:
    """Four contenders alike: each one's own interval lies above the threshold, Bonferroni's over all four holds it."""
    alike = [a_case(f"c{index}", device="cuda:0", dtype="float32", framework="torch") for index in range(4)]
    times = {BASE: [100.0, 102, 98, 100], **{case: [1.9, 1.91, 1.89, 1.9] for case in alike}}
    evidence = evidence_of(rows(times), machine={"plan": {"looks": [4, 20, 30]}})
    each = [one.ratio.low for one in evidence.speedups if one.baseline == "best-cpu" and one.scope == "iteration"]
    size = BASE.problem.size
    found = evidence.against(size, "best-cpu", "best-gpu", "iteration")
    best = evidence.best_ratio(size, "best-cpu", found, "iteration", found[0])
    assert best.low < min(each)
    plan = a_plan([BASE, *alike], blocks=4, decide=(best.low * min(each)) ** 0.5)
    assert set(with_more_blocks(plan, plan, 20, rows(times)).cases.values()) == {20}
    plan = replace(plan, decide=best.low * 0.99)
    assert set(with_more_blocks(plan, plan, 20, rows(times)).cases.values()) == {4}


def test_a_case_as_found_gets_as_many_blocks_as_the_case_that_it_is_paired_with() -> None:
    found = {case: replace(case, as_found=True) for case in (BASE, CLEAR)}
    plan = a_plan([BASE, OPEN, CLEAR, *found.values()], blocks=4, decide=50.0)
    assert list(with_more_blocks(plan, plan, 20, rows(TIMES)).cases.values()) == [20, 20, 4, 20, 4]


def test_blocks_after_the_look_do_not_change_what_the_look_decided() -> None:
    plan = a_plan([BASE, OPEN, CLEAR], blocks=4, decide=50.0)
    settled = {BASE: [*TIMES[BASE], 100.0], OPEN: [*TIMES[OPEN], 0.001], CLEAR: TIMES[CLEAR]}
    assert with_more_blocks(plan, plan, 20, rows(settled)) == with_more_blocks(plan, plan, 20, rows(TIMES))


def test_nothing_open_means_nothing_more() -> None:
    plan = a_plan([BASE, CLEAR], blocks=4, decide=50.0)
    assert list(with_more_blocks(plan, plan, 20, rows({BASE: TIMES[BASE], CLEAR: TIMES[CLEAR]})).cases.values()) == [
        4,
        4,
    ]


@pytest.mark.parametrize(
    ("blocks", "decide", "looks"),
    [(10, None, (10,)), (10, 50.0, (10, 20, 30)), (25, 50.0, (25, 30)), (30, 50.0, (30,))],
)
def test_a_plan_looks_at_ten_twenty_and_thirty_blocks(
    blocks: int, decide: float | None, looks: tuple[int, ...]
) -> None:
    assert a_plan([BASE], blocks=blocks, decide=decide).looks == looks


def test_every_look_more_widens_the_interval() -> None:
    one = paired_ratio(TIMES[BASE], TIMES[OPEN], confidence_of({"plan": {"looks": [10]}}))
    three = paired_ratio(TIMES[BASE], TIMES[OPEN], confidence_of({"plan": {"looks": [10, 20, 30]}}))
    assert three.low < one.low < one.value < one.high < three.high
    assert confidence_of({"plan": {"looks": [10, 20, 30]}}) == pytest.approx(1 - 0.05 / 3)
    assert confidence_of({}) == 0.95


def test_nan_intervals_are_not_called_open() -> None:
    one_block = {BASE: [100.0], CLEAR: [1.0]}
    found = evidence_of(rows(one_block), machine={})
    assert found.speedups
    assert straddling(found, 50.0) == set()


def test_the_threshold_survives_machine_json() -> None:
    plan = a_plan([], decide=50.0)
    assert load_plan(dump_plan(plan), {}).decide == 50.0
    assert Request().decide is None


def test_every_look_has_the_confidence_of_all_looks():
    """Found by scaling: the interval of three looks just holds 50, that of two looks would not."""
    times = {BASE: [100.0, 104.0] * 10, OPEN: [2.0, 2.0] * 10}
    three = paired_ratio(times[BASE], times[OPEN], 1 - 0.05 / 3)
    two = paired_ratio(times[BASE], times[OPEN], 1 - 0.05 / 2)
    assert three.low < two.low
    between = (three.low * two.low) ** 0.5
    whole = a_plan([BASE, OPEN], blocks=10, decide=between)
    at_twenty = replace(whole, blocks=20, cases=dict.fromkeys(whole.cases, 20))
    assert list(with_more_blocks(whole, at_twenty, 30, rows(times)).cases.values()) == [30, 30]


@pytest.mark.parametrize("first", [2, 3, 10])
def test_a_baseline_that_needed_no_more_blocks_stays_the_baseline(first):
    """All blocks after the first look go to what is open: who was decided has a third of them, or a fifteenth."""
    best, slower = (a_case(name, dtype="float32") for name in ("numpy_in_place", "torch_tensors"))
    gpu = a_case("torch_tensors", "cuda:0", dtype="float32")
    looks = [first, 20, 30]
    short, long = ([us, 1.01 * us] for us in (100.0, 130.0))
    times = {best: [short[at % 2] for at in range(first)], slower: long * 15, gpu: [2.6, 2.61] * 15}
    found = evidence_of(rows(times), machine={"plan": {"looks": looks}})
    assert found.baseline(best.problem.size, "best-cpu", "iteration")[0] == best.key
    crashed = {**times, best: [100.0]}
    found = evidence_of(rows(crashed), machine={"plan": {"looks": [10, 20, 30]}})
    assert found.baseline(best.problem.size, "best-cpu", "iteration")[0] == slower.key
