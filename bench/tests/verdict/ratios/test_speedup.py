"""Speedups: paired by block, against named baselines, and never for a style that is wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import CASE_COLUMNS
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.writer import measurement_row
from bench.tests.fakes import a_case, a_measurement
from bench.tests.runs import evidence_of
from bench.verdict.ratios.intervals import LAG_1, MORE, of_drift, paired_ratio, t_quantile
from bench.verdict.ratios.pairs import SCOPES
from bench.verdict.ratios.speedup import BASELINES, mostly_quiet, speedups

TIME = st.floats(1e-3, 1e6)
PAIRS = st.lists(st.tuples(TIME, TIME), min_size=2, max_size=12)


def ratio_of(pairs):
    before, after = zip(*pairs, strict=True)
    return paired_ratio(before, after)


@given(PAIRS)
def test_swapping_the_sides_turns_ratio_and_interval_over(pairs):
    before, after = zip(*pairs, strict=True)
    one, other = paired_ratio(before, after), paired_ratio(after, before)
    assert one.value == pytest.approx(1 / other.value, rel=1e-9)
    assert math.log(one.low) == pytest.approx(-math.log(other.high), abs=1e-6)
    assert math.log(one.high) == pytest.approx(-math.log(other.low), abs=1e-6)


@given(PAIRS, st.floats(1e-3, 1e3))
def test_the_unit_of_time_changes_neither_ratio_nor_interval(pairs, unit):
    before, after = zip(*pairs, strict=True)
    one = paired_ratio(before, after)
    scaled = paired_ratio([time * unit for time in before], [time * unit for time in after])
    for name in ("value", "low", "high"):
        assert math.log(getattr(scaled, name)) == pytest.approx(math.log(getattr(one, name)), abs=1e-6)


@given(PAIRS, st.floats(0.01, 100))
def test_a_contender_so_much_faster_has_so_much_more_speedup(pairs, factor):
    before, after = zip(*pairs, strict=True)
    one, faster = paired_ratio(before, after), paired_ratio(before, [time / factor for time in after])
    assert math.log(faster.value / one.value) == pytest.approx(math.log(factor), abs=1e-6)


@given(PAIRS)
def test_the_interval_holds_the_estimate(pairs):
    found = ratio_of(pairs)
    assert found.low * (1 - 1e-9) <= found.value <= found.high * (1 + 1e-9)
    assert found.blocks == len(pairs)


@given(PAIRS, st.permutations(range(12)))
def test_the_order_of_the_blocks_does_not_matter_but_their_pairing_does(pairs, order):
    shuffled = [pairs[index] for index in order if index < len(pairs)]
    one, other = ratio_of(pairs), ratio_of(shuffled)
    assert one.value == pytest.approx(other.value, rel=1e-9)
    assert math.log(one.high) == pytest.approx(math.log(other.high), abs=1e-6)


def test_drift_that_both_sides_share_leaves_the_interval_narrow():
    drifting = [100.0, 150.0, 80.0, 120.0]
    paired = paired_ratio(drifting, [time / 2 for time in drifting])
    assert paired.low == pytest.approx(2) == pytest.approx(paired.high)
    torn = paired_ratio(drifting, [time / 2 for time in reversed(drifting)])
    assert torn.high / torn.low > 1.5


def test_the_interval_is_students_of_the_logs():
    found = paired_ratio([2.0, 2.2, 1.9], [1.0, 1.0, 1.0])
    logs = [math.log(value) for value in (2.0, 2.2, 1.9)]
    mean = sum(logs) / 3
    spread = math.sqrt(sum((log - mean) ** 2 for log in logs) / 2)
    assert found.value == pytest.approx(math.exp(mean))
    assert found.high == pytest.approx(math.exp(mean + 4.302653 * spread / math.sqrt(3)), rel=1e-6)
    assert t_quantile(9) == pytest.approx(2.262157, rel=1e-6)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_a_time_that_is_none_makes_everything_nan(bad, side):
    times = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    times[side][1] = bad
    found = paired_ratio(times[0], times[1])
    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_one_block_has_a_ratio_but_no_interval_and_none_has_nothing():
    one, none = paired_ratio([3.0], [1.5]), paired_ratio([], [])
    assert one.value == pytest.approx(2)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert (none.blocks, math.isnan(none.value)) == (0, True)


def frame(*measurements) -> pd.DataFrame:
    rows = [measurement_row("run", one) for one in measurements]
    return pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))


def blocks(case, latencies, **changes):
    return [a_measurement(case, block, latency, **changes) for block, latency in enumerate(latencies)]


MANUAL = a_case("numpy_manual", dtype="float32")
IN_PLACE = a_case("numpy_in_place", dtype="float32")
TORCH = a_case("torch_tensors", dtype="float32", framework="torch")
TUTORIAL = a_case("numpy_manual", dtype="float64", threads=4)
GPU = a_case("torch_tensors", "cuda:0", dtype="float32", framework="torch")
ADAM = a_case("torch_optim_adam", dtype="float32", framework="torch", oracle="adam")
ADAM_GPU = a_case("torch_optim_adam", "cuda:0", dtype="float32", framework="torch", oracle="adam")


def by_names(found):
    return {(one.contender[0], one.contender[1], one.baseline, one.scope): one for one in found}


def test_each_case_meets_the_named_baselines_of_its_size():
    found = by_names(
        speedups(frame(*blocks(TUTORIAL, [400, 440]), *blocks(IN_PLACE, [100, 110]), *blocks(GPU, [10, 11])))
    )
    gpu = found["torch_tensors", "cuda:0", "tutorial", "iteration"]
    assert gpu.ratio.value == pytest.approx(40)
    assert gpu.baseline_case == TUTORIAL.key
    assert (gpu.baseline_us, gpu.contender_us) == pytest.approx((math.sqrt(400 * 440), math.sqrt(110)))
    assert found["torch_tensors", "cuda:0", "best-cpu", "iteration"].ratio.value == pytest.approx(10)
    assert {name for _, _, name, _ in found} <= set(BASELINES)
    assert {scope for _, _, _, scope in found} == {"iteration", "throughput"} < set(SCOPES)


def test_no_case_is_its_own_baseline():
    found = speedups(frame(*blocks(MANUAL, [100] * 3), *blocks(TORCH, [50] * 3)))
    assert all(one.contender != one.baseline_case for one in found)


def test_the_best_cpu_is_the_fastest_correct_float32_of_any_style():
    wrong = blocks(a_case("liar", dtype="float32"), [1] * 3, status="wrong", reason="constant loss")
    found = by_names(
        speedups(frame(*blocks(MANUAL, [100] * 3), *blocks(TORCH, [50] * 3), *blocks(GPU, [5] * 3), *wrong))
    )
    assert found["torch_tensors", "cuda:0", "best-cpu", "iteration"].baseline_case == TORCH.key


@pytest.mark.parametrize("status", ["wrong", "failed", "crashed", "timeout", "oom", "skipped"])
def test_only_what_is_ok_has_a_speedup_or_is_a_baseline(status):
    bad = blocks(TORCH, [1] * 3, status=status, reason="why")
    found = speedups(frame(*blocks(MANUAL, [100] * 3), *blocks(IN_PLACE, [80] * 3), *bad))
    assert found
    assert all(TORCH.key not in (one.contender, one.baseline_case) for one in found)


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_style_that_was_wrong_once_never_gets_a_speedup(block):
    rows = blocks(TORCH, [1] * 3)
    rows[block] = a_measurement(TORCH, block, status="wrong", reason="in the timed run: loss became nan")
    found = speedups(frame(*blocks(MANUAL, [100] * 3), *blocks(IN_PLACE, [80] * 3), *rows))
    assert found
    assert all(TORCH.key not in (one.contender, one.baseline_case) for one in found)


def test_adam_meets_only_itself():
    cases = (MANUAL, IN_PLACE, TORCH, TUTORIAL, ADAM, ADAM_GPU, GPU)
    found = speedups(frame(*[row for case in cases for row in blocks(case, [100] * 3)]))
    adam = [one for one in found if "adam" in str(one.contender[0]) or "adam" in str(one.baseline_case[0])]
    assert {(one.contender, one.baseline, one.baseline_case) for one in adam} == {(ADAM_GPU.key, "own", ADAM.key)}


def test_sizes_never_meet():
    large = a_case("torch_tensors", size=(16, 5, 4, 3), dtype="float32", framework="torch")
    found = speedups(frame(*blocks(MANUAL, [100] * 3), *blocks(large, [50] * 3)))
    assert found == []


def test_blocks_that_only_one_side_has_are_left_out():
    found = by_names(speedups(frame(*blocks(MANUAL, [100, 100, 100]), *blocks(GPU, [10, 10]))))
    assert found["torch_tensors", "cuda:0", "numpy-1", "iteration"].ratio.blocks == 2


def test_a_scope_that_was_not_measured_has_no_row():
    whole = {"latency_median_us": 1.0, "loop_seconds": 0.5, "program_seconds": 2.0}
    found = by_names(speedups(frame(*blocks(MANUAL, [1] * 2, values=whole), *blocks(GPU, [1] * 2, values=whole))))
    assert {scope for _, _, _, scope in found} == {"iteration", "loop", "program"}
    loop = found["torch_tensors", "cuda:0", "numpy-1", "loop"]
    assert loop.baseline_us == pytest.approx(0.5e6 / 500)


@given(st.permutations([1.0, 2.0, 3.0]), st.permutations([1.0, 2.0, 3.0]), st.sampled_from(["loop", "program"]))
def test_a_baseline_is_the_fastest_of_its_scope_among_those_that_were_measured_in_it(latencies, seconds, scope):
    cases = (MANUAL, IN_PLACE, replace(IN_PLACE, threads=2))
    rows = []
    for case, us, whole in zip(cases, latencies, seconds, strict=True):
        scopes = {} if us == 1.0 else {"loop_seconds": whole, "program_seconds": whole}
        rows += blocks(case, [us] * 3, values={"latency_median_us": us, "throughput_us": us, **scopes})
    whole = {"latency_median_us": 0.1, "throughput_us": 0.1, "loop_seconds": 0.5, "program_seconds": 2.0}
    evidence = evidence_of(frame(*rows, *blocks(GPU, [0.1] * 3, values=whole)))
    by_name = {(one.contender, one.baseline, one.scope): one for one in evidence.speedups}
    least = min(range(3), key=lambda at: math.inf if latencies[at] == 1.0 else seconds[at])
    assert by_name[GPU.key, "best-cpu", scope].baseline_case == cases[least].key
    assert evidence.baseline(GPU.problem.size, "best-cpu", scope)[0] == cases[least].key
    assert by_name[GPU.key, "best-cpu", "iteration"].baseline_case == cases[latencies.index(1.0)].key


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_case_is_noisy_only_where_fewer_than_half_of_its_blocks_or_than_three_are_quiet(noisy):
    quiet = len(noisy) - sum(noisy)
    assert mostly_quiet(pd.Series(noisy)) == (quiet >= min(len(noisy), max(3, len(noisy) / 2)))


@given(st.lists(st.tuples(st.floats(1, 1e3), st.floats(1, 1e3), st.booleans()), min_size=1, max_size=8))
def test_noise_widens_and_leaves_nothing_out_so_that_shown_times_divide_into_the_shown_ratio(triples):
    before, after, noisy = zip(*triples, strict=True)
    contender = [a_measurement(GPU, block, us, noisy=noisy[block]) for block, us in enumerate(after)]
    rows = [*blocks(MANUAL, before), *contender]
    one = next(one for one in speedups(frame(*rows)) if (one.scope, one.contender.device) == ("iteration", "cuda:0"))
    assert one.ratio.blocks == len(triples)
    assert one.baseline_us / one.contender_us == pytest.approx(one.ratio.value)


def test_a_noisy_speedup_says_so_and_a_row_has_every_column():
    rows = blocks(GPU, [10] * 4, noisy=True)
    (one, *_) = speedups(frame(*blocks(MANUAL, [100] * 4), *rows))
    assert one.noisy
    row = one.row()
    assert tuple(row[name] for name in CASE_COLUMNS) == one.contender
    assert row["speedup"] == one.ratio.value
    assert row["baseline_threads"] == 1


def autoregressions(random, many, blocks_, lag=LAG_1):
    """(many, blocks) of sd 1."""
    series = random.standard_normal((many, blocks_))
    series[:, 1:] *= math.sqrt(1 - lag**2)
    for block in range(1, blocks_):
        series[:, block] += lag * series[:, block - 1]
    return series


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("blocks_", [2, 3, 5, 10, 30])
def test_the_error_and_the_freedom_of_a_drift_are_those_of_simulated_ones(blocks_, read):
    series = autoregressions(np.random.default_rng(blocks_), 60_000, blocks_, MORE if read else LAG_1)
    inflation, freedom = of_drift(blocks_, read=read)
    variances = series.var(axis=1, ddof=1)
    assert inflation == pytest.approx(series.mean(axis=1).var() / variances.mean(), rel=0.04)
    assert freedom == pytest.approx(2 * variances.mean() ** 2 / variances.var(), rel=0.08)


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("blocks_", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.02])
def test_a_drift_puts_the_truth_below_the_interval_in_at_most_one_of_forty(blocks_, noise, read):
    """Of 2,000 runs each: 2.5% and three standard deviations, whatever the share of the drift in the spread."""
    random = np.random.default_rng([blocks_, read, round(100 * noise)])
    drift = 0.042 * autoregressions(random, 2000, blocks_, MORE if read else LAG_1)
    times = np.exp(drift + noise * random.standard_normal(drift.shape))
    found = [
        paired_ratio(one, np.ones(blocks_), drift=seen if read else seen * math.nan)
        for one, seen in zip(times, drift, strict=True)
    ]
    assert np.mean([one.low > 1 for one in found]) < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 2000)


@pytest.mark.parametrize("blocks_", [3, 5, 10, 20])
def test_a_drift_that_was_read_costs_a_steady_machine_nothing_worth_a_word(blocks_):
    """A reading of the reference resolves 0.15%, a process's time scatters by 1.5% on either side."""
    random = np.random.default_rng(blocks_)
    read = 0.0015 * random.standard_normal((500, blocks_))
    times = np.exp(read + 0.021 * random.standard_normal(read.shape))
    ones = np.ones(blocks_)
    widths = [
        math.log(paired_ratio(one, ones, drift=seen).high / paired_ratio(one, ones, drift=seen).low)
        / math.log(paired_ratio(one, ones).high / paired_ratio(one, ones).low)
        for one, seen in zip(times, read, strict=True)
    ]
    assert np.median(widths) < 1.03


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=30))
def test_a_drift_that_nobody_read_widens_the_interval_and_moves_nothing(logs):
    times, ones = np.exp(logs), [1.0] * len(logs)
    plain, unsure = paired_ratio(times, ones), paired_ratio(times, ones, drift=[math.nan] * len(logs))
    assert unsure.value == plain.value
    assert unsure.low <= plain.low * (1 + 1e-9)
    assert plain.high <= unsure.high * (1 + 1e-9)


@given(st.integers(0, 10**6), st.integers(4, 12))
def test_drift_that_was_read_adds_to_the_error_of_the_mean_and_none_leaves_the_interval(seed, blocks_):
    random = np.random.default_rng(seed)
    noise, drift = 0.01 * random.standard_normal(blocks_), np.cumsum(0.03 * random.standard_normal(blocks_))
    steady = paired_ratio(np.exp(noise), np.ones(blocks_), drift=np.zeros(blocks_))
    plain = paired_ratio(np.exp(noise), np.ones(blocks_))
    assert (steady.low, steady.high) == pytest.approx((plain.low, plain.high))
    moved = paired_ratio(np.exp(noise + drift), np.ones(blocks_), drift=drift)
    assert moved.own == pytest.approx(np.var(noise, ddof=1) / blocks_)
    assert moved.shared >= np.var(drift, ddof=1) / blocks_
    assert moved.value == paired_ratio(np.exp(noise + drift), np.ones(blocks_)).value


def test_the_drift_of_a_run_reaches_its_speedups_over_the_gpu_and_no_other():
    slower = [1.0, 1.04, 1.08, 1.05, 1.01, 0.97]

    def read(case, us):
        values = [
            {"reference_us": 30 * by, "own_effect": 0.0, "latency_median_us": us * by, "throughput_us": us * by}
            for by in slower
        ]
        return [a_measurement(case, block, values=one) for block, one in enumerate(values)]

    found = speedups(frame(*read(MANUAL, 500), *read(IN_PLACE, 400), *blocks(GPU, [10.0] * 6)))
    by_case = {(one.contender, one.baseline): one.ratio for one in found if one.scope == "iteration"}
    on_cpu, on_gpu = by_case[MANUAL.key, "best-cpu"], by_case[GPU.key, "best-cpu"]
    assert on_cpu.high / on_cpu.low == pytest.approx(1)
    assert on_gpu.high / on_gpu.low > 1.05


@given(st.lists(st.floats(1e-6, 1e15), min_size=2, max_size=4), st.floats(0.5, 0.9999))
def test_times_that_differ_without_measure_have_a_wide_interval_and_no_fault(times, confidence):
    one = paired_ratio(times, [1.0] * len(times), confidence, drift=[math.nan] * len(times))
    assert 0 <= one.low <= one.value * (1 + 1e-9)
    assert one.value * (1 - 1e-9) <= one.high < math.inf
