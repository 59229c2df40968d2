import json
from collections import Counter
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.cases.measurement import Found, Measurement
from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.cli import main
from bench.commands.validate import more, sentence
from bench.errors import TableError, UsageError
from bench.runner.turns import Progress, Slot
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS
from bench.tables.csv_files import read_rows, write_rows
from bench.tables.writer import Writer, write_machine
from bench.tests.fakes import a_case, a_measurement
from bench.validation.acceptance import (
    COVERAGE,
    judge,
    judge_agreement,
    judge_bias,
    judge_coverage,
    judge_kills,
    judge_slow_first,
    run_experiments,
)
from bench.validation.experiments import (
    IDENTICAL,
    Pool,
    bootstrapped,
    draws,
    experiment,
    identical,
    planted,
    sequential,
    share,
)
from bench.validation.experiments import copy_pairs as every_two
from bench.validation.kills import COLUMNS as KILL_COLUMNS
from bench.validation.kills import KILLS, Killed, inspect, read_kills
from bench.validation.liars import COLUMNS as LIAR_COLUMNS
from bench.validation.liars import LIARS, Trial
from bench.validation.plants import SLOW_FIRST, make_case, with_slow_first, with_spin, write_styles
from bench.validation.pool import (
    COST_COLUMNS,
    COSTS,
    ITERATIONS,
    POOL,
    POOL_COLUMNS,
    TOOL_COLUMNS,
    TOOLS,
    SlowFirst,
    append_measurement,
    measure_costs,
    read_pool,
    read_samples,
    repair,
    slowdowns,
)
from bench.validation.probe import plant_ratios
from bench.validation.session import analyse, announcer, done_keys, draft, make_plan, measure, ours, read_design
from bench.validation.tools import CLOCK, PEDANTIC, PYPERF, TIMEIT, TORCH, UNTIMED, Tool, ToolError, start
from bench.verdict.intervals import Ratio
from bench.worker.clock import Latency

TRULY = 1 + 5.3 / 265
BESIDE = Ratio(TRULY, TRULY * 0.999, TRULY * 1.001, 60)  # as one process found it
NO_SLOW = SlowFirst((), (), (), (), ())
GOOD_TOOLS = {
    name: Tool(name, value, "", 9)
    for name, value in ((CLOCK, 0.07), (UNTIMED, 0.1), (PEDANTIC, 2.0), (TIMEIT, 1.001), (TORCH, 0.999), (PYPERF, 1.01))
}


def make_pool(blocks=60, copies=6, sd=0.01, drift=0.0, plants=(), heavy=False, outliers=0.0, seed=1):
    """Medians around 265 us with known truth: process noise, a random walk over turns, plants of so many us."""
    random = np.random.default_rng(seed)
    labels = (*(f"A{i + 1}" for i in range(copies)), *(name for name, _ in plants))
    shape = (blocks, len(labels))
    turns = np.array([block * len(labels) + random.permutation(len(labels)) for block in range(blocks)])
    noise = random.standard_t(3, shape) / 3**0.5 if heavy else random.standard_normal(shape)
    walk = drift * np.cumsum(random.standard_normal(blocks))
    medians = 265 * np.exp(walk[:, None] + sd * noise)
    for name, cost_us in plants:
        medians[:, labels.index(name)] += cost_us
    noisy = random.random(shape) < outliers
    medians[noisy] *= 1.3
    return Pool(labels, copies, medians, medians, noisy, turns)


@pytest.mark.parametrize("changes", [{}, {"drift": 0.05}, {"heavy": True}, {"outliers": 0.03}])
def test_paired_intervals_cover_the_truth_as_often_as_they_say(changes):
    pool = make_pool(blocks=300, **changes)
    found = identical(pool, 400, seed=3)
    assert len(found) >= 400
    assert COVERAGE[0] - 0.01 <= share([one.holds for one in found]) <= COVERAGE[1] + 0.01


def test_sequential_runs_fail_under_drift_and_hold_without():
    assert share([one.holds for one in sequential(make_pool(drift=0.03))]) < 0.6
    assert share([one.holds for one in sequential(make_pool(blocks=300))]) > 0.9


@pytest.mark.parametrize(("process_sd", "low", "high"), [(0.01, 0.0, 0.3), (0.0, 0.9, 1.0)])
def test_a_bootstrap_over_iterations_fails_because_of_the_spread_between_processes(process_sd, low, high):
    random = np.random.default_rng(0)
    samples = {
        (block, copy): 265 * np.exp(process_sd * random.standard_normal() + 0.01 * random.standard_normal(200))
        for block in range(20)
        for copy in ("A1", "A2", "A3")
    }
    found = bootstrapped(samples, seed=0)
    assert len(found) == 60
    assert low <= share([one.holds for one in found]) <= high


def test_calculated_slowdowns_are_found_and_none_is_found_where_there_is_none():
    pool = make_pool(blocks=100, sd=0.005)
    assert share([one.found_slower for one in identical(pool, 200, 0, 0.05)]) == 1
    assert share([one.found_slower for one in identical(pool, 200, 0)]) < 0.06


def test_a_real_plant_is_found_with_its_true_size():
    pool = make_pool(sd=0.003, plants=(("spin-2", 5.3),))
    check = judge_bias(pool, 2, planted(pool, "spin-2", TRULY, 200, 0), BESIDE)
    assert check.met
    assert check.got.endswith("points")


def test_a_harness_that_sees_half_of_a_plant_is_reported():
    pool = make_pool(sd=0.003, plants=(("spin-2", 2.65),))
    assert judge_bias(pool, 2, planted(pool, "spin-2", TRULY, 200, 0), BESIDE).met is False


def test_each_block_has_its_plants_measured_once_and_a_failure_is_kept(tmp_path, monkeypatch):
    asked: list[dict[str, object]] = []

    def answer(request):
        asked.append(request)
        if len(asked) == 3:
            raise ToolError("no answer in 300 s")
        return {"plants": {"spin-2": 1.02 + 0.001 * len(asked)}}

    monkeypatch.setattr("bench.validation.pool.ask", answer)
    for block in (0, 0, 1, 1, 2, 2):
        measure_costs(tmp_path, block, TUTORIAL_SIZE, {"spin-2": 5300})
    assert asked == [{"plants_ns": {"spin-2": 5300}, "size": TUTORIAL_SIZE}] * 3
    found = slowdowns(tmp_path)["spin-2"]
    assert found.blocks == 2
    assert found.value == pytest.approx(1.0215, rel=1e-5)
    assert found.low < found.value < found.high


def test_a_plant_that_nobody_measured_in_the_loop_has_no_experiments():
    pool = make_pool(plants=(("spin-2", 5.3),))
    kinds = {one.kind for one in run_experiments(pool, {}, {}, 200, 0)}
    assert "spin-2" not in kinds
    assert IDENTICAL in kinds


def test_plants_are_measured_in_turns_over_one_and_the_same_loop(monkeypatch):
    """A spin's loop is timed as 3 ns an iteration, the plain one as 2: a clock that knows which loop it drives."""
    device = SimpleNamespace()
    plain = three()
    driven = []

    def time_latency(loop, _device, iterations):
        driven.append((loop is plain, iterations))
        return Latency([2 if loop is plain else 3] * iterations, [])

    monkeypatch.setattr("bench.validation.probe.make_loop", lambda size: (plain, device))
    monkeypatch.setattr("bench.validation.probe.clock.time_latency", time_latency)
    assert plant_ratios((4, 8, 8, 2), {"spin-1": 1, "spin-2": 2}, rounds=5) == {"spin-1": 1.5, "spin-2": 1.5}
    assert Counter(driven) == {(True, 2): 5, (True, 6): 5, (False, 2): 10, (False, 6): 10}


def test_noisy_pairs_count_as_they_do_in_a_run():
    pool = make_pool(blocks=10, copies=2)
    (draw,) = draws(pool, every_two(pool), 1, 0)
    flagged = replace(pool, noisy=np.arange(20).reshape(10, 2) < 4)
    assert experiment(flagged, draw, IDENTICAL, 1.0) == experiment(pool, draw, IDENTICAL, 1.0)


@given(st.integers(10, 45), st.integers(1, 300), st.integers(0, 5))
def test_groups_of_a_round_share_no_block_and_every_pair_meets_in_each(blocks, least, seed):
    pool = make_pool(blocks=blocks, copies=3)
    drawn = list(draws(pool, every_two(pool), least, seed))
    assert least <= len(drawn) < least + 3 * (blocks // 10)
    first = drawn[: 3 * (blocks // 10)]
    groups = {draw.number: draw.blocks for draw in first}
    together = [block for group in groups.values() for block in group]
    assert len(together) == len(set(together)) == 10 * (blocks // 10)
    assert {(draw.baseline, draw.contender) for draw in first} == {("A1", "A2"), ("A1", "A3"), ("A2", "A3")}


def test_every_line_of_the_acceptance_table_is_judged():
    pool = make_pool(blocks=300, sd=0.005, plants=(("spin-2", 5.3),))
    slow = SlowFirst([265.0] * 10, [265.1] * 10, [500] * 10, [500] * 10, [2.0] * 10)
    plants = {"spin-2": BESIDE}
    checks = judge(pool, run_experiments(pool, {}, plants, 200, 0), GOOD_TOOLS, plants, slow)
    by_name = {check.experiment: check.met for check in checks}
    unmet = {name for name, met in by_name.items() if met is not True}
    # no iterations were given, and this pool is too quiet for sequential runs to fail
    assert unmet == {"negative control: bootstrap over iterations", "negative control: all of A, then all of B"}
    assert by_name["negative control: bootstrap over iterations"] is None
    assert "1 untested" in sentence(checks)


def test_a_pool_of_too_few_blocks_is_untested_not_met():
    pool = make_pool(blocks=9)
    checks = judge(pool, run_experiments(pool, {}, {}, 200, 0), {}, {}, NO_SLOW)
    assert all(check.met is not True for check in checks)
    assert checks[0].row()["met"] == "untested"
    assert "9 whole blocks" in checks[0].note


def test_coverage_of_too_few_experiments_is_not_met():
    found = identical(make_pool(blocks=300), 400, seed=3)
    assert judge_coverage(found, "").met
    assert judge_coverage(found[:199], "").met is False


def test_a_tool_that_is_not_installed_is_untested_with_the_reason():
    check = judge_agreement(PYPERF, Tool(PYPERF, None, "ratio", note="pyperf is not installed"), 0.02)
    assert check.met is None
    assert check.note == "pyperf is not installed"
    assert judge_agreement(TIMEIT, Tool(TIMEIT, 1.006, "ratio", 9), 0.005).met is False


@pytest.mark.parametrize(
    "change",
    [{"slow_iterations": [5] * 3}, {"slow_us": [300.0, 301.0, 302.0]}, {"first_s": [0.3, 2.0, 2.0]}, {"slow_us": []}],
)
def test_a_first_call_that_changes_something_or_was_not_slow_is_not_met(change):
    slow = SlowFirst([265.0, 266.0, 267.0], [265.1, 266.1, 267.0], [500] * 6, [500] * 3, [2.0, 2.1, 2.0])
    assert judge_slow_first(slow).met
    assert judge_slow_first(replace(slow, **change)).met is not True


def three():
    yield 3.0
    yield 2.0
    return "weights"


def drained(loop):
    losses = []
    while True:
        try:
            losses.append(next(loop))
        except StopIteration as end:
            return losses, end.value


def test_a_spin_lasts_as_long_as_it_says_and_leaves_the_loop_as_it_is(monkeypatch):
    time_ns = [0]

    def tick():
        time_ns[0] += 100
        return time_ns[0]

    monkeypatch.setattr("bench.validation.plants.perf_counter_ns", tick)
    assert drained(with_spin(three(), 5000)) == ([3.0, 2.0], "weights")
    assert 10_000 <= time_ns[0] <= 10_400


def test_a_slow_first_call_sleeps_once_in_a_process(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("bench.validation.plants.time.sleep", slept.append)
    monkeypatch.setattr("bench.validation.plants._slept", [])
    assert [drained(with_slow_first(three())) for _ in range(2)] == [([3.0, 2.0], "weights")] * 2
    assert slept == [2.0]


def test_plants_are_styles_that_the_finder_accepts(tmp_path):
    styles = write_styles(tmp_path, {"spin-5": 13000})
    assert set(styles) == {SLOW_FIRST, "spin-5"}
    assert "13000" in styles["spin-5"].summary
    x = np.ones((2, 3), np.float32)
    loop = styles["spin-5"].train(x, x[:, :1].copy(), np.ones((3, 2), np.float32), np.ones((2, 1), np.float32), 0.0, 1)
    assert drained(loop)[0] == [2 * 25]


def test_the_slow_first_call_is_in_the_first_blocks_only(tmp_path):
    design = replace(draft(quick=False, minutes=None, seed=0), blocks=40)
    plan = make_plan(design, tmp_path)
    blocks = {case.style: count for case, count in plan.cases.items()}
    assert blocks["A1"] == 40
    assert blocks[SLOW_FIRST] == 10
    assert set(plan.styles) == set(blocks)
    assert more(design, 11.0).blocks == 100


def test_a_worker_that_fails_ends_the_validation_with_the_reason():
    with pytest.raises(UsageError, match="no numpy"):
        ours(lambda job: Found("failed", "no numpy"), draft(quick=True, minutes=None, seed=0), "x")


def test_a_tool_that_ends_badly_is_an_error_with_its_last_line():
    with pytest.raises(ToolError, match="exit code 1: ValueError: boom"):
        start(["-c", "raise ValueError('boom')"], ".")


def measured(label, block, order, median=265.0):
    case = Case(style=label, device="cpu", problem=Problem())
    values = {"latency_median_us": median, "first_iteration_seconds": 2.5, "iterations": 500}
    return Measurement(case, block, order, "ok", values=values, timed_us=[median, median + 1])


def test_a_killed_pool_is_made_whole(tmp_path):
    for order, label in enumerate(("A1", "A2", "spin-2")):
        append_measurement(tmp_path, measured(label, 0, order, 265 + order))
    append_measurement(tmp_path, measured("A1", 1, 3))
    with open(tmp_path / ITERATIONS, "a") as file:
        file.write("1,A2,0,265.0\n1,A2,1,26")
    with open(tmp_path / POOL, "a") as file:
        file.write("1,4,A2,ok,,1,Fal")
    repair(tmp_path)
    pool = read_pool(tmp_path, ("A1", "A2", "spin-2"), 2)
    assert pool.medians_us.tolist() == [[265, 266, 267]]
    assert sorted(read_samples(tmp_path)) == [(0, "A1"), (0, "A2"), (1, "A1")]
    assert read_samples(tmp_path)[0, "A1"].tolist() == [265, 266]


def test_the_time_left_is_the_nearer_of_pace_and_budget():
    said: list[str] = []
    times = iter([0.0, 0.0, 0.0, 60.0, 60.0])
    starting = announcer(said.append, 0.0, 180.0, now=lambda: next(times))
    slot = Slot(0, 0, make_case("A1", (1, 1, 1, 1), 0))
    starting(Progress(5, 100, slot))
    starting(Progress(15, 100, slot))
    assert "3.0 min left" in said[0]
    assert "2.0 min left" in said[1]


def write_folder(folder, blocks=30):
    design = replace(draft(quick=True, minutes=None, seed=0), spins_ns={"spin-2": 5300}, blocks=blocks)
    folder.mkdir()
    (folder / "machine.json").write_text(json.dumps({"run_id": "r", "validation": asdict(design)}))
    pool = make_pool(blocks=blocks, copies=4, sd=0.004, plants=(("spin-2", 5.3),))
    for block in range(blocks):
        for label, median, turn in zip(pool.labels, pool.medians_us[block], pool.turns[block], strict=True):
            append_measurement(folder, measured(label, block, int(turn), float(median)))
    append_measurement(folder, measured(SLOW_FIRST, 0, 999))
    write_rows(folder / TOOLS, TOOL_COLUMNS, [tool.row() for tool in GOOD_TOOLS.values()])
    costs = [{"block": block, "label": "spin-2", "ratio": TRULY} for block in range(blocks)]
    write_rows(folder / COSTS, COST_COLUMNS, costs)
    return design


def test_a_pool_is_analysed_again_without_measuring(tmp_path, capsys):
    design = write_folder(tmp_path / "v")
    assert read_design(tmp_path / "v") == design
    code = main(["validate", "--pool", str(tmp_path / "v"), "--out", str(tmp_path / "again")])
    out = capsys.readouterr().out
    assert code == 1  # sequential runs of a pool without drift do not fail, and that is told
    assert "missed: " in out
    made = {path.name for path in (tmp_path / "again").iterdir()}
    assert made == {"experiments.csv", "acceptance.csv", "validation.png", "validation.svg"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--minutes", "0"], "above 0"),
        (["--seed", "-1"], "from 0 up"),
        (["--pool", "x", "--quick"], "--out alone"),
        (["--resume"], "--out DIR"),
        (["--pool", "nowhere"], "cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(options, says, capsys):
    assert main(["validate", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_folder_that_is_no_validation_is_refused(tmp_path):
    (tmp_path / "machine.json").write_text('{"run_id": "r"}')
    with pytest.raises(TableError, match="not of fiftyx validate"):
        read_design(tmp_path)


def test_a_pool_that_was_cut_off_is_finished_without_a_turn_twice(tmp_path, monkeypatch):
    launched: list[str] = []

    def launch(job):
        if len(launched) == 4:
            launched.append("cut off")
            raise KeyboardInterrupt
        launched.append(job.case.style)
        return Found("ok", values={"latency_median_us": 265.0}, timed_us=[265.0, 266.0])

    monkeypatch.setattr("bench.validation.session.process_launcher", lambda plan: launch)
    (tmp_path / TOOLS).write_text("measured before\n")
    design = replace(draft(quick=True, minutes=None, seed=0), blocks=2, slow_blocks=1)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, design, None, lambda text: None)
    measure(tmp_path, design, None, lambda text: None)
    assert len(done_keys(tmp_path, design)) == 11
    assert len(read_rows(tmp_path / POOL, POOL_COLUMNS)) == 11
    assert sorted(set(launched) - {"cut off"}) == ["A1", "A2", "A3", "A4", SLOW_FIRST, "spin-2"]
    assert len(launched) == 12


def test_measuring_ends_after_the_turn_in_which_the_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.validation.session.process_launcher", lambda plan: lambda job: Found("ok"))
    (tmp_path / TOOLS).write_text("measured before\n")
    design = replace(draft(quick=True, minutes=None, seed=0), blocks=5)
    measure(tmp_path, design, -1.0, lambda text: None)
    assert len(done_keys(tmp_path, design)) == 1


def test_a_damaged_table_is_bad_input(tmp_path, capsys):
    write_folder(tmp_path / "v", blocks=1)
    with open(tmp_path / "v" / TOOLS, "a") as file:
        file.write("timeit,fast,ratio,9,\n")
    assert main(["validate", "--pool", str(tmp_path / "v")]) == 2
    assert "not a number" in capsys.readouterr().err


def test_kills_are_judged_by_every_row_and_untested_where_nobody_tried():
    fine = Killed(kills=100, turns=16, lost=0, doubled=0, incomplete=0)
    assert judge_kills(fine).met is True
    assert judge_kills(None).met is None
    for spoiled in ({"lost": 1}, {"gone": 1}, {"doubled": 1}, {"incomplete": 1}, {"kills": 99}, {"turns": 0}):
        assert judge_kills(replace(fine, **spoiled)).met is False, spoiled


def test_a_run_is_inspected_for_rows_that_are_lost_doubled_or_incomplete(tmp_path):
    blocks, case = 2, a_case()
    for block in range(blocks):
        Writer(tmp_path, "r").append(a_measurement(case, block, values={"iterations": 2}))
    write_machine(tmp_path, {"run_id": "r"})
    assert inspect(tmp_path, blocks) == Killed(0, 2, 0, 0, 0)
    assert inspect(tmp_path, blocks + 1) == Killed(0, 3, 1, 0, 0)
    Writer(tmp_path, "r").append(a_measurement(a_case("other"), 0, values={"iterations": 3}))
    assert inspect(tmp_path, blocks) == Killed(0, 4, 1, 0, 1)


def test_kills_that_were_tried_are_read_again(tmp_path):
    assert read_kills(tmp_path) is None
    write_rows(tmp_path / KILLS, KILL_COLUMNS, [asdict(Killed(5, 4, 3, 2, 1))])
    assert read_kills(tmp_path) == Killed(5, 4, 3, 2, 1)


def test_the_acceptance_table_ends_with_the_liars_untested_where_none_was_planted(tmp_path):
    write_folder(tmp_path / "v", blocks=1)
    honest = Trial("honest in numpy", "", "cpu", "", "ok", "")
    liar = Trial("no work", "", "cpu", "iteration 1", "wrong", "loss of iteration 1 is 5")
    ended = []
    for trials in ([], [honest, liar]):
        if trials:
            write_rows(tmp_path / "v" / LIARS, LIAR_COLUMNS, map(asdict, trials))
        analyse(tmp_path / "v", tmp_path / "v")
        ended.append(read_rows(tmp_path / "v" / ACCEPTANCE, ACCEPTANCE_COLUMNS)[-1])
    assert [(row["experiment"], row["met"]) for row in ended] == [
        ("planted liars", "untested"),
        ("planted liars", "yes"),
    ]
