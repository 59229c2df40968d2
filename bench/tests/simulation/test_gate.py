"""The evidence for the gate: who is tried, what is counted, and that a run that was cut short goes on."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import chain
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.presets import PRESETS, SWEEP_SIZES
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.errors import TableError
from bench.simulation import gate, trials
from bench.simulation.arithmetic import LATE
from bench.simulation.gate_table import BOUNDS, COLUMNS, TABLE, bound_rows, late_rows, lie_rows, merge, summary
from bench.simulation.subjects import (
    fewest_honest,
    fewest_lies,
    is_lie_at,
    late,
    late_unchanging,
    lying,
    others,
    slow,
    telling,
    unchanging,
)
from bench.tables.csv_files import read_rows
from bench.verification import expected, storage
from bench.verification.deviation import FLOAT32, TIMED, Deviation, fault, reason, worst
from implementations import find_implementations

SMALL = Size(16, 250, 25, 2)
ORDER = (trials.TIMED, trials.REHEARSAL, trials.OPENING)  # of the stages of a round that `brief` has


def few(oracle):
    """Subjects of a stage that takes a moment: an honest order of summation, and two lies."""
    kept = [one for one in (*telling(oracle), *lying(oracle)) if one.case.problem.dtype == "float32"]
    return [one for one in kept if one.case.style == "permuted" or one.lie in ("skipped w2", "bf16 compute")]


@pytest.fixture
def brief(monkeypatch):
    """Three stages of a few subjects; the seeds of the parts that were run."""
    ran = []
    sizes = {trials.REHEARSAL: TUTORIAL_SIZE, trials.OPENING: TUTORIAL_SIZE.scaled(2), trials.TIMED: SMALL}
    stages = [gate.Stage(phase, "sgd", size, few, 0.5) for phase, size in sizes.items()]
    run_part = gate.run_part

    def counted(stage, seeds):
        ran.append((stage.phase, list(seeds)))
        return run_part(stage, seeds)

    monkeypatch.setattr(gate, "stages", lambda: iter(stages))
    monkeypatch.setattr(gate, "run_part", counted)
    return ran


@pytest.fixture
def drawn(monkeypatch):
    """Trials of no time: honest ones stray by less than is allowed, lies by more."""

    def try_subject(phase, subject, size, seed):
        excess = np.random.default_rng(seed).uniform(0, 1) + (0 if subject.honest else 1)
        return [Deviation(3 * excess, 3.0, "drawn", "root")], not subject.honest

    monkeypatch.setattr(gate, "try_subject", try_subject)


def test_honest_and_lies_are_counted_and_a_second_run_adds_what_is_missing_only(tmp_path, brief):
    path = tmp_path / TABLE
    gate.measure(tmp_path, 3, 77, lambda _text: None)
    rows = read_rows(path, COLUMNS)
    assert brief == [(phase, [seed]) for seed in (77, 78) for phase in ORDER]
    assert [(row["phase"], row["lie"]) for row in rows[:3]] == [
        ("timed", ""), ("timed", "skipped w2"), ("timed", "bf16 compute")]  # fmt: skip
    assert {row["wrong"] for row in rows if row["lie"]} == {"1"}
    assert {row["wrong"] for row in rows if not row["lie"]} == {"0"}
    assert all(float(row["least_excess"]) > 1 for row in rows if row["lie"])
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:10]))  # as if it had been stopped after its first round
    brief.clear()
    gate.measure(tmp_path, 3, 77, lambda _text: None)
    assert path.read_text() == whole
    assert brief == [(phase, [78]) for phase in ORDER]


def test_when_the_time_is_up_no_part_begins_and_the_readme_says_how_many_are_left(tmp_path, brief, drawn):
    given = ["--seeds", "3", "--seeds-from", "77", "--out", str(tmp_path)]
    gate.measure(tmp_path, 1, 77, lambda _text: None)
    brief.clear()
    assert gate.main([*given, "--minutes", "0"]) == 0
    assert not brief
    assert "(3 of its parts are not run yet: the same command goes on)" in (tmp_path / "README.md").read_text()
    assert gate.main(given) == 0
    assert brief == [(phase, [78]) for phase in ORDER]
    assert "not run yet" not in (tmp_path / "README.md").read_text()


def test_processes_have_a_core_each_as_far_as_there_are_so_many(monkeypatch):
    kept = []
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {5, 2, 9}, raising=False)
    monkeypatch.setattr("os.sched_setaffinity", lambda _process, cores: kept.append(cores), raising=False)
    numbers: SimpleQueue[int] = get_context().SimpleQueue()
    for number in range(4):
        numbers.put(number)
        gate.keep_to_a_core(numbers)
    assert kept == [{2}, {5}, {9}, {2}]


def test_parts_are_put_together_as_one_row_a_subject_and_count_as_run(tmp_path, brief, drawn):
    gate.measure(tmp_path, 3, 77, lambda _text: None)
    path = tmp_path / TABLE
    before = read_rows(path, COLUMNS)
    after = merge(path)
    assert [dict(one) for one in after] == read_rows(path, COLUMNS)
    assert len(after) == len(before) / 2
    for one in after:
        pair = [row for row in before if all(row[name] == one[name] for name in ("phase", "size", "style", "lie"))]
        assert (one["first_seed"], one["last_seed"], one["seeds"]) == ("77", "78", "2")
        assert float(one["most_excess"]) == max(float(row["most_excess"]) for row in pair)
        assert float(one["least_excess"]) == min(float(row["least_excess"]) for row in pair)
        end = min if one["lie"] else max
        assert all(float(one[name]) == end(float(row[name]) for row in pair) for name in BOUNDS if one[name])
    brief.clear()
    gate.measure(tmp_path, 3, 77, lambda _text: None)
    assert not brief
    with pytest.raises(TableError, match="choose another --out"):
        gate.measure(tmp_path, 9, 78, lambda _text: None)


def test_the_readme_says_how_many_were_tried_and_by_which_command(tmp_path, brief, drawn):
    assert gate.main(["--seeds", "1", "--seeds-from", "5", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "README.md").read_text()
    assert "\n0 of 3 honest trials were called wrong, 0 of 2 lies got past the whole gate on any seed;" in text
    assert f"`python -m bench.simulation.gate --seeds 1 --seeds-from 5 --processes 1 --out {tmp_path}`" in text


def a_row(phase, size, *, lie="", seeds=10, wrong=0, **other):
    whose = {"phase": phase, "oracle": "sgd", "size": size, "group": "some", "dtype": "float32", "precision": "ieee"}
    counts = {"style": "blas", "lie": lie, "seeds": str(seeds), "strayed": str(wrong), "wrong": str(wrong)}
    return dict.fromkeys(COLUMNS, "") | whose | counts | {"least_excess": "2", "most_excess": "3"} | other


@given(missed=st.lists(st.integers(0, 10), min_size=5, max_size=5))
def test_a_lie_gets_past_the_gate_at_most_as_often_as_past_its_best_phase_at_a_size(missed):
    places = [("rehearsal", "64x1"), ("opening", "1x1"), ("timed", "1x1"), ("opening", "2x2"), ("timed", "2x2")]
    rows = [
        a_row(phase, size, lie="half batch", wrong=10 - some)
        for (phase, size), some in zip(places, missed, strict=True)
    ]
    (found,) = lie_rows(rows)
    first, one_opening, one_timed, two_opening, two_timed = missed
    most = max(min(first, one_opening, one_timed), min(first, two_opening, two_timed))
    assert found[-1] == f"{most} of 10"
    assert found[3] == f"{20 - one_opening - two_opening} of 20 (2)"


def test_lies_that_begin_late_are_counted_by_the_pace_of_their_run_and_not_among_those_past_the_whole_gate():
    late_lie = {"lie": "late: stops", "group": "late"}
    rows = [
        a_row("timed", "1x1", wrong=7, **late_lie),
        a_row("timed", "1x1", wrong=3, **late_lie | {"group": "late_unchanging"}),
        a_row("on a GPU", "2x2", wrong=9, **late_lie),
        a_row("timed", "1x1", lie="half batch", wrong=10),
        a_row("timed", "1x1"),
    ]
    assert list(late_rows(rows[:3])) == [["stops", "sgd", "10 of 20", "", "9 of 10"]]
    text = summary([one | {"cpu_model": "one"} for one in rows], "command")
    assert "\n0 of 10 honest trials were called wrong, 0 of 1 lies got past the whole gate" in text
    assert "| stops | sgd | 10 of 20 |  | 9 of 10 |" in text


def test_what_honest_trials_strayed_by_stands_against_the_tolerance_that_the_gate_has():
    rows = [a_row("timed", "1x1", root="1e-05"), a_row("timed", "2x2", root="0.0002", oracle="dynamic")]
    (found,) = bound_rows(rows)
    assert found[:4] == ["timed", "float32", "all", "20"]
    assert found[4 + BOUNDS.index("root")] == f"0.0002 of {TIMED[FLOAT32].root:g}"
    of_adam = a_row("timed", "1x1", root="0.001", oracle="adam")
    in_rehearsals = [one | {"phase": "rehearsal", "dtype": "bfloat16"} for one in (*rows, of_adam)]
    nets = [each[2] for each in bound_rows(in_rehearsals)]
    assert nets == ["others", "adam"]


def kinds(subjects):
    return {(one.case.style, one.case.problem.dtype, one.case.precision) for one in subjects}


def test_every_size_of_a_preset_and_every_style_is_tried_in_every_phase():
    stages = list(gate.stages())
    for phase in (trials.OPENING, trials.TIMED):
        sizes = {stage.size for stage in stages if stage.phase == phase}
        assert sizes >= {size for preset in PRESETS.values() for leg in preset.legs for size in leg.sizes}
    for phase in (trials.REHEARSAL, trials.OPENING, trials.TIMED):
        tried = {one.case.style for stage in stages if stage.phase == phase for one in stage.subjects(stage.oracle)}
        assert tried >= {
            name for name, style in find_implementations().items() if "cpu" in style.devices and not style.missing
        }
    for oracle in ("sgd", "adam", "dynamic"):
        groups = [telling(oracle), others(oracle), slow(oracle)]
        assert sum(map(len, groups)) == len(set.union(*map(kinds, groups)))
        assert all(one.honest for one in (*chain(*groups), *fewest_honest(oracle)))
        assert not any(one.honest for one in (*lying(oracle), *fewest_lies(oracle)))
    assert fewest_honest("sgd")
    assert fewest_lies("sgd")


@pytest.mark.parametrize("size", gate.FOLLOWED)
@pytest.mark.parametrize("phase", trials.PACES)
def test_where_the_oracle_follows_to_the_end_an_x_that_stays_is_tried_and_lies_that_begin_late(phase, size):
    counts, checked = trials.plan(phase, size, "sgd")
    assert counts.steps > 10 * LATE
    groups = {stage.subjects for stage in gate.stages() if (stage.phase, stage.size) == (phase, size)}
    assert (groups >= {telling, unchanging, late, late_unchanging}) == (checked == counts.steps)
    for oracle in gate.ORACLES:
        staying = unchanging(oracle)
        assert kinds(staying) <= kinds((*telling(oracle), *others(oracle)))
        assert len(staying) > 1
        assert all(one.device.negate is None for one in (*staying, *late_unchanging(oracle)))
        assert not any(one.honest for one in late(oracle))


def test_tf32_where_aligned_is_no_lie_where_nothing_is_aligned():
    (aligned,) = (one for one in lying("sgd") if one.lie == "TF32 where aligned")
    assert not is_lie_at(aligned, SMALL)
    assert is_lie_at(aligned, TUTORIAL_SIZE)
    assert is_lie_at(lying("sgd")[0], SMALL)


@given(seeds=st.integers(1, 5000), first=st.integers(0, 10**6))
def test_parts_hold_every_seed_of_a_stage_once_and_some_of_every_stage_come_before_the_rest(seeds, first):
    found: dict[gate.Stage, list[int]] = {}
    after = []  # how many stages have been begun when one is gone on with
    for stage, part in gate.parts(seeds, first):
        if stage in found and not gate.cheap(stage):
            after.append(len(found))
        found.setdefault(stage, []).extend(part)
    stages = list(gate.stages())
    assert all(found[stage] == list(range(first, first + math.ceil(stage.share * seeds))) for stage in stages)
    assert set(after) <= {len(stages)}


@pytest.mark.parametrize("size", [SMALL, TUTORIAL_SIZE, Size(8, 40, 12, 3)])
@pytest.mark.parametrize("phase", trials.PACES)
@given(seed=st.integers(0, 10**6))
def test_x_changes_in_a_tried_run_as_in_a_real_one_and_otherwise_in_its_second_turn(phase, size, seed):
    counts, checked = trials.plan(phase, size, "sgd")
    one, other = (trials.draw_flips(phase, size, "sgd", seed, turn) for turn in (0, 1))
    assert one != other
    assert {stretch.first for stretch in counts.stretches if stretch.first < checked} <= {flip.step for flip in one}
    assert all(flip.step < checked for flip in one)
    inside = [range(one.first + one.untimed + 1, one.first + one.count) for one in counts.stretches if one.batch]
    if phase == trials.ON_GPU:
        assert not any(flip.step in batch for flip in one for batch in inside)
    assert trials.draw_flips(phase, size, "sgd", seed, None) == []


@pytest.mark.parametrize(
    ("strays", "wrong"),
    [("", False), ("0", False), ("01", False), ("02", False), ("12", False), ("012", True)],
)
def test_who_strays_in_the_timed_run_runs_twice_more_and_is_wrong_who_always_strays(monkeypatch, strays, wrong):
    turns = []

    def run_once(_phase, _subject, _size, _seed, turn):
        turns.append(turn)
        return [fault("strays")] if str(turn) in strays else []

    monkeypatch.setattr(trials, "run_once", run_once)
    subject = telling("sgd")[0]
    found, verdict = trials.follow_run(trials.TIMED, subject, SMALL, 3)
    assert verdict == wrong
    assert bool(found) == ("0" in strays)
    assert turns == next((list(range(turn + 1)) for turn in range(3) if str(turn) not in strays), [0, 1, 2])


@pytest.mark.parametrize("subject", unchanging("sgd"), ids=lambda one: one.case.style)
def test_updates_too_small_to_store_accuse_nobody_where_a_loss_levels_off(subject):
    seed = random.randrange(10**6)
    found, wrong = trials.follow_run(trials.TIMED, subject, gate.LEVEL_SIZES[0], seed)
    assert not wrong, (seed, reason(found))
    assert worst(found) < 1, seed


@pytest.mark.parametrize("phase", [trials.LONG, trials.ON_GPU])
def test_a_run_of_thousands_of_iterations_accuses_nobody_where_a_loss_levels_off(phase):
    """Where x changes between batches alone an oracle that stores in float64 called honest runs wrong on every seed."""
    (subject,) = (one for one in telling("sgd") if one.case.style == "permuted" and one.case.problem.dtype == "float32")
    seed = random.randrange(10**6)
    found, wrong = trials.follow_run(phase, subject, gate.LEVEL_SIZES[1], seed)
    assert not wrong, (seed, reason(found))
    assert worst(found) < 1, seed


@pytest.mark.parametrize("size", gate.FEW_SIZES)
@pytest.mark.parametrize("style", ["torch_tensors", "numpy_in_place", "permuted"])
def test_a_first_loss_of_few_values_and_long_sums_accuses_nobody(style, size):
    kept = (one for one in telling("sgd") if one.case.problem.dtype == "float32")
    subject = next(one for one in kept if one.case.style == style)
    for seed in random.sample(range(10**6), 5):
        found, wrong = trials.open_run(subject, size, seed)
        assert not wrong, (seed, reason(found))
        assert worst(found) < 3, seed


@pytest.mark.parametrize("style", ["float32 masters", "float64 masters", "truncated", "rounded"])
def test_one_sample_learned_by_heart_in_two_iterations_accuses_nobody(style):
    """Of the rounding of its products, which is more than what is left of its loss."""
    (subject,) = (one for one in telling("sgd") if one.case.style == style)
    for seed in random.sample(range(10**6), 10):
        found, wrong = trials.open_run(subject, gate.FEW_SIZES[0], seed)
        assert not wrong, (seed, reason(found))


@pytest.mark.parametrize("lie", ["late: stops training", "late: skipped w2", "skipped w1"])
def test_bfloat16_that_stops_late_or_leaves_a_weight_is_wrong_at_a_size_of_the_presets(lie):
    (subject,) = (
        one for one in (*late("sgd"), *lying("sgd")) if (one.lie, one.case.problem.dtype) == (lie, "bfloat16")
    )
    seed = random.randrange(10**6)
    assert reason(trials.run_once(trials.TIMED, subject, SWEEP_SIZES[1], seed, 0)) is not None, seed


@pytest.mark.parametrize("phase", [trials.REHEARSAL, trials.OPENING])
@pytest.mark.parametrize("oracle", gate.ORACLES)
def test_bfloat16_whose_first_weight_never_trains_is_wrong_in_every_net(oracle, phase):
    """Of the dynamic net's many numbers few move in an opening, nearly the same ones in every order of summation."""
    (subject,) = (one for one in lying(oracle) if (one.lie, one.case.problem.dtype) == ("skipped w1", "bfloat16"))
    seed = random.randrange(10**6)
    assert trials.try_subject(phase, subject, TUTORIAL_SIZE, seed)[1], seed


def test_an_oracle_that_stores_in_float64_would_accuse_an_honest_style_there(monkeypatch):
    monkeypatch.setitem(storage.STORED, "float32", np.asarray)
    monkeypatch.setattr(expected, "TWINS", 0)
    trials.followed.cache_clear()
    subject = next(one for one in unchanging("sgd") if one.case.style == "permuted")
    try:
        runs = [trials.run_once(trials.TIMED, subject, gate.LEVEL_SIZES[0], seed, 0) for seed in range(4)]
    finally:
        trials.followed.cache_clear()
    assert any((reason(found) or "").startswith("weight 1: half of the hidden units") for found in runs)


@pytest.mark.parametrize("name", ["float64 masters", "float32 masters"])
def test_who_keeps_weights_in_a_wider_dtype_than_asked_is_right_though_it_ends_elsewhere(name, monkeypatch):
    """Updates of less than half a bit are lost to who stores them in the case's dtype, and add up in a wider one."""
    (subject,) = (one for one in telling("sgd") if one.case.style == name)
    subject = replace(subject, device=replace(subject.device, negate=None))
    seed = random.randrange(10**6)
    assert not trials.follow_run(trials.TIMED, subject, gate.LEVEL_SIZES[0], seed)[1], seed
    monkeypatch.setattr(expected.Expected, "exact", property(lambda self: self.reference))
    monkeypatch.setattr(expected.Expected, "twins", lambda _self, **_wide: ())
    runs = [trials.run_once(trials.TIMED, subject, gate.LEVEL_SIZES[0], seed, turn) for turn in range(3)]
    assert any("is not where the oracle ends" in (reason(found) or "") or "half of" in (reason(found) or "")
               for found in runs)  # fmt: skip
