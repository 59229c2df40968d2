from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from bench.cases.case import Case
from bench.cli import main
from bench.tables.difference import differences
from bench.tables.run import Run
from bench.tests.fakes import a_case, a_measurement
from bench.tests.runs import MACHINE, NUMPY, TORCH, around, write_run
from bench.verdict.comparison import Compared, compare, judged, outcome_of, summary
from bench.verdict.ratios.intervals import Ratio, welch_p, welch_ratio
from bench.verdict.ratios.speedup import mean_us, trusted

positive = st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=12)


def one(found: object) -> Compared:
    (only,) = found.cases  # type: ignore[attr-defined]
    assert isinstance(only, Compared)
    return only


def test_a_run_against_itself_is_the_same_in_every_case_however_noisy(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", {NUMPY: [100, 150, 90], TORCH: around(50)})
    found = compare(run, run)
    assert found.identical
    assert found.counts == {"faster": 0, "slower": 0, "same": 2, "undecided": 0}
    assert {case.ratio for case in found.cases} == {Ratio(1.0, 1.0, 1.0, 3), Ratio(1.0, 1.0, 1.0, 4)}


def test_quiet_runs_of_equal_code_are_the_same(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {NUMPY: around(100, (1.001, 0.999, 1.002, 1.0))}, run_id="run2")
    assert one(compare(a, b)).outcome == "same"
    assert not compare(a, b).identical


@pytest.mark.parametrize(("factor", "outcome"), [(1.05, "slower"), (1 / 1.05, "faster")])
def test_a_planted_five_percent_is_found(tmp_path: Path, factor: float, outcome: str) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100), TORCH: around(50)})
    b = write_run(tmp_path / "b", {NUMPY: around(100 * factor), TORCH: around(50)}, run_id="run2")
    found = compare(a, b)
    assert [case.outcome for case in found.cases] == [outcome, "same"]
    assert found.cases[0].ratio.value == pytest.approx(1 / factor)


def test_a_changed_copy_of_a_run_is_not_taken_for_the_run_itself(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {NUMPY: around(105)})  # the same run id
    assert not compare(a, b).identical
    assert one(compare(a, b)).outcome == "slower"


def test_noise_wider_than_the_margin_is_undecided_and_says_so(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: [90, 100, 115]})
    b = write_run(tmp_path / "b", {NUMPY: [95, 100, 118]}, run_id="run2")
    case = one(compare(a, b))
    assert case.outcome == "undecided"
    assert "reaches beyond ±2.0%" in case.reason


def test_one_process_decides_nothing(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: [100]})
    b = write_run(tmp_path / "b", {NUMPY: [300]}, run_id="run2")
    case = one(compare(a, b))
    assert case.outcome == "undecided"
    assert math.isnan(case.ratio.low)
    assert case.ratio.value == pytest.approx(1 / 3)
    assert compare(a, b).slower_than(0.05) == []
    assert compare(a, b).perhaps_slower_than(0.05) == [case]


def test_of_many_equal_cases_the_gate_fails_by_chance_no_more_often_than_the_table_calls_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def run(name: str) -> Run:
        cases = [a_case(f"style_{number}") for number in range(20)]
        times = {case: (100 * np.exp(random.normal(0, 0.04, 3))).tolist() for case in cases}
        return write_run(tmp_path / name, times, run_id=name)

    failed = sum(bool(compare(run(f"a{turn}"), run(f"b{turn}")).slower_than(0.0)) for turn in range(15))
    assert failed <= 3  # each interval by itself: in 8 of 20 and more


def test_the_gate_finds_what_is_surely_slower(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {NUMPY: around(120)}, run_id="run2")
    found = compare(a, b)
    assert found.slower_than(0.05) == list(found.cases)
    assert found.slower_than(0.3) == found.perhaps_slower_than(0.05) == []


def test_times_of_runs_that_did_not_both_read_the_core_are_those_of_their_own_tables(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {NUMPY: around(150)}, run_id="run2")
    case = one(compare(a, b))
    assert case.b_us == pytest.approx(mean_us(trusted(b.measurements)))
    assert case.a_us / case.b_us == pytest.approx(case.ratio.value)


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("learning_rate", replace(NUMPY, problem=replace(NUMPY.problem, learning_rate=1e-9))),
        ("seed", replace(NUMPY, problem=replace(NUMPY.problem, seed=7))),
        ("oracle", replace(NUMPY, oracle="adam")),
    ],
)
def test_cases_that_differ_in_more_than_the_run_get_no_ratio(tmp_path: Path, column: str, other: Case) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    plan = {**MACHINE["plan"], "seed": other.problem.seed}
    b = write_run(tmp_path / "b", {other: around(100)}, run_id="run2", plan=plan)
    found = compare(a, b)
    assert found.cases == ()
    assert column in found.excluded[0].reason


@pytest.mark.parametrize("heaps", [("script", "kept"), (None, "script"), (None, "warm"), ("kept", "kept")])
def test_a_case_on_another_heap_gets_no_ratio_and_a_run_that_does_not_say_was_on_a_warm_one(
    tmp_path: Path, heaps: tuple[str | None, str]
) -> None:
    runs = [write_run(tmp_path / str(at), {NUMPY: around(100)}, run_id=f"run{at}") for at in (0, 1)]
    a, b = (
        replace(run, measurements=run.measurements.assign(heap=heap)) for run, heap in zip(runs, heaps, strict=True)
    )
    found = compare(a, b)
    alike = (heaps[0] or "warm") == heaps[1]
    assert len(found.cases) == alike
    assert [one.reason for one in found.excluded] == (
        [] if alike else [f"not the same work: heap is {heaps[0] or 'warm'} and {heaps[1]}"]
    )


def test_a_run_with_kept_variables_gets_no_ratio_with_a_clean_one(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {NUMPY: around(100)}, run_id="run2", environment="kept")
    assert "environment is clean and kept" in compare(a, b).excluded[0].reason


def test_another_thread_count_is_another_case(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(tmp_path / "b", {replace(NUMPY, threads=2): around(60)}, run_id="run2")
    assert [each.reason for each in compare(a, b).excluded] == ["only in A", "only in B"]


def test_a_style_wrong_in_one_block_gets_no_ratio_and_counts_as_broken(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    wrong = a_measurement(NUMPY, 9, status="wrong", reason="loss differs", values={})
    b = write_run(tmp_path / "b", {NUMPY: around(50)}, run_id="run2", others=[wrong])
    found = compare(a, b)
    assert found.cases == ()
    assert found.excluded[0].reason == "B: wrong: loss differs"
    assert found.excluded[0].broken


def test_cases_skipped_on_both_sides_are_not_worth_a_line(tmp_path: Path) -> None:
    skipped = [a_measurement(TORCH, 0, status="skipped", reason="no torch", values={})]
    a = write_run(tmp_path / "a", {NUMPY: around(100)}, others=skipped)
    b = write_run(tmp_path / "b", {NUMPY: around(100)}, run_id="run2", others=skipped)
    assert compare(a, b).excluded == ()


def test_a_sure_difference_within_the_margin_is_the_same() -> None:
    assert outcome_of(Ratio(1.01, 1.005, 1.015, 9), 0.02)[0] == "same"
    assert outcome_of(Ratio(1.01, 1.005, 1.015, 9), 0.0)[0] == "faster"
    assert outcome_of(Ratio(0.97, 0.96, 0.99, 9), 0.02)[0] == "slower"
    assert outcome_of(Ratio(1.0, 0.97, 1.01, 9), 0.02)[0] == "undecided"


def test_welch_agrees_with_scipy() -> None:
    from scipy.stats import ttest_ind

    a, b = [100.0, 103.0, 99.0, 101.0, 100.5], [92.0, 95.0, 91.0]
    interval = ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval(0.95)
    ratio = welch_ratio(a, b)
    assert (ratio.low, ratio.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_its_interval_covers_the_truth_in_95_of_100_unequal_samples() -> None:
    rng = np.random.default_rng(0)
    hits, trials = 0, 600
    for _ in range(trials):
        ratio = welch_ratio(np.exp(rng.normal(0.1, 0.01, 10)).tolist(), np.exp(rng.normal(0.0, 0.04, 5)).tolist())
        hits += ratio.low <= math.exp(0.1) <= ratio.high
    assert 0.92 <= hits / trials <= 0.98


@given(positive, positive)
def test_exchanging_the_sides_inverts_the_ratio(a: list[float], b: list[float]) -> None:
    there, back = welch_ratio(a, b), welch_ratio(b, a)
    assert math.log(there.value) == pytest.approx(-math.log(back.value), abs=1e-9)
    assert there.low <= there.value <= there.high


@given(positive, st.floats(0.01, 100))
def test_a_constant_factor_is_the_ratio(a: list[float], factor: float) -> None:
    assert welch_ratio([factor * time for time in a], a).value == pytest.approx(factor)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_time_that_is_no_time_gives_no_ratio(bad: float) -> None:
    assert math.isnan(welch_ratio([100.0, bad], [100.0, 101.0]).value)


def test_what_differs_is_named_and_what_changes_in_every_run_is_not(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100)})
    b = write_run(
        tmp_path / "b", {NUMPY: around(100)}, run_id="run2", created="2027-01-01T00:00:00Z", cpu_model="another",
        packages={"numpy": "2.5.0", "torch": "2.13.0"},
    )  # fmt: skip
    found = [(each.kind, each.name, each.a, each.b) for each in differences(a, b)]
    assert found == [("machine", "cpu_model", "a processor", "another"), ("versions", "numpy", "2.4.6", "2.5.0")]


def test_a_changed_style_is_a_difference_and_an_absent_one_is_not(tmp_path: Path) -> None:
    plans = [{**MACHINE["plan"], "styles": styles} for styles in ({"x": "1", "y": "2"}, {"x": "3"})]
    a, b = (write_run(tmp_path / str(i), {NUMPY: around(100)}, plan=plan) for i, plan in enumerate(plans))
    assert [(each.kind, each.name) for each in differences(a, b)] == [("styles", "x")]


def pair(folder: Path, factor: float, **changes: object) -> tuple[str, str]:
    write_run(folder / "a", {NUMPY: around(100), TORCH: around(50)})
    write_run(folder / "b", {NUMPY: around(100 * factor), TORCH: around(50)}, run_id="run2", **changes)  # type: ignore[arg-type]
    return str(folder / "a"), str(folder / "b")


@pytest.mark.parametrize(
    ("factor", "limit", "code"), [(1.08, "5%", 1), (1.04, "5%", 0), (1.0, "0%", 3), (0.9, "5%", 0)]
)
@pytest.mark.usefixtures("handlers")
def test_the_gate_fails_only_when_a_case_is_slower_by_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, limit: str, code: int
) -> None:
    assert main(["compare", *pair(tmp_path, factor), "--fail-if-slower", limit]) == code
    assert ("fails: numpy_manual" in capsys.readouterr().err) == (code == 1)


@pytest.mark.usefixtures("handlers")
def test_the_gate_fails_for_a_case_that_broke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", {NUMPY: around(100)})
    crash = a_measurement(NUMPY, 0, status="crashed", reason="signal 11", values={})
    write_run(tmp_path / "b", {}, run_id="run2", others=[crash])
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--fail-if-slower", "5%"]) == 1
    assert "signal 11" in capsys.readouterr().err


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("crashes", "code"), [(9, 1), (1, 0)])
def test_the_gate_fails_for_a_case_that_broke_in_most_blocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], crashes: int, code: int
) -> None:
    write_run(tmp_path / "a", {NUMPY: [100.0, 101.0, 100.5], TORCH: around(50)})
    others = [a_measurement(NUMPY, 3 + at, status="crashed", reason="signal 11", values={}) for at in range(crashes)]
    write_run(tmp_path / "b", {NUMPY: [100.0, 101.0, 100.5], TORCH: around(50)}, run_id="run2", others=others)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--fail-if-slower", "5%"]) == code
    said = f"crashed in {crashes} of {3 + crashes} blocks: signal 11"
    assert (said in capsys.readouterr().err) == (code == 1)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("status", "reason"), [("skipped", "no torch"), ("ok", "not the same work"), ("", "only in A")]
)
def test_the_gate_names_what_a_measured_and_nobody_could_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, reason: str
) -> None:
    write_run(tmp_path / "a", {NUMPY: around(100), TORCH: around(50)})
    times = {NUMPY: around(100), **({replace(TORCH, oracle="adam"): around(50)} if status == "ok" else {})}
    skipped = [a_measurement(TORCH, 0, status="skipped", reason="no torch", values={})] if status == "skipped" else []
    write_run(tmp_path / "b", times, run_id="run2", others=skipped)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--fail-if-slower", "5%"]) == 0
    told = capsys.readouterr().err
    assert re.search(f"not judged, though A measured it: .*{reason}.*: 1 case: {TORCH.style}", told)


@pytest.mark.usefixtures("handlers")
def test_json_holds_every_case_and_stays_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair(tmp_path, 1.08)
    main(["compare", a, b, "--json", "--fail-if-slower", "5%"])
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told["counts"]["slower"] == 1
    assert len(told["failed"]) == 1
    assert told["cases"][0]["high"] < 1 / 1.05


@pytest.mark.usefixtures("handlers")
def test_the_table_says_that_one_run_was_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, _b = pair(tmp_path, 1.0)
    assert main(["compare", a, a, "--fail-if-slower", "0%"]) == 0
    told = capsys.readouterr().out
    assert "one and the same run" in told
    assert "B is the same in 2 of 2 cases" in told


@pytest.mark.usefixtures("handlers")
def test_several_kinds_of_difference_forbid_a_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", *pair(tmp_path, 1.3, cpu_model="another", python="3.12.1")])
    assert "no proof of any one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scope", "day"], "no such scope"),
        (["--fail-if-slower", "0.05"], "give a percentage"),
        (["--fail-if-slower", "nan%"], "give a percentage"),
        (["--margin", "-1%"], "give a percentage"),
        (["--chart", "x.pdf"], ".png or .svg"),
        (["--scope", "program"], "share no case"),
    ],
)
@pytest.mark.usefixtures("handlers")
def test_what_was_asked_wrongly_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert main(["compare", *pair(tmp_path, 1.0), *options]) == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1


@pytest.mark.usefixtures("handlers")
def test_the_chart_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    a, b = pair(tmp_path, 1.08)
    charts = [tmp_path / "1.svg", tmp_path / "2.svg"]
    for chart in charts:
        assert main(["compare", a, b, "--chart", str(chart)]) == 0
    assert charts[0].read_bytes() == charts[1].read_bytes()
    assert b"<svg" in charts[0].read_bytes()


def test_the_summary_counts(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {NUMPY: around(100), TORCH: around(50)})
    b = write_run(tmp_path / "b", {NUMPY: around(80), TORCH: around(50)}, run_id="run2")
    assert summary(compare(a, b)) == "B is faster in 1 of 2 cases, the same in 1"
    assert str(NUMPY.key) == NUMPY.label


def drawn(random: np.random.Generator, cases: int, blocks: int, planted: float = 1.0) -> list[Compared]:
    """Compared cases of two runs of the same code with 1% of noise; the first takes `planted` times as long in B."""
    found = []
    for number in range(cases):
        a, b = np.exp(0.01 * random.standard_normal((2, blocks))) * [[100], [100 * (planted if number == 0 else 1)]]
        key = NUMPY.key._replace(style=f"style{number}")
        ratio, p = welch_ratio(a.tolist(), b.tolist()), welch_p(a.tolist(), b.tolist())
        found.append(Compared(key, 1.0, 1.0, blocks, blocks, ratio, p, True, False))
    return found


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_of_forty_equal_cases_one_is_called_in_at_most_one_comparison_of_twenty(blocks: int) -> None:
    random = np.random.default_rng(blocks)
    false = [
        any(one.outcome in ("faster", "slower") for one in judged(drawn(random, 40, blocks), 0.0)) for _ in range(300)
    ]
    assert np.mean(false) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_five_percent_in_one_of_forty_cases_is_found() -> None:
    random = np.random.default_rng(0)
    found = [judged(drawn(random, 40, 10, 1.05), 0.02)[0].outcome == "slower" for _ in range(300)]
    assert np.mean(found) >= 0.95


def test_a_machine_whose_clock_is_slower_in_b_makes_no_case_slower(tmp_path: Path) -> None:
    sides = []
    for name, speed in (("a", 1.0), ("b", 1.07)):
        run = write_run(tmp_path / name, {NUMPY: around(100 * speed), TORCH: around(200 * speed)}, run_id=name)
        times = run.measurements["latency_median_us"]
        us = 30.0 * speed
        rows = run.measurements.assign(reference_us=us, own_effect=0.0, latency_per_reference=times / us)
        sides.append(replace(run, measurements=rows))
    found = compare(*sides)
    assert [case.outcome for case in found.cases] == ["same", "same"]
    assert [case.ratio.value for case in found.cases] == pytest.approx([1, 1])


def test_shown_times_divide_into_the_shown_ratio(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / name, {NUMPY: around(us)}, run_id=name) for name, us in (("a", 100.0), ("b", 83.0)))
    case = one(compare(a, b))
    assert case.a_us / case.b_us == pytest.approx(case.ratio.value)


def test_welchs_p_agrees_with_scipy_and_knows_no_spread() -> None:
    random = np.random.default_rng(3)
    a, b = np.exp(0.02 * random.standard_normal(7)), np.exp(0.05 * random.standard_normal(4))
    assert welch_p(a.tolist(), b.tolist()) == pytest.approx(ttest_ind(np.log(a), np.log(b), equal_var=False).pvalue)
    assert welch_p([1.0, 1.0], [1.0, 1.0]) == 1
    assert welch_p([1.0, 1.0], [2.0, 2.0]) == 0
    assert math.isnan(welch_p([1.0], [2.0, 2.0]))


def test_a_run_from_before_the_neutral_reading_is_not_held_against_one_after_it_by_the_reference(
    tmp_path: Path,
) -> None:
    """What a case does to its own core is in the reference of the one and not of the other."""
    sides = []
    for name, own in (("a", 0.0), ("b", math.nan)):
        run = write_run(tmp_path / name, {NUMPY: around(100)}, run_id=name)
        times = run.measurements["latency_median_us"]
        rows = run.measurements.assign(reference_us=30.0, own_effect=own, latency_per_reference=times / 30.0)
        sides.append(replace(run, measurements=rows))
    assert not one(compare(*sides)).by_reference
    assert one(compare(sides[1], replace(sides[1], machine={"run_id": "c"}))).by_reference


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("margin", ["0.5%", "1.5%", "2%", "2.5%", "12.5%"])
def test_the_margin_that_is_shown_is_the_one_that_was_given(tmp_path: Path, capsys, margin: str) -> None:
    folder = str(write_run(tmp_path / "a", {NUMPY: around(100)}).folder)
    assert main(["compare", folder, folder, "--margin", margin]) == 0
    assert f"same ±{margin}" in capsys.readouterr().out
    wide = str(write_run(tmp_path / "b", {NUMPY: [90, 100, 115]}, run_id="run2").folder)
    main(["compare", folder, wide, "--fail-if-slower", margin])
    assert f"by more than {margin};" in capsys.readouterr().err


def test_a_time_of_a_is_that_of_its_tables_also_where_another_style_was_wrong(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", {NUMPY: around(100), TORCH: around(50)})
    rows, torch = run.measurements, run.measurements["style"] == TORCH.style
    us = np.where(torch, 40.0, 30.0) + rows["block"]
    rows = rows.assign(reference_us=us, own_effect=0.0, latency_per_reference=rows["latency_median_us"] / us)
    rows.loc[torch & (rows["block"] == 0), "status"] = "wrong"
    run = replace(run, measurements=rows)
    assert one(compare(run, run)).a_us == pytest.approx(mean_us(trusted(rows)), rel=1e-12)
