"""The runner: every turn once in a seeded order, one process at a time, and what becomes of one that dies."""

from __future__ import annotations

import math
import signal
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.adversary.faults import FAULTS, SAY
from bench.adversary.lies import HONEST, write_style
from bench.cases.grid import Skip
from bench.cases.measurement import ANEW, Found, or_anew
from bench.machine.process import Answer, _crash_reason, ask
from bench.plain import from_plain, to_plain
from bench.runner import turns as runner
from bench.runner.turns import process_launcher, schedule
from bench.tests.fakes import FakeClock, a_case, a_job, a_plan, a_style, an_answer
from bench.timing.loops import ProgramTimes

CASES = [a_case(f"style{index}") for index in range(6)]


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**31))
def test_every_case_comes_once_a_block_and_blocks_one_after_another(cases, blocks, seed):
    slots = schedule(a_plan(CASES[:cases], blocks=blocks, seed=seed))
    assert [slot.order for slot in slots] == list(range(cases * blocks))
    assert Counter(slot.key for slot in slots) == {
        (block, case.key): 1 for block in range(blocks) for case in CASES[:cases]
    }
    assert all(before.block <= after.block for before, after in pairwise(slots))


def test_the_order_is_the_seeds_and_each_block_has_its_own():
    def order(seed):
        return [slot.case.style for slot in schedule(a_plan(CASES, blocks=4, seed=seed))]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert len({tuple(order(1)[start : start + 6]) for start in range(0, 24, 6)}) > 1


def test_a_case_with_fewer_blocks_leaves_after_them():
    slots = schedule(a_plan(CASES[:2], blocks=3, case_blocks=(3, 1)))
    assert Counter(slot.case.style for slot in slots) == {"style0": 3, "style1": 1}
    assert [slot.block for slot in slots if slot.case.style == "style1"] == [0]


def launched(plan, answers=lambda job: an_answer(), **options):
    """The measurements of a run, and the styles in the order in which they were started."""
    started = []

    def launch(job):
        started.append(job.case.style)
        return answers(job)

    return list(runner.run(plan, launch, **options)), started


def test_a_run_measures_every_turn_in_its_order():
    plan = a_plan(CASES[:3])
    found, started = launched(plan)
    assert started == [slot.case.style for slot in schedule(plan)]
    assert [(one.block, one.order, one.case) for one in found] == [
        (slot.block, slot.order, slot.case) for slot in schedule(plan)
    ]
    assert {one.status for one in found} == {"ok"}
    assert found[0].values["latency_median_us"] == 100.0
    assert (found[0].first_us, list(found[0].timed_us)) == (500.0, [100.0, 100.0])


def test_skips_come_first_with_their_reason_and_start_no_process():
    skip = Skip(a_case("torch_nn", "cuda:0"), "no CUDA device")
    found, started = launched(a_plan(CASES[:1], skips=(skip,)))
    assert (found[0].case, found[0].status, found[0].reason) == (skip.case, "skipped", "no CUDA device")
    assert started == ["style0"] * 3


def test_what_is_done_is_not_done_again():
    skip = Skip(a_case("torch_nn", "cuda:0"), "no CUDA device")
    plan = a_plan(CASES[:3], skips=(skip,))
    turns = schedule(plan)
    done = {(0, skip.case.key), *(slot.key for slot in turns[:4])}
    found, _started = launched(plan, done=done)
    assert [one.order for one in found] == [slot.order for slot in turns[4:]]


@pytest.mark.parametrize(("blocks", "spare"), [(1, 0), (3, 1), (10, 5)])
def test_a_noisy_case_is_taken_again_at_most_half_as_often_as_it_has_blocks(blocks, spare):
    found, started = launched(a_plan(CASES[:2], blocks=blocks), lambda job: an_answer(noisy=job.case.style == "style0"))
    assert Counter(started) == {"style0": blocks + spare, "style1": blocks}
    noisy = [one for one in found if one.case.style == "style0"]
    assert all(one.noisy and one.reason for one in noisy)
    assert sum(one.attempts for one in noisy) == blocks + spare
    assert len(noisy) == blocks


@pytest.mark.parametrize("blocks", [1, 3, 10])
def test_a_plan_without_second_tries_takes_every_turn_once_and_says_which_was_noisy(blocks):
    plan = a_plan(CASES[:2], blocks=blocks, retried=False)
    found, started = launched(plan, lambda _job: an_answer(noisy=True))
    assert Counter(started) == {"style0": blocks, "style1": blocks}
    assert all(one.noisy and one.attempts == 1 for one in found)


def test_a_case_that_quietens_is_quiet():
    answers = iter([an_answer(noisy=True), an_answer(50.0), an_answer(), an_answer()])
    found, _started = launched(a_plan(CASES[:1]), lambda _job: next(answers))
    assert [(one.noisy, one.attempts) for one in found] == [(False, 2), (False, 1), (False, 1)]
    assert found[0].values["latency_median_us"] == 50.0


@pytest.mark.parametrize(
    ("second", "status", "latency"),
    [(Found("crashed", "why"), "ok", 70.0), (Found("wrong", "a sign"), "wrong", None)],
)
def test_a_second_try_that_fails_leaves_the_first_but_a_wrong_one_counts(second, status, latency):
    answers = iter([an_answer(70.0, noisy=True), second, an_answer(), an_answer()])
    found, _started = launched(a_plan(CASES[:1]), lambda _job: next(answers))
    assert (found[0].status, found[0].attempts, found[0].values.get("latency_median_us")) == (status, 2, latency)


def test_tries_that_were_used_before_are_not_had_again():
    def noisy(_job):
        return an_answer(noisy=True)

    plan = a_plan(CASES[:1], blocks=10)
    found, _started = launched(plan, noisy, used={CASES[0].key: 4})
    assert sum(one.attempts - 1 for one in found) == 1


def test_a_failure_is_a_row_and_the_next_case_is_measured():
    def answers(job):
        return Found("crashed", "why") if job.case.style == "style0" else an_answer()

    found, _started = launched(a_plan(CASES[:2], blocks=1), answers)
    assert {one.case.style: (one.status, one.reason) for one in found} == {
        "style0": ("crashed", "why"),
        "style1": ("ok", ""),
    }


@pytest.mark.parametrize(("budget_s", "blocks"), [(None, 5), (100.0, 5), (49.0, 4), (25.0, 2), (5.0, 1)])
def test_a_budget_ends_the_run_before_a_block_it_has_no_time_for(budget_s, blocks):
    now = FakeClock()

    def answers(_job):
        now.pass_ns(5)
        return an_answer()

    found, _started = launched(a_plan(CASES[:2], blocks=5, budget_s=budget_s), answers, now=now)
    assert Counter(one.block for one in found) == dict.fromkeys(range(blocks), 2)


@given(st.integers(1, 6), st.floats(1.0, 200.0))
def test_a_budget_that_is_over_ends_the_run_within_a_block_too(cases, budget_s):
    now = FakeClock()

    def answers(_job):
        now.pass_ns(10)
        return an_answer()

    found, _started = launched(a_plan(CASES[:cases], blocks=3, budget_s=budget_s), answers, now=now)
    assert found
    assert now.ns <= budget_s + 10


@given(st.integers(1, 6), st.integers(0, 6))
def test_a_run_that_its_budget_ended_says_after_how_many_blocks(blocks, begun):
    plan = a_plan(CASES[:2], blocks=blocks, budget_s=30.0)
    words = runner.budget_words(plan, {slot.key for slot in runner.schedule(plan) if slot.block < begun})
    left = "30 s leave no time for another"
    assert words == (None if begun >= blocks else f"ended after {begun} of {blocks} blocks: {left}")
    assert runner.budget_words(a_plan(CASES[:2], blocks=blocks), ()) is None


@pytest.mark.parametrize(("budget_s", "started"), [(None, 4), (1000.0, 1)])
def test_with_a_budget_a_case_that_was_given_up_once_is_not_started_again(budget_s, started):
    slow = CASES[0]

    def answers(job):
        return Found("timeout", "took longer than 60 s") if job.case == slow else an_answer()

    found, _started = launched(a_plan(CASES[:2], blocks=4, budget_s=budget_s), answers)
    assert Counter(one.case for one in found) == {slow: started, CASES[1]: 4}


def test_a_case_that_was_given_up_takes_nothing_of_the_budget_of_later_blocks():
    now = FakeClock()

    def answers(job):
        slow = job.case == CASES[0]
        now.pass_ns(60 if slow else 5)
        return Found("timeout", "took longer than 60 s") if slow else an_answer()

    found, _started = launched(a_plan(CASES[:2], blocks=5, budget_s=85.0), answers, now=now)
    assert max(one.block for one in found) == 4


def test_progress_says_which_turn_starts_of_how_many():
    told: list[runner.Progress] = []
    launched(a_plan(CASES[:2], blocks=2), starting=told.append)
    assert [(progress.done, progress.total) for progress in told] == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.parametrize(
    ("code", "errors", "reason"),
    [
        (3, "Traceback\n\nImportError: no\tlib\n", "process ended with exit code 3: ImportError: no lib"),
        (1, "", "process ended with exit code 1: no message"),
        (-signal.SIGKILL, "", "process killed by SIGKILL (out of memory?)"),
        (-signal.SIGSEGV, "Fatal\n", "process killed by SIGSEGV: Fatal"),
        (-250, "", "process killed by signal 250: no message"),
    ],
)
def test_a_crash_says_how_in_one_line(code, errors, reason):
    assert _crash_reason(code, errors) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([1, 2], "it is [1, 2], expected names and values"),
        ({}, "it has no 'status'"),
        ({"status": "fine"}, "unknown status 'fine'"),
        ({"status": "ok", "values": 5}, "values is 5, expected names and values"),
        ({"status": "ok", "timed_us": ["x"]}, "timed_us[0] is 'x', expected float"),
        ({"status": "ok", "first_us": math.nan}, "first_us is nan, expected float"),
        ({"status": "ok", "more": 1}, "it has an unknown 'more'"),
        ({"status": "ok" * 10**6}, "unknown status 'okok"),
        ({"status": "timeout"}, "unknown status 'timeout'"),
        ({"status": "ok"}, "a time of None"),
        ({"status": "wrong", "values": {"block": "x"}}, "values.block is 'x'"),
        ({"status": "wrong", "values": {"blas": 5}}, "values.blas is 5"),
        ({"status": "wrong", "values": {"iterations": 10**400}}, "more than 64 bits"),
        ({"status": "wrong", "values": {"iterations": 1e300}}, "values.iterations is out of range"),
    ],
)
def test_an_answer_without_the_right_shape_is_a_crash_that_names_the_place(answer, reason):
    found = Found.read(answer)
    assert found.status == "crashed"
    assert reason in found.reason
    assert len(found.reason) <= 400


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_style_that_breaks_its_process_is_the_row_that_it_should_be(tmp_path, fault):
    job, plan = plan_of(write_style(tmp_path, SAY + fault.body), timeout_s=1.5 if fault.status == "timeout" else 60.0)
    found = process_launcher(plan)(job)
    assert found.status == fault.status, found
    assert fault.says in found.reason
    assert len(found.reason) <= 400
    assert "\n" not in found.reason


@given(
    st.lists(st.booleans(), min_size=1 + ANEW, max_size=1 + ANEW),
    st.sampled_from(["numpy", "torch", "jax"]),
    st.integers(0, 2**32 - 1),
)
def test_who_fails_by_the_clock_or_strays_is_measured_until_it_does_not_and_twice_more_at_most(fails, library, seed):
    """Anew with other changes of x, and on other data where x cannot change."""
    answers, asked = [Found("wrong" if again else "ok", again=again) for again in fails], []
    left = list(answers)
    job = replace(a_job(a_style(), framework=library), data_seed=seed)

    def measured(one):
        asked.append(one)
        return left.pop(0)

    found = or_anew(job, measured)
    assert asked[0] is job
    assert len({one.seed for one in asked}) == (len(asked) if library == "jax" else 1)
    assert {replace(one, data_seed=seed) for one in asked} == {job}
    assert found is next((one for one in answers if not one.again), answers[-1])
    assert len(answers) - len(left) == answers.index(found) + 1 or all(fails)


@given(st.sampled_from([0, -1.0, 1e300, None, "1"]), st.sampled_from(["timed_us", "warmup_us", "throughput_us"]))
def test_an_ok_answer_has_times_above_0(time, place):
    said = to_plain(an_answer())
    assert Found.read(said).status == "ok"
    if place in said:
        said[place] = [1.0, time]
    else:
        said["values"][place] = time
    assert Found.read(said).status == "crashed"


def test_a_worker_whose_style_writes_into_the_pipe_is_a_row(tmp_path):
    """What it wrote comes before the answer, so that nobody can tell it from one."""
    forged = "    import os\n    for fd in pipes():\n        os.write(fd, b'garbage\\n')\n"
    pipes = (
        "def pipes():\n    import os, stat\n    fds = [int(fd) for fd in os.listdir('/proc/self/fd')]\n"
        "    return [fd for fd in fds if fd > 2 and os.path.exists(f'/proc/self/fd/{fd}') and "
        "stat.S_ISFIFO(os.stat(fd).st_mode)]\n"
    )
    style = write_style(tmp_path, forged + HONEST)
    style.source.write_text(style.source.read_text().replace("@implementation", pipes + "\n\n@implementation", 1))
    job, plan = plan_of(style)
    found = process_launcher(plan)(job)
    assert found.status == "crashed"
    assert "its answer is no JSON" in found.reason


def plan_of(style, **changes):
    job = a_job(style)
    return job, a_plan([job.case], styles={style.name: style}, **changes)


def test_a_style_that_prints_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "a core that does not exist")
    body = "    import os\n    assert 'OPENBLAS_CORETYPE' not in os.environ\n    print('{\"status\": 1}', flush=True)\n"
    style = write_style(tmp_path, body + HONEST)
    job, plan = plan_of(style)
    found = process_launcher(plan)(job)
    assert found.status == "ok", found
    assert len(found.timed_us) == 8


def test_a_killed_process_is_a_crash_and_out_of_memory_is_its_own_status(tmp_path):
    job, plan = plan_of(write_style(tmp_path, "    import os\n    os.kill(os.getpid(), 9)\n    yield\n"))
    assert process_launcher(plan)(job) == Found("crashed", "process killed by SIGKILL (out of memory?)")


def test_a_process_that_never_ends_is_given_up(tmp_path):
    style = write_style(tmp_path, "    import time\n    time.sleep(3600)\n    yield\n")
    job, plan = plan_of(style, timeout_s=0.8)
    found = process_launcher(plan)(job)
    assert found == Found("timeout", "took longer than 0.8 s; see --timeout")


def ended(monkeypatch, *answers):
    """Processes that end as said, without a process."""
    left = list(answers)
    modules = []

    def ask(module, _question, **_limits):
        modules.append(module)
        return left.pop(0)

    monkeypatch.setattr(runner, "ask", ask)
    return modules


def test_a_case_that_wants_its_program_gets_both_scopes(monkeypatch):
    job = a_job(a_plan(CASES[:1]).styles["style0"], program=True)
    times = to_plain(ProgramTimes(0.25, (400_000,) * 500, 0.0))
    modules = ended(monkeypatch, Answer(to_plain(an_answer()), 1.0), Answer(times, 2.5))
    found = process_launcher(a_plan([job.case]))(job)
    assert found.values == {**an_answer().values, "loop_seconds": 0.25, "program_seconds": 2.5}
    assert modules == ["bench.worker", "bench.worker.program"]


def test_a_wrong_style_is_not_run_as_a_program(monkeypatch):
    job = a_job(a_plan(CASES[:1]).styles["style0"], program=True)
    modules = ended(monkeypatch, Answer({"status": "wrong", "reason": "a sign"}, 1.0))
    assert process_launcher(a_plan([job.case]))(job).status == "wrong"
    assert modules == ["bench.worker"]


def test_a_program_that_fails_leaves_its_columns_empty_and_the_latency_stands(monkeypatch):
    job = a_job(a_plan(CASES[:1]).styles["style0"], program=True)
    ended(monkeypatch, Answer(to_plain(an_answer()), 1.0), Answer(None, 1.0, "crashed", "why"))
    found = process_launcher(a_plan([job.case]))(job)
    assert (found.status, found.values) == ("ok", an_answer().values)
    assert found.reason == "as a whole program: crashed: why"


def test_a_program_whose_style_prints_still_has_its_seconds(tmp_path):
    body = "    print(t := 0, 'loss', flush=True)\n" + HONEST
    job, plan = plan_of(write_style(tmp_path, body))
    found = ask("bench.worker.program", to_plain(job), keep_env=plan.keep_env, timeout_s=60)
    assert found.status is None, found.reason
    times = from_plain(ProgramTimes, found.value)
    assert 0 < sum(times.elapsed_ns) / 1e9 <= times.seconds < found.seconds
    assert len(times.elapsed_ns) == 500


def test_a_module_that_says_nothing_has_crashed(tmp_path):
    job, plan = plan_of(write_style(tmp_path, HONEST))
    silent = ask("bench.errors", to_plain(job), keep_env=plan.keep_env, timeout_s=60)
    assert (silent.status, silent.reason) == ("crashed", "process ended with exit code 0: no message")
