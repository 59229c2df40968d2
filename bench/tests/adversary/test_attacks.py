"""Runs that are killed, and planted liars: run once each, read again, and judged by what was said about each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.adversary.attacks import (
    KILLS,
    LIARS,
    Killed,
    Trial,
    judge_attacks,
    judge_kills,
    judge_liars,
    measure_liars,
    plan_liars,
    sum_of,
)
from bench.adversary.kills import Aimed, count_turns
from bench.adversary.lies import PLANTED
from bench.cases.measurement import Found, Job
from bench.tables.csv_files import read_as, write_as
from bench.tables.writer import Writer, write_machine
from bench.tests.fakes import a_case, a_measurement, an_answer

MUST_SAY = {one.style: one.must_say for one in PLANTED}
ON_CPU = [one for one in PLANTED if one.device == "cpu"]
HONEST = Trial("honest in numpy", "", "cpu", "", "ok", "")
LIAR = Trial("no work", "", "cpu", "loss of iteration 1", "wrong", "loss of iteration 1 is 5")


def found_out(job):
    """What a worker answers that sees through everybody."""
    reason = MUST_SAY[job.style.name]
    return Found("wrong", f"it {reason}") if reason else an_answer(noisy=True)


def silent(_text):
    """Progress that nobody reads."""


def read_liars(folder):
    return read_as(folder / LIARS, Trial)


def test_each_planted_style_gets_one_process_and_a_row_in_the_order_of_the_list(tmp_path):
    launched: list[Job] = []
    said: list[str] = []

    def launch(job):
        launched.append(job)
        assert job.style.source.exists()
        return found_out(job)

    measure_liars(tmp_path, ["cpu"], said.append, lambda plan: launch)
    assert sorted(job.case.style for job in launched) == sorted(one.name for one in ON_CPU)
    assert len(said) == len(launched)
    trials = read_liars(tmp_path)
    assert [one.liar for one in trials] == [one.name for one in ON_CPU]
    check = judge_liars(trials)
    assert (check.met, check.got, check.n) == (True, "7 of 7 caught", 7)


def test_liars_that_were_planted_are_not_planted_again(tmp_path):
    measure_liars(tmp_path, ["cpu"], silent, lambda plan: found_out)
    before = (tmp_path / LIARS).read_bytes()
    measure_liars(tmp_path, ["cpu"], silent, lambda plan: pytest.fail("a process was started"))
    assert (tmp_path / LIARS).read_bytes() == before


def test_liars_that_were_cut_off_leave_no_table_and_are_planted_anew(tmp_path):
    launched = []

    def launch(job):
        launched.append(job)
        if len(launched) == 3:
            raise KeyboardInterrupt
        return found_out(job)

    with pytest.raises(KeyboardInterrupt):
        measure_liars(tmp_path, ["cpu"], silent, lambda plan: launch)
    assert read_liars(tmp_path) == []
    measure_liars(tmp_path, ["cpu"], silent, lambda plan: launch)
    assert len(read_liars(tmp_path)) == len(ON_CPU)


def test_a_liar_in_a_real_process_is_caught_and_the_honest_loop_beside_it_is_not(tmp_path, monkeypatch):
    few = [one for one in PLANTED if one.name in ("honest in numpy", "wrong dtype")]
    monkeypatch.setattr("bench.adversary.attacks.PLANTED", few)
    measure_liars(tmp_path, ["cpu"], silent)
    honest, liar = read_liars(tmp_path)
    assert honest.status == "ok", honest
    assert liar.reason == "yielded a loss of dtype float32, expected float64"
    assert judge_liars([honest, liar]).met is True


def test_a_gpu_adds_the_liar_that_works_beside_it(tmp_path):
    on_cpu, with_gpu = (plan_liars(tmp_path, devices) for devices in (["cpu"], ["cpu", "cuda:0"]))
    (more,) = set(with_gpu.cases) - set(on_cpu.cases)
    assert (more.style, more.device) == ("CPU for GPU", "cuda:0")


def test_without_torch_its_liars_are_skipped_with_the_reason_and_the_promise_is_untested(tmp_path, monkeypatch):
    monkeypatch.setattr("implementations._contract._is_installed", lambda module: module != "torch")
    measure_liars(tmp_path, ["cpu"], silent, lambda plan: found_out)
    skipped = [one for one in read_liars(tmp_path) if one.status == "skipped"]
    assert [one.liar for one in skipped] == ["honest in torch", "wrong device"]
    check = judge_liars(read_liars(tmp_path))
    assert (check.met, check.got) == (None, "6 of 6 caught")
    assert "wrong device skipped: torch is not installed" in check.note


@pytest.mark.parametrize(
    "changes",
    [
        Found("ok"),
        Found("failed", "ValueError: loss of iteration 1"),
        Found("crashed", "process killed by SIGSEGV"),
        Found("wrong", "weight 1 is not where the float64 oracle ends"),
    ],
)
def test_a_liar_is_caught_only_as_wrong_and_only_for_its_own_lie(changes):
    missed = replace(LIAR, liar="cached loss", status=changes.status, reason=changes.reason)
    check = judge_liars([HONEST, LIAR, missed])
    assert (check.met, check.got) == (False, "1 of 2 caught")
    assert check.note.startswith(f"cached loss ended {changes.status}")


def test_a_gate_that_lets_nobody_through_catches_nothing():
    check = judge_liars([replace(HONEST, status="wrong", reason="loss of iteration 0 is 1"), LIAR])
    assert (check.met, check.got) == (False, "1 of 1 caught, an honest one held back")


@pytest.mark.parametrize("trials", [[], [HONEST], [LIAR]])
def test_without_liars_or_without_an_honest_one_beside_them_nothing_was_tested(trials):
    assert judge_liars(trials).met is None


def test_kills_are_judged_by_every_row_and_few_of_them_prove_nothing():
    fine = Killed(kills=100, turns=16, lost=0, doubled=0, incomplete=0)
    assert judge_kills(fine).met is True
    assert judge_kills(None).met is None
    assert judge_kills(replace(fine, kills=99)).met is None
    for spoiled in ({"lost": 1}, {"gone": 1}, {"doubled": 1}, {"incomplete": 1}, {"turns": 0}):
        assert judge_kills(replace(fine, **spoiled)).met is False, spoiled
        assert judge_kills(replace(fine, kills=2, **spoiled)).met is False, spoiled


TIMES = {"latency_median_us": 100.0, "throughput_us": 90.0}


def test_a_run_is_inspected_for_rows_that_are_lost_doubled_or_incomplete(tmp_path):
    blocks, case = 2, a_case()
    for block in range(blocks):
        Writer(tmp_path, "r").append(a_measurement(case, block, values=TIMES | {"iterations": 2}))
    write_machine(tmp_path, {"run_id": "r"})
    assert count_turns(tmp_path, blocks) == {"turns": 2, "lost": 0, "doubled": 0, "incomplete": 0}
    assert count_turns(tmp_path, blocks + 1) == {"turns": 3, "lost": 1, "doubled": 0, "incomplete": 0}
    Writer(tmp_path, "r").append(a_measurement(a_case("other"), 0, values=TIMES | {"iterations": 3}))
    assert count_turns(tmp_path, blocks) == {"turns": 4, "lost": 1, "doubled": 0, "incomplete": 1}


def test_the_kills_of_all_targets_are_summed_and_a_refused_resume_has_lost_its_rows():
    found = [
        Aimed("parent", "starts", 3, 1, 2),
        Aimed("all", "at the end", gone=1, turns=8, lost=2, doubled=3, incomplete=4),
    ]
    assert sum_of(found) == Killed(kills=3, turns=8, lost=3, doubled=3, incomplete=4, gone=1)


def test_kills_that_were_tried_are_judged_as_they_are_read(tmp_path):
    write_as(tmp_path / KILLS, Killed, [Killed(5, 4, 3, 2, 1)])
    kills = judge_attacks(tmp_path)[1]
    assert (kills.met, kills.n, kills.got) == (False, 5, "3 lost, 2 doubled, 1 incomplete of 4 turns")
