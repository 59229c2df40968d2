"""The known cheats: each is a style, and what its rows come to is told without a process."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.problem import Problem, Size
from bench.tests.fakes import a_measurement
from bench.validation import _cheating as cheating
from bench.validation._cheating import BASES, CHEATS_TABLE, SIZES, Caught, caught, judge_cheats
from bench.validation._cheats import CHEATS, Cheat
from bench.validation.lies import HONEST, write_style

SIZE = SIZES[1]
CHEAT = Cheat("cheat", "KB", "cheats", HONEST)


@pytest.mark.parametrize("cheat", [*CHEATS, *BASES.values()], ids=lambda one: one.name)
def test_every_cheat_is_a_style_with_a_source_and_no_other_than_its_own(cheat, tmp_path):
    body = cheat.body.replace("{place}", str(tmp_path))
    style = write_style(tmp_path, body, cheat.name, cheat.before.replace("{pace}", "1e-4"), framework=cheat.framework)
    compile(style.source.read_text(encoding="utf-8"), str(style.source), "exec")
    assert style.name == cheat.name
    assert bool(cheat.source) == (cheat in CHEATS)
    assert (cheat.body + cheat.before != HONEST) == (cheat.name != "honest")


def test_every_cheat_has_a_name_of_its_own():
    assert len({one.name for one in CHEATS}) == len(CHEATS)


def row(style: str, block: int, us: float, status: str = "ok", **values: float) -> Measurement:
    case = Case(style, "cpu", Problem(*SIZE), framework="numpy")
    found = a_measurement(case, block, us, status=status)
    return replace(
        found, values={**found.values, **values} if status == "ok" else {}, reason="" if status == "ok" else "why"
    )


def test_a_gain_is_over_the_honest_row_of_its_block_at_the_speed_that_the_core_had():
    rows = [
        row("honest", 0, 100.0, latency_per_reference=4.0, loop_seconds=1.0),
        row("honest", 1, 200.0, latency_per_reference=4.0, loop_seconds=2.0),
        row("cheat", 0, 100.0, latency_per_reference=2.0, loop_seconds=1.0),
        row("cheat", 1, 50.0, "wrong"),
    ]
    found = caught(CHEAT, SIZE, rows)
    assert (found.rows, found.caught, found.reason) == (2, 1, "wrong: why")
    assert (found.latency_gain, found.throughput_gain, found.loop_gain, found.program_gain) == (2.0, 1.0, 1.0, None)
    assert not found.right
    assert caught(CHEAT, SIZE, [*rows[:2], *(row("cheat", block, 9.0, "wrong") for block in (0, 1))]).right


def found_of(name: str, **changes: object) -> Caught:
    fields = {"source": "KB", "rows": 2, "caught": 2, "latency_gain": None}
    whole = {"cheat": name, "does": "", "size": str(Size(*SIZE)), "throughput_gain": None, "loop_gain": None,
             "program_gain": None, "reason": "wrong: why", **fields, **changes}  # fmt: skip
    return Caught(**whole)  # type: ignore[arg-type]


def test_the_check_is_met_by_what_is_wrong_or_gains_nothing_and_names_the_rest():
    honest = found_of("honest", source="", caught=0, latency_gain=1.0)
    fine = [honest, found_of("a"), found_of("b", caught=0, latency_gain=1.05)]
    assert judge_cheats(fine).met is True
    assert judge_cheats([]).met is None
    missed = judge_cheats([*fine, found_of("c", caught=1, program_gain=1.3)])
    assert (missed.met, missed.got) == (False, "2 of 3")
    assert "c at 16x250x25x5: 1.30x" in missed.note
    held = judge_cheats([replace(honest, caught=1), *fine[1:]])
    assert held.met is False
    assert "honest at 16x250x25x5: wrong: why" in held.note
    assert not math.isnan(found_of("a").gain)


def test_a_table_that_is_there_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cheating, "try_cheats", lambda size, *_: [found_of("a", size=str(size))])
    cheating.measure_cheats(tmp_path, lambda _text: None)
    before = (tmp_path / CHEATS_TABLE).read_bytes()
    assert [one.size for one in cheating.read_cheats(tmp_path)] == [str(size) for size in SIZES]
    monkeypatch.setattr(cheating, "try_cheats", None)
    cheating.measure_cheats(tmp_path, lambda _text: None)
    assert (tmp_path / CHEATS_TABLE).read_bytes() == before
    assert "2 of 2 cheats" in cheating.summary(cheating.read_cheats(tmp_path), "a command")
