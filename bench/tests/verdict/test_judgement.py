"""What leads: which case is called the fastest, and what a run says whose cases are unlike those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.charts.drawing.words import work_words
from bench.charts.ladder import card_words
from bench.report.run_tables import first_sheet
from bench.report.verdict import sentence
from bench.tests.fakes import a_case, a_measurement
from bench.tests.runs import around, write_run
from bench.verdict.claim import TUTORIAL_CLAIM, UNDECIDED
from bench.verdict.decomposition import decompose
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import (
    Question,
    best_of_each,
    crossovers_of,
    fastest_on_cpu,
    judgement_of,
    leads,
    style_words,
)

NUMPY = a_case("numpy_manual", size=TUTORIAL_SIZE)
TORCH = a_case("torch_tensors", framework="torch", dtype="float32", size=TUTORIAL_SIZE)
ON_GPU = replace(TORCH, device="cuda:0")
DEVICES = {"devices": {"cpu": {"model": "a processor"}, "cuda:0": {"model": "a GPU"}, "cuda:1": {"model": "a GPU"}}}


def of(folder: Path, times: Mapping[Case, Sequence[float]], **more: Any) -> Evidence:
    return Evidence.of(write_run(folder / "a run", times, **more))


def in_dtype(case: Case, dtype: str) -> Case:
    return replace(case, problem=replace(case.problem, dtype=dtype))


def at(case: Case, size: Size) -> Case:
    return replace(case, problem=replace(case.problem, **size._asdict()))


def test_the_fastest_cpu_style_is_the_case_behind_the_baseline_of_that_name(tmp_path: Path) -> None:
    lucky = a_case("torch_nn", framework="torch", dtype="float32", size=TUTORIAL_SIZE)
    bfloat16 = in_dtype(TORCH, "bfloat16")
    evidence = of(tmp_path, {NUMPY: around(600), TORCH: around(170), bfloat16: around(100), lucky: [50.0]})
    assert fastest_on_cpu(evidence, TUTORIAL_SIZE) == evidence.baseline(TUTORIAL_SIZE, "best-cpu", "iteration")[0]
    assert "torch_tensors float32, 1 thread: 170 us" in sentence(judgement_of(evidence, Question(TUTORIAL_CLAIM)))


def test_the_best_of_a_style_is_its_float32_and_another_arithmetic_is_named(tmp_path: Path) -> None:
    tf32, bfloat16 = replace(ON_GPU, precision="tf32"), in_dtype(ON_GPU, "bfloat16")
    evidence = of(tmp_path, {TORCH: around(170), ON_GPU: around(60), tf32: around(40), bfloat16: around(30)})
    best = best_of_each([one for one in evidence.by_iteration() if one.baseline == "best-cpu"])
    assert [one.contender.arithmetic for one in best if not one.contender.on_cpu] == ["float32"]
    assert "60.0" in str(first_sheet(evidence).rows)
    assert "30.0" not in str(first_sheet(evidence).rows)
    assert [style_words(case.key) for case in (TORCH, NUMPY, tf32, bfloat16)] == [
        "torch_tensors", "numpy_manual float64", "torch_tensors float32 tf32", "torch_tensors bfloat16"
    ]  # fmt: skip


@pytest.mark.parametrize("other", [replace(ON_GPU, precision="tf32"), in_dtype(ON_GPU, "bfloat16")])
def test_a_gpu_without_a_float32_time_leaves_the_cpus_own_answer(tmp_path: Path, other: Case) -> None:
    evidence = of(tmp_path, {NUMPY: around(600), TORCH: around(170), other: around(60)}, **DEVICES)
    assert [one.speedup.contender.on_cpu for one in leads(evidence) if one.speedup] == [True]
    assert card_words(evidence).startswith("No GPU was measured in float32 by iteration; torch_tensors on 1 thread")


def test_a_gpu_whose_styles_were_all_wrong_is_there_and_nothing_is_bounded(tmp_path: Path) -> None:
    wrong = [a_measurement(ON_GPU, block, status="wrong", reason="weights stray") for block in range(4)]
    evidence = of(tmp_path, {NUMPY: around(600), TORCH: around(170)}, others=wrong, **DEVICES)
    said = sentence(judgement_of(evidence, Question(TUTORIAL_CLAIM)))
    assert "wrong in 4 of 4 blocks: weights stray" in said
    assert "published figures" not in said


def test_a_size_beyond_the_grid_is_named_and_leaves_often_undecided(tmp_path: Path) -> None:
    size = Size(256, 784, 512, 10)
    judgement = judgement_of(
        of(tmp_path, {at(TORCH, size): around(6000), at(ON_GPU, size): [60.0, 61.0, 59.5, 60.3]}),
        Question(TUTORIAL_CLAIM),
    )
    assert judgement.verdict.outcome == UNDECIDED
    assert "none of the 6 sizes of the grid measured, of others 1 supported: at 256x784x512x10" in sentence(judgement)


def test_of_one_block_a_size_no_size_is_called_the_highest(tmp_path: Path) -> None:
    times = {at(case, size): [us] for case, us in ((TORCH, 300.0), (ON_GPU, 60.0)) for size in SWEEP_SIZES}
    times[at(ON_GPU, SWEEP_SIZES[-1])] = [3.0]
    assert "highest" not in sentence(judgement_of(of(tmp_path, times), Question(TUTORIAL_CLAIM)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.2, 0.5, 1.3, 4.0, 80.0]), min_size=2, max_size=len(SWEEP_SIZES)))
def test_a_title_over_sizes_is_true_of_each_size(ratios: list[float]) -> None:
    times: dict[Case, list[float]] = {}
    for size, ratio in zip(SWEEP_SIZES, ratios, strict=False):
        times |= {at(TORCH, size): around(1000), at(ON_GPU, size): around(1000 / ratio)}
    with TemporaryDirectory() as place:
        evidence = of(Path(place), times)
    found = leads(evidence)
    words = work_words(found, crossovers_of(evidence, Question(TUTORIAL_CLAIM, found[0].baseline)))
    faster, fifty = words.removeprefix("A GPU is ").split(", ")
    for said, target in ((faster, 1.0), (fifty, 50.0)):
        reached = [ratio >= target for ratio in ratios]
        assert "perhaps" not in said
        assert "surely" not in said
        if "nowhere" in said:
            assert not any(reached)
        elif "at every size" in said:
            assert all(reached)
        elif " of " in said and "sizes" in said:
            assert f"at {sum(reached)} of {len(reached)} sizes" in said
        else:  # from somewhere on
            first = reached.index(True)
            assert all(reached[first:])


@given(st.floats(0.02, 0.3), st.sampled_from([60.0, 48.0]))
@settings(max_examples=10, deadline=None)
def test_a_title_over_sizes_is_as_sure_as_their_intervals(spread: float, ratio: float) -> None:
    times: dict[Case, list[float]] = {}
    for size in SWEEP_SIZES:
        times |= {at(TORCH, size): [1000.0] * 3}
        times |= {at(ON_GPU, size): [1000 / ratio * factor for factor in (1 / (1 + spread), 1.0, 1 + spread)]}
    with TemporaryDirectory() as place:
        evidence = of(Path(place), times)
    found = leads(evidence)
    words = work_words(found, crossovers_of(evidence, Question(TUTORIAL_CLAIM, found[0].baseline)))
    (low, high), *others = {(one.speedup.ratio.low, one.speedup.ratio.high) for one in found if one.speedup}
    assert not others
    assert ("perhaps 50x" in words) == (low < 50 <= ratio)
    assert ("nowhere surely 50x" in words) == (ratio < 50 <= high)
    assert ("perhaps faster" in words) == (low < 1)


def test_of_two_gpus_the_decomposition_stays_on_the_faster(tmp_path: Path) -> None:
    graph = replace(TORCH, style="torch_cuda_graph", device="cuda:1")
    times = {NUMPY: 600, in_dtype(NUMPY, "float32"): 400, TORCH: 170, ON_GPU: 60, replace(ON_GPU, device="cuda:1"): 50}
    found = decompose(of(tmp_path, {case: around(us) for case, us in times.items()} | {graph: around(20)}))
    assert found is not None
    assert found.factors[-1].ratio.value == pytest.approx(50 / 20)


def test_in_another_scope_the_fastest_cpu_style_is_that_scopes(tmp_path: Path) -> None:
    other = a_case("torch_nn", framework="torch", dtype="float32", size=TUTORIAL_SIZE)
    slow_in_a_batch = [
        a_measurement(TORCH, block, values={"latency_median_us": us, "throughput_us": 3 * us, "flops": 1})
        for block, us in enumerate(around(170))
    ]
    evidence = of(tmp_path, {NUMPY: around(600), other: around(200)}, others=slow_in_a_batch)
    said = sentence(judgement_of(evidence, Question(TUTORIAL_CLAIM, scope="throughput")))
    assert "the fastest CPU style (torch_nn float32, 1 thread: 180 us an iteration by throughput)" in said
    assert "torch_tensors" in sentence(judgement_of(evidence, Question(TUTORIAL_CLAIM)))


def test_a_contender_whose_fastest_case_is_the_baseline_is_not_held_against_itself(tmp_path: Path) -> None:
    on_two = replace(TORCH, threads=2)
    evidence = of(tmp_path, {NUMPY: around(600), TORCH: around(250), on_two: around(170)})
    said = sentence(judgement_of(evidence, Question(TUTORIAL_CLAIM, contender="torch_tensors")))
    assert "torch_tensors cpu float32 2 threads is the baseline best-cpu itself" in said
