"""Tests of bench.verdict.decomposition: the product is the headline, and no link is invented."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bench.cases.problem import TUTORIAL_SIZE
from bench.report.sheet import print_sheet
from bench.report.verdict_tables import decomposition_sheet
from bench.tests.planted import MACHINE, SIDES, planted
from bench.tests.runs import evidence_of
from bench.verdict.chain import DEVICE, DTYPE, FRAMEWORK, LAUNCH, PAGE_FAULTS, TEMPORARIES, THREADS
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.decomposition import ENVIRONMENT, decompose
from bench.verdict.judgement import Question, as_values, judgement_of

HERE = [TUTORIAL_SIZE]
ALL = tuple(SIDES)
AS_WRITTEN = ("numpy_manual", "cpu", "float64", 1)
SHELL = {"OPENBLAS_CORETYPE": "Haswell"}


def without(*gone: tuple[str, str, str, int]):
    return [side for side in ALL if side not in gone]


def slowed(factor: float = 1.25, blocks: int = 5, **changes: Any) -> pd.DataFrame:
    """The tutorial's numpy as found, so much slower than planted."""
    rows = planted([AS_WRITTEN], HERE, blocks, seed=1)
    return rows.assign(latency_median_us=rows["latency_median_us"] * factor, environment="as found", **changes)


def with_kept(table: pd.DataFrame, factor: float, dtypes: Collection[str] = ("float64",)) -> pd.DataFrame:
    """The same, and in these dtypes the tutorial's numpy on a heap that is kept, so many times as fast."""
    written = table[table["style"] == "numpy_manual"]
    more = [
        written.assign(dtype=dtype, style="numpy_kept", latency_median_us=written["latency_median_us"] / factor)
        for dtype in dtypes
    ]
    return pd.concat([table, *more], ignore_index=True)


@settings(max_examples=30)
@given(
    st.sets(st.sampled_from(ALL), min_size=1),
    st.integers(1, 3),
    st.integers(0, 3),
    st.sets(st.sampled_from(["float64", "float32"])),
)
def test_the_factors_multiply_to_the_headline_whatever_was_measured(sides, blocks, blocks_as_found, kept):
    table = with_kept(planted(sorted(sides), HERE, blocks), 1.2, kept)
    found = decompose(evidence_of(table, as_found=slowed(blocks=blocks_as_found)))
    if AS_WRITTEN not in sides:
        assert found is None
    elif found is not None:
        assert math.prod(factor for _, factor in found.waterfall()) == pytest.approx(found.headline.value, rel=1e-12)
        measured = {side[:3] for side in sides} | {("numpy_kept", "cpu", dtype) for dtype in kept}
        assert all(one.after[:3] in measured and one.before[:3] in measured for one in found.factors)
        assert all(one.after == other.before for one, other in zip(found.factors, found.factors[1:], strict=False))


def test_the_planted_factors_are_found():
    found = decompose(evidence_of(planted(sizes=HERE, noise=0.0)))
    assert found is not None
    factors = dict(found.waterfall())
    assert factors[f"{PAGE_FAULTS} + {TEMPORARIES}"] == pytest.approx(2.5)
    assert factors[DTYPE] == pytest.approx(2.0)
    assert factors[f"{THREADS} + {FRAMEWORK}"] == pytest.approx(0.8)
    assert factors[LAUNCH] == pytest.approx(1.0)
    assert found.unmeasured == (PAGE_FAULTS, THREADS)
    assert found.on_gpu


@given(st.floats(0.5, 3))
def test_page_faults_are_what_the_scripts_heap_costs_over_one_that_is_kept(factor):
    found = decompose(evidence_of(with_kept(planted(sizes=HERE, noise=0.0), factor)))
    assert found is not None
    first, second = found.factors[:2]
    assert (first.label, first.before.style, first.after.style) == (PAGE_FAULTS, "numpy_manual", "numpy_kept")
    assert first.ratio.value == pytest.approx(factor)
    assert (second.label, second.after.style) == (TEMPORARIES, "numpy_in_place")
    assert second.ratio.value == pytest.approx(2.5 / factor)


def test_where_only_float32_was_measured_on_a_kept_heap_the_dtype_goes_first():
    table = with_kept(planted(without(("numpy_in_place", "cpu", "float64", 1)), HERE), 1.2, ["float32"])
    single = table[(table["style"] == "numpy_manual")].assign(dtype="float32")
    found = decompose(evidence_of(pd.concat([table, single], ignore_index=True)))
    assert found is not None
    assert [one.label for one in found.factors[:3]] == [DTYPE, PAGE_FAULTS, TEMPORARIES]


def test_without_a_gpu_it_ends_at_the_best_cpu_and_says_so():
    found = decompose(evidence_of(planted([side for side in ALL if side[1] == "cpu"], HERE)))
    assert found is not None
    assert not found.on_gpu
    assert found.end[:2] == ("numpy_in_place", "cpu")
    assert found.unmeasured == (PAGE_FAULTS, THREADS, DEVICE, LAUNCH)


def test_a_link_that_was_not_measured_is_merged_into_the_next_under_both_names():
    found = decompose(evidence_of(planted(without(("numpy_in_place", "cpu", "float64", 1)), HERE)))
    assert found is not None
    assert found.waterfall()[0][0] == f"{PAGE_FAULTS} + {TEMPORARIES} + {DTYPE}"
    assert PAGE_FAULTS in found.unmeasured


def test_a_last_link_that_was_not_measured_is_left_out():
    found = decompose(evidence_of(planted(without(("torch_autograd", "cuda:0", "float32", 1)), HERE)))
    assert found is not None
    assert found.waterfall()[-1][0] == DEVICE
    assert LAUNCH in found.unmeasured


def test_blocks_that_a_case_lacks_are_left_out_of_every_factor():
    table = planted(sizes=HERE)
    table = table[~((table["device"] == "cuda:0") & (table["block"] > 2))]
    found = decompose(evidence_of(table))
    assert found is not None
    assert {one.ratio.blocks for one in found.factors} == {3}


def test_cases_without_a_common_block_still_multiply_but_have_no_interval():
    table = planted(sizes=HERE, blocks=2)
    gpu = table["device"] == "cuda:0"
    found = decompose(evidence_of(table[gpu == (table["block"] == 1)]))
    assert found is not None
    assert math.prod(factor for _, factor in found.waterfall()) == pytest.approx(found.headline.value, rel=1e-12)
    assert math.isnan(found.headline.low)


@pytest.mark.parametrize("fastest", [1, 2])
def test_a_link_that_stays_at_one_case_has_no_interval_since_nothing_was_measured(fastest):
    """[1.00, 1.00] would say that the number of threads was found to change nothing."""
    table = planted([AS_WRITTEN, ("numpy_in_place", "cpu", "float32", 1)], HERE, blocks=5, noise=0.02)
    more = table.assign(threads=2)
    slow = (more["style"] == "numpy_in_place") == (fastest == 1)
    more["latency_median_us"] *= np.where(slow, 1.5, 0.5)
    table = pd.concat([table, more], ignore_index=True)
    found = decompose(evidence_of(table))
    assert found is not None
    threads = next((one for one in found.factors if one.label == THREADS), None)
    assert threads is not None
    assert threads.chosen == (fastest == 2)
    to = Console(width=150, record=True)
    print_sheet(to, decomposition_sheet(found))
    said = to.export_text()
    assert (
        said.count("[same case]") == sum(one.before == one.after for one in found.factors) == fastest
    )  # the framework too
    assert "[1.00, 1.00]" not in said


def test_a_noisy_case_is_told():
    table = planted(sizes=HERE)
    table.loc[table["style"] == "numpy_manual", "noisy"] = True
    found = decompose(evidence_of(table))
    assert found is not None
    assert found.noisy


def test_the_environment_is_the_first_factor_and_the_headline_starts_as_found():
    table = planted(sizes=HERE, noise=0.0)
    clean, found = decompose(evidence_of(table)), decompose(evidence_of(table, as_found=slowed()))
    assert clean is not None
    assert found is not None
    first = found.factors[0]
    assert (first.label, first.before, first.after) == (ENVIRONMENT, found.start, found.start)
    assert first.ratio.value == pytest.approx(1.25, rel=0.01)
    assert first.ratio.low < first.ratio.value < first.ratio.high
    assert found.headline.value == pytest.approx(first.ratio.value * clean.headline.value, rel=1e-12)
    assert found.factors[1:] == clean.factors
    assert found.start_words == "numpy_manual cpu float64 1 thread as found"
    assert clean.start_words == "numpy_manual cpu float64 1 thread"
    assert (found.unmeasured, found.end) == (clean.unmeasured, clean.end)


def test_a_reference_product_that_the_variables_slow_too_hides_nothing():
    def with_reference(rows: pd.DataFrame, us: float) -> pd.DataFrame:
        return rows.assign(reference_us=us, latency_per_reference=rows["latency_median_us"] / us)

    table = planted(sizes=HERE, noise=0.0)
    on_one = with_reference(table[table["device"] == "cpu"], 30.0)
    found = decompose(evidence_of(on_one, as_found=with_reference(slowed(), 60.0)))
    assert found is not None
    assert found.factors[0].ratio.value == pytest.approx(1.25, rel=0.01)


def test_the_environment_is_paired_by_block():
    shared = planted(sizes=HERE, noise=0.1)
    rows = shared[(shared["style"] == "numpy_manual")]
    rows = rows.assign(latency_median_us=rows["latency_median_us"] * 1.25, environment="as found")
    found = decompose(evidence_of(shared, as_found=rows[rows["block"] > 1]))
    assert found is not None
    assert found.factors[0].ratio.low == pytest.approx(1.25)
    assert {one.ratio.blocks for one in found.factors} == {3}
    assert found.headline.blocks == 3


def test_it_starts_on_the_thread_count_that_was_measured_as_found():
    both = planted(sizes=HERE)
    more = both[both["style"] == "numpy_manual"].assign(threads=2)
    table = pd.concat([both[both["style"] == "numpy_manual"], more])
    for threads in (1, 2):
        found = decompose(evidence_of(table, as_found=slowed(threads=threads)))
        assert found is not None
        assert (found.start[4], [one.label for one in found.factors]) == (threads, [ENVIRONMENT])


def test_numpy_that_was_wrong_as_found_is_no_factor():
    rows = slowed()
    rows.loc[rows["block"] == 2, ["status", "reason"]] = ["wrong", "a sign"]
    machine = {**MACHINE, "distorting_variables": SHELL}
    found = decompose(evidence_of(planted(sizes=HERE), as_found=rows, machine=machine))
    assert found is not None
    assert not found.as_found
    assert found.environment == (
        "Environment: not in the product; OPENBLAS_CORETYPE=Haswell was removed, and numpy as found was wrong in "
        "1 of 5 blocks: a sign."
    )


def test_noise_as_found_is_told():
    found = decompose(evidence_of(planted(sizes=HERE), as_found=slowed(noisy=True)))
    assert found is not None
    assert found.noisy


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"distorting_variables": {}}, "factor 1; no variable that distorts was set, every case ran as found."),
        ({"distorting_variables": {"OMP_NUM_THREADS": "2"}}, "factor 1; no variable that distorts was set"),
        ({"distorting_variables": SHELL, "environment": "kept"}, "no factor; every case ran as found, with OPENBLAS_"),
        ({"distorting_variables": SHELL}, "OPENBLAS_CORETYPE=Haswell was removed, and numpy as found was not measured"),
        ({}, "no factor; which variables were removed is not recorded."),
    ],
)
def test_a_chain_without_the_environment_says_why(machine, words):
    table = planted(sizes=HERE)
    found = decompose(evidence_of(table, machine={**MACHINE, **machine}))
    assert found is not None
    assert found.environment.startswith("Environment: ")
    assert words in found.environment
    assert not found.as_found
    assert ENVIRONMENT not in found.unmeasured


def test_the_verdict_prints_the_link_and_its_variables_and_json_holds_both(capsys):
    machine = {**MACHINE, "distorting_variables": SHELL}
    judgement = judgement_of(
        evidence_of(planted(sizes=HERE), machine=machine, as_found=slowed()), Question(TUTORIAL_CLAIM)
    )
    print_sheet(Console(width=150), decomposition_sheet(judgement.decomposition))
    lines = capsys.readouterr().out.splitlines()
    (link,) = (line for line in lines if line.startswith(ENVIRONMENT))
    (product,) = (line for line in lines if line.startswith("product"))
    assert "numpy_manual as found " in link
    assert "numpy_manual cpu float64 1 thread" in link
    assert "numpy_manual as found " in product
    assert "Environment: as found there was OPENBLAS_CORETYPE=Haswell, which every other case ran without." in lines
    values = as_values(judgement)["decomposition"]
    assert values["factors"][0]["label"] == ENVIRONMENT
    assert "OPENBLAS_CORETYPE=Haswell" in values["environment"]


@pytest.mark.parametrize("noise", [0.002, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_link_from_the_cpu_to_a_gpu_has_the_interval_that_the_same_two_cases_have_elsewhere(noise, seed):
    """With the drift that they do not share; of two cases on the CPU there is none."""
    evidence = evidence_of(planted(ALL, HERE, 4, noise=noise, seed=seed))
    found = decompose(evidence)
    assert found is not None
    same = {(one.baseline_case, one.contender): one.ratio for one in evidence.speedups if one.scope == "iteration"}
    seen = {one.before.on_cpu != one.after.on_cpu for one in found.factors if (one.before, one.after) in same}
    assert True in seen
    for one in found.factors:
        other = same.get((one.before, one.after))
        assert other is None or (one.ratio.low, one.ratio.high) == pytest.approx((other.low, other.high))
    whole = next(
        one for one in evidence.by_iteration() if (one.baseline_case, one.contender) == (found.start, found.end)
    )
    chosen = evidence.as_the_best(whole).ratio
    assert (found.headline.low, found.headline.high) == pytest.approx((chosen.low, chosen.high))
    assert chosen.low < whole.ratio.low  # the fastest of several


@given(st.integers(3, 9), st.integers(0, 10**6))
@settings(max_examples=10)
def test_one_lucky_block_is_no_link(blocks, seed):
    """Of a case that failed in all others; it has no headline either."""
    table = planted(sizes=HERE, blocks=blocks, seed=seed)
    ends = decompose(evidence_of(table))
    lucky = ends.end  # type: ignore[union-attr]
    mine = (table["style"] == lucky.style) & (table["device"] == lucky.device) & (table["dtype"] == lucky.dtype)
    table.loc[mine, "latency_median_us"] /= 3
    found = decompose(evidence_of(table[~mine | (table["block"] == 1)]))
    assert found is not None
    assert found.end != lucky
    assert {one.ratio.blocks for one in found.factors if one.before != one.after} == {blocks}


def test_numpy_that_was_measured_as_found_in_one_of_several_blocks_is_no_factor():
    """It would leave the whole chain one block, and no interval."""
    machine = {**MACHINE, "distorting_variables": SHELL}
    found = decompose(evidence_of(planted(sizes=HERE), as_found=slowed(blocks=1), machine=machine))
    assert found is not None
    assert not found.as_found
    assert "numpy as found was measured in 1 block alone." in found.environment
    assert found.headline.low > 0
