"""The known cheats: each is a style, and what its rows come to is told without a process."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from bench.adversary import cheating
from bench.adversary.attacks import judge_attacks
from bench.adversary.cheating import (
    BESIDE,
    CHEATS,
    CHEATS_TABLE,
    MOST_BLOCKS,
    SIZES,
    Caught,
    caught,
    judge_cheats,
    plan_of,
    read_cheats,
    summary,
)
from bench.adversary.cheats import BASES, Cheat
from bench.adversary.lies import HONEST, write_style
from bench.adversary.shortcuts import IN_A_BATCH
from bench.cases.case import Case
from bench.cases.challenge import Flip
from bench.cases.measurement import Measurement
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.machine.frameworks import open_device
from bench.tables.csv_files import read_as, write_as
from bench.tests.fakes import a_measurement
from bench.verification import gate
from bench.verification.oracle import reference

SIZE = SIZES[1]
CHEAT = Cheat("cheat", "KB", "cheats", HONEST)


@pytest.mark.parametrize("cheat", [*CHEATS, *BASES], ids=lambda one: one.name)
def test_every_cheat_is_a_style_with_a_source_and_no_other_than_its_own(cheat, tmp_path):
    body = cheat.body.replace("{place}", str(tmp_path))
    style = write_style(tmp_path, body, cheat.name, cheat.before.replace("{pace}", "1e-4"), framework=cheat.framework)
    compile(style.source.read_text(encoding="utf-8"), str(style.source), "exec")
    assert style.name == cheat.name
    assert bool(cheat.source) == (cheat in CHEATS)
    assert (cheat.body + cheat.before != HONEST) == (cheat.name != "honest")


def test_every_cheat_has_a_name_of_its_own():
    assert len({one.name for one in (*CHEATS, *BASES)}) == len((*CHEATS, *BASES))


RIGHT = (
    "three_at_once_noticing", "gram_noticing", "gram_noticing_paced", "gram_in_batches", "gram_in_batches_later",
    "gram_in_programs", "gram_in_programs_paced", "lazy_item", "slow_warm_up", "ahead_after_a_pause",
)  # fmt: skip


@pytest.mark.parametrize(
    "cheat",
    [one for one in CHEATS if one.name.removesuffix("_on_two_threads") in RIGHT],
    ids=lambda one: one.name,
)
def test_a_cheat_that_notices_what_x_is_trains_as_it_should_and_only_its_times_betray_it(cheat, tmp_path):
    if cheat.framework == "torch":
        pytest.importorskip("torch")
    body = cheat.body.replace(IN_A_BATCH, "True").replace("steps == 500", "True")  # as where it cheats
    style = write_style(tmp_path, body, cheat.name, cheat.before.replace("{pace}", "1e-6"), framework=cheat.framework)
    chance = Random()
    size = Size(chance.randint(3, 20), chance.randint(5, 30), chance.randint(3, 9), chance.randint(1, 4))
    problem = Problem(*size, "float64", stable_learning_rate(size), seed=chance.randrange(2**32))
    steps = sorted(chance.sample(range(40), 6))
    flips = [Flip(step, 0, size.n, 1, size.d_in, twice=chance.random() < 1 / 3) for step in steps]
    steady = cheat.name == "ahead_after_a_pause"  # right as long as no iteration waits
    case = Case(cheat.name, "cpu", problem, framework=cheat.framework)
    arrays = problem.arrays()
    trained = gate.run(
        case, style.train, open_device(cheat.framework, "cpu"), problem, arrays, 40, [] if steady else flips
    )
    expected = reference("sgd", arrays, problem.learning_rate, 40, [] if steady else flips)
    np.testing.assert_allclose([trained.losses[t] for t in range(40)], expected.losses, rtol=1e-8)
    for got, wanted in zip(trained.weights, expected.weights, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)


def test_a_cheat_runs_on_the_threads_that_it_is_a_cheat_of(tmp_path):
    plan = plan_of(tmp_path, [one for one in CHEATS if one.framework == "numpy"], SIZE, 1e-6)
    assert plan is not None
    asked = {case.style: case.threads for case in plan.cases}
    assert (
        {name for name, threads in asked.items() if threads == 2}
        == {one.name for one in CHEATS if one.name.endswith("_on_two_threads") and one.framework == "numpy"}
        != set()
    )
    assert set(asked.values()) == {1, 2}


def row(style: str, block: int, us: float, status: str = "ok", **values: float) -> Measurement:
    case = Case(style, "cpu", Problem(*SIZE), framework="numpy")
    found = a_measurement(case, block, us, status=status)
    return replace(
        found, values={**found.values, **values} if status == "ok" else {}, reason="" if status == "ok" else "why"
    )


def test_a_gain_is_over_the_honest_row_of_its_block_at_the_speed_that_the_core_had():
    rows = [
        row(BESIDE, 0, 100.0, latency_per_reference=4.0, loop_seconds=1.0),
        row(BESIDE, 1, 200.0, latency_per_reference=4.0, loop_seconds=2.0),
        row("cheat", 0, 100.0, latency_per_reference=2.0, loop_seconds=1.0),
        row("cheat", 1, 50.0, "wrong"),
    ]
    found = caught(CHEAT, SIZE, rows)
    assert (found.rows, found.caught, found.ended, found.reason, found.held) == (2, 1, "wrong", "why", 0)
    assert (found.latency_gain, found.throughput_gain, found.loop_gain, found.program_gain) == (2.0, 1.0, 1.0, None)
    assert not found.right
    assert caught(CHEAT, SIZE, [*rows[:2], *(row("cheat", block, 9.0, "wrong") for block in (0, 1))]).right
    held = caught(CHEAT, SIZE, [row(BESIDE, 0, 9.0, "wrong"), row("cheat", 0, 9.0, "wrong")])
    assert (held.right, judge_cheats([held]).met) == (True, False)


@pytest.mark.parametrize("gains", [(1.5, 1.0, 1.0), (0.9, 1.0, 1.6, 1.01, 0.99)])
def test_one_disturbed_block_makes_no_gain(gains):
    rows = [row(BESIDE, block, 100.0 * each) for block, each in enumerate(gains)]
    rows += [row("cheat", block, 100.0) for block in range(len(gains))]
    assert caught(CHEAT, SIZE, rows).right


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("faster", [1.0, 1.3])
def test_a_loop_timed_once_a_process_gains_only_where_its_least_time_does(seed, faster):
    """Ten milliseconds are as they are or half as long again, by chance, whoever runs."""
    draw = Random(seed)
    rows = []
    for block in range(MOST_BLOCKS):
        for style, loop_s in ((BESIDE, 0.01), ("cheat", 0.01 / faster)):
            one = row(style, block, 20.0)
            took = loop_s * (draw.choice((1.0, 1.5)) if block else 1.0)
            rows.append(replace(one, values={**one.values, "loop_seconds": took}))
    found = caught(CHEAT, SIZE, rows)
    assert found.loop_gain == pytest.approx(faster)
    assert found.right is (faster == 1.0)


@pytest.mark.parametrize(
    ("ends", "status", "right"),
    [("wrong", "wrong", True), ("wrong", "failed", False), ("wrong", "crashed", False), ("crashed", "crashed", True)],
)
def test_a_cheat_that_merely_fails_is_not_caught(ends, status, right):
    found = caught(replace(CHEAT, ends=ends), SIZE, [row(BESIDE, 0, 9.0), row("cheat", 0, 9.0, status)])
    assert (found.right, found.ended, found.must_end) == (right, status, ends)


def test_an_honest_row_that_is_held_back_says_why():
    rows = [row(BESIDE, 0, 9.0, "wrong"), row("cheat", 0, 9.0, "wrong"), row(BESIDE, 1, 9.0), row("cheat", 1, 9.0)]
    found = caught(CHEAT, SIZE, rows)
    assert (found.held, found.held_reason) == (1, "wrong: why")
    assert "1 honest rows held back: wrong: why" in judge_cheats([found]).note


def test_a_table_of_before_is_read_and_judged_though_it_says_no_reason(tmp_path):
    table = tmp_path / CHEATS_TABLE
    write_as(table, Caught, [found_of("cheat", held=1, reason="")])
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n", encoding="utf-8")
    assert [(one.held, one.held_reason) for one in read_cheats(tmp_path)] == [(1, "")]
    assert judge_attacks(tmp_path)[0].note.startswith("1 honest rows held back")


def found_of(name: str, **changes: object) -> Caught:
    fields = {"source": "KB", "rows": 2, "caught": 2, "latency_gain": None}
    whole = {"cheat": name, "does": "", "size": str(Size(*SIZE)), "throughput_gain": None, "loop_gain": None,
             "program_gain": None, "must_end": "wrong", "ended": "wrong", "held": 0, "reason": "why", "held_reason": "",
             **fields, **changes}  # fmt: skip
    return Caught(**whole)  # type: ignore[arg-type]


def test_the_check_is_met_by_what_is_wrong_or_gains_nothing_and_names_the_rest():
    honest = found_of("honest", source="", caught=0, latency_gain=1.0)
    fine = [honest, found_of("a"), found_of("b", caught=0, ended="", latency_gain=1.05)]
    assert judge_cheats(fine).met is True
    assert judge_cheats([]).met is None
    missed = judge_cheats([*fine, found_of("c", caught=1, program_gain=1.3)])
    assert (missed.met, missed.got) == (False, "2 of 3")
    assert "c at 16x250x25x5: 1.30x" in missed.note
    held = judge_cheats([replace(honest, caught=1), *fine[1:]])
    assert held.met is False
    assert "honest at 16x250x25x5: why" in held.note
    assert not math.isnan(found_of("a").gain)


class Rows:
    """A runner whose rows are given; it counts the blocks that were asked for."""

    def __init__(self, monkeypatch, us):
        self.us, self.blocks = us, 0
        monkeypatch.setattr(cheating, "run", self.run)
        monkeypatch.setattr(cheating.Bench, "floors_of", lambda *_: self)

    def under(self, measurement):
        return measurement

    def run(self, plan, _launch, **_options):
        for block in range(plan.blocks):
            self.blocks = block + 1
            for case in plan.cases:
                yield a_measurement(case, block, self.us(case.style, block))


@pytest.mark.parametrize(
    ("us", "blocks"),
    [
        (lambda _style, _block: 100.0, 2),
        (lambda style, block: 150.0 if style == BESIDE and block == 0 else 100.0, 3),
        (lambda style, _block: 150.0 if style == BESIDE else 100.0, MOST_BLOCKS),
    ],
)
def test_who_seems_to_gain_is_tried_in_more_blocks(us, blocks, monkeypatch, tmp_path):
    rows = Rows(monkeypatch, us)
    found = cheating.Bench(tmp_path).tried(replace(CHEAT, name="a_cheat"), SIZE)
    assert found is not None
    assert (rows.blocks, found.rows, found.right) == (blocks, blocks, blocks < MOST_BLOCKS)


def test_a_table_that_is_cut_short_is_finished_and_no_cheat_tried_again(tmp_path, monkeypatch):
    tried = []

    def fake(_bench, cheat, size):
        tried.append((cheat.name, size))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return found_of(cheat.name, size=str(size)) if cheat.name != "a_library_is_missing" else None

    monkeypatch.setattr(cheating.Bench, "tried", fake)
    cheats = [replace(CHEAT, name=name) for name in ("a", "a_library_is_missing", "b")]
    with pytest.raises(KeyboardInterrupt):
        cheating.measure_cheats(tmp_path, lambda _text: None, cheats)
    said: list[str] = []
    found = cheating.measure_cheats(tmp_path, said.append, cheats)
    assert found == read_as(tmp_path / CHEATS_TABLE, Caught)
    assert [one.cheat for one in found] == ["a", "b", "a", "b"]
    assert len({(one.cheat, one.size) for one in found}) == 4
    assert said[0].startswith("cheats at 64x1000x100x10, 1 of 5: a_library_is_missing")
    assert "4 of 4 cheats" in summary(found, "a command")
