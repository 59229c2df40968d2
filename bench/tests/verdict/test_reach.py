"""Tests of bench.verdict.reach: the bound of a speedup nobody measured, its outcome, and faults it finds."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bounds.cards import all_cards, launches_of
from bench.bounds.least import BETTER
from bench.bounds.least import least as bound_of
from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tests.planted import MACHINE, SIDES, planted, planted_row
from bench.tests.runs import evidence_of
from bench.verdict.claim import (
    OUT_OF_REACH,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    Finding,
    Verdict,
    at_least,
    find_one,
    often,
)
from bench.verdict.contenders import BEST_GPU, BEST_GPU_TF32
from bench.verdict.judgement import Question, as_values, judgement_of
from bench.verdict.ratios.speedup import PRIMARY
from bench.verdict.reach import beaten, reach, upper_end_us

ON_CPU = [side for side in SIDES if side[1] == "cpu"]
ONE = ("numpy_in_place", "cpu", "float32", 1)
GPU = ("torch_tensors", "cuda:0", "float32", 1)


def least_us(card, *asked):
    found = bound_of(card, *asked)
    assert found is not None
    return found.us


def reached(*asked):
    found = reach(*asked)
    assert found is not None
    return found


def of_times(times, size=TUTORIAL_SIZE, sides=(ONE,)):
    rows = [planted_row(side, size, block, us) for side in sides for block, us in enumerate(times)]
    return evidence_of(pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)))


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.floats(1, 1e6), min_size=2, max_size=12),
    size=st.builds(Size, *[st.integers(1, 2000)] * 4),
    threshold=st.floats(0.1, 1e4),
    scope=st.sampled_from(["iteration", "throughput", "loop", "program"]),
)
def test_out_of_reach_exactly_where_the_upper_end_over_the_least_time_of_every_card_is_below(
    times, size, threshold, scope
):
    evidence = of_times(times, size)
    found = find_one(evidence, at_least(threshold), size, PRIMARY, BEST_GPU, scope)
    upper = upper_end_us(evidence, size, PRIMARY, scope)
    most = max(upper / least_us(card, size, "float32", scope) for card in all_cards())
    assert found.speedup is None
    assert found.reach is not None
    assert found.reach.best.at_most == most
    assert found.verdict.outcome == (OUT_OF_REACH if most < threshold else UNTESTED)
    assert [one.at_most for one in found.reach.cards] == sorted(
        (one.at_most for one in found.reach.cards), reverse=True
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 0.2), blocks=st.integers(2, 12))
def test_the_upper_end_lies_above_the_measured_time_and_covers_the_fastest_of_several(seed, noise, blocks):
    evidence = evidence_of(planted(ON_CPU, [TUTORIAL_SIZE], blocks=blocks, noise=noise, seed=seed))
    for scope in ("iteration", "throughput", "loop"):
        _case, us = evidence.baseline(TUTORIAL_SIZE, PRIMARY, scope)
        assert upper_end_us(evidence, TUTORIAL_SIZE, PRIMARY, scope) >= us * (1 - 1e-9)


def test_the_upper_end_covers_a_true_time_that_drifts_as_often_as_it_says():
    draw, truth, covered = np.random.default_rng(7), 100.0, 0
    for _ in range(300):
        drift = [draw.standard_normal() * 0.05]
        for _block in range(7):
            drift.append(0.67 * drift[-1] + draw.standard_normal() * 0.05 * math.sqrt(1 - 0.67**2))
        covered += upper_end_us(of_times(truth * np.exp(drift)), TUTORIAL_SIZE, PRIMARY, "iteration") >= truth
    assert covered >= 0.95 * 300


def test_one_block_has_no_upper_end_and_stays_untested():
    found = find_one(of_times([100.0]), at_least(None), TUTORIAL_SIZE, PRIMARY, BEST_GPU, "iteration")
    assert (found.verdict.outcome, found.reach) == (UNTESTED, None)


def test_where_a_gpu_was_measured_the_measurement_answers_and_not_the_bound():
    evidence = evidence_of(planted([ONE, GPU], [TUTORIAL_SIZE], blocks=3))
    for contender in (BEST_GPU, BEST_GPU_TF32):
        found = find_one(evidence, at_least(None), TUTORIAL_SIZE, PRIMARY, contender, "iteration")
        assert found.reach is None
        assert found.verdict.outcome in (REFUTED, UNTESTED)


def test_an_eager_style_that_is_asked_about_is_bounded_by_its_launches():
    table = planted([ONE], [TUTORIAL_SIZE], blocks=3)
    skipped = {**planted_row(GPU, TUTORIAL_SIZE, 0, 1.0), "status": "skipped", "latency_median_us": math.nan}
    table = pd.concat([table, pd.DataFrame([skipped], columns=list(MEASUREMENT_COLUMNS))], ignore_index=True)
    evidence = evidence_of(table)
    asked, best = (reached(evidence, TUTORIAL_SIZE, PRIMARY, who, "iteration") for who in ("torch_tensors", BEST_GPU))
    nvidia = {one.card: one for one in asked.cards}["H200 SXM"]
    assert nvidia.least_us == pytest.approx(launches_of()["torch_tensors"] * 1.3 / BETTER)
    assert nvidia.at_most == pytest.approx(best.eager.at_most)
    assert best.eager.at_most < best.best.at_most


def test_an_unknown_contender_has_no_bound():
    assert reach(of_times([1.0, 1.1]), TUTORIAL_SIZE, PRIMARY, "torch_nowhere", "iteration") is None


@given(
    outcomes=st.lists(st.sampled_from([SUPPORTED, REFUTED, UNDECIDED, UNTESTED, OUT_OF_REACH]), min_size=6, max_size=6)
)
def test_often_is_never_answered_against_what_is_still_open(outcomes):
    findings = [
        Finding(size, PRIMARY, "iteration", None, None, math.nan, Verdict(one))
        for size, one in zip(SWEEP_SIZES, outcomes, strict=True)
    ]
    no = outcomes.count(REFUTED) + outcomes.count(OUT_OF_REACH)
    outcome = often(findings).outcome
    assert (outcome in (REFUTED, OUT_OF_REACH)) == (no > 3 and outcomes.count(SUPPORTED) < 3)
    assert outcome != OUT_OF_REACH or REFUTED not in outcomes
    assert (outcome == UNTESTED) <= ({*outcomes} <= {UNTESTED, OUT_OF_REACH})


@settings(max_examples=40, deadline=None)
@given(below=st.floats(0.01, 0.99), model=st.sampled_from(["NVIDIA H200", "Tesla T4", "A card of tomorrow"]))
def test_a_measured_time_below_its_cards_bound_is_a_fault_that_is_said(below, model):
    bounds = [
        least_us(card, TUTORIAL_SIZE, "float32", "iteration", 18) for card in all_cards() if card.is_called(model)
    ]
    bound = min(bounds or [least_us(card, TUTORIAL_SIZE, "float32", "iteration", 18) for card in all_cards()])
    machine = {**MACHINE, "devices": {"cuda:0": {"model": model}}}
    for factor, faults in ((below, 1), (1 / below, 0)):
        rows = [planted_row(GPU, TUTORIAL_SIZE, block, bound * factor) for block in range(3)]
        rows = [{**row, "throughput_us": 1e9, "loop_seconds": 1e3, "program_seconds": 1e3} for row in rows]
        evidence = evidence_of(pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine=machine)
        assert len(beaten(evidence)) == faults


def test_json_says_the_bound_of_every_card_and_that_none_was_beaten():
    values = as_values(judgement_of(evidence_of(planted([ONE], blocks=3)), Question(at_least(None))))
    main = [one for one in values["findings"] if (one["baseline"], one["scope"]) == (PRIMARY, "iteration")]
    assert len(main) == len(SWEEP_SIZES)
    for one in main:
        assert len(one["reach"]["cards"]) == len(all_cards())
        assert one["reach"]["cards"][0]["at_most"] > 0
    assert values["bound_beaten"] == []
