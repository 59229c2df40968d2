"""The tutorial's own text as a script, and the baseline that stands for it."""

from __future__ import annotations

from itertools import accumulate, cycle
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.measurement import Found
from bench.validation.peers import script
from bench.validation.peers.agreement import SCRIPT, SCRIPT_FAULTS, SCRIPT_LOOP, Tool, judge_faults
from bench.validation.peers.script import MOST, TEXT, WARM, AsWritten, read_stamps, run_ours, run_script, script_tools
from bench.validation.peers.tools import ToolError

AS_PRINTED = """
# Create random input and output data
x = np.random.randn(N, D_in)
y = np.random.randn(N, D_out)

# Randomly initialize weights
w1 = np.random.randn(D_in, H)
w2 = np.random.randn(H, D_out)

learning_rate = 1e-6
for t in range(500):
    # Forward pass: compute predicted y
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)

    # Compute and print loss
    loss = np.square(y_pred - y).sum()
    print(t, loss)

    # Backprop to compute gradients of w1 and w2 with respect to loss
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)

    # Update weights
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2
"""


def test_but_for_its_clock_the_script_is_the_tutorials_text():
    assert AS_PRINTED in "".join(line for line in TEXT.splitlines(keepends=True) if not line.endswith("# clock\n"))


def test_the_script_runs_and_its_loss_goes_down(tmp_path):
    found = run_script(tmp_path)
    assert found.print_us > 0
    assert found.iteration_us > 0
    assert 500 * found.iteration_us < 3 * 1e6 * found.loop_seconds
    assert found.faults >= 0


def test_a_script_that_breaks_is_an_error_with_its_last_line(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.validation.peers.script.TEXT", "raise ValueError('boom')\n")
    with pytest.raises(ToolError, match="ValueError: boom"):
        run_script(tmp_path)


@given(st.floats(1, 1e4), st.floats(1, 100), st.integers(0, 10**6), st.integers(0, 500))
def test_an_iteration_is_without_its_print_and_without_the_cold_ones(us, print_us, begun, faults):
    each = [1e9 if t < WARM else (us + print_us) * 1e3 for t in range(500)]
    stamps = [begun, *(begun + round(one) for one in accumulate(each))]
    found = read_stamps([stamps, [round(print_us * 1e3)] * 500, [5 + faults * t for t in range(500)]])
    assert found.iteration_us == pytest.approx(us, abs=0.01)
    assert found.print_us == pytest.approx(print_us, abs=0.01)
    assert found.loop_seconds == pytest.approx(sum(each) / 1e9)
    assert found.faults == found.mean_faults == faults


@given(st.lists(st.integers(WARM + 1, 499), min_size=1, max_size=150, unique=True), st.integers(100, 500))
def test_a_heap_that_is_trimmed_now_and_then_is_in_the_mean_and_not_in_the_usual_iteration(trimmed, each):
    faults = list(accumulate(each * (t in trimmed) for t in range(500)))
    found = read_stamps([list(range(501)), [0] * 500, faults])
    assert found.faults == 0
    assert found.mean_faults == pytest.approx(each * len(trimmed) / 399)


def test_ours_is_the_tutorials_numpy_in_float64_on_one_thread_with_its_program():
    asked = []

    def launch(job):
        asked.append(job.case)
        values = {"latency_median_us": 430.0, "loop_seconds": 0.25, "minor_faults_per_iteration": 0.5}
        return Found("ok", values=values, timed_us=[1.0])

    assert run_ours(launch, seed=7) == AsWritten(430.0, 0.25, 0.5)
    (case,) = asked
    assert (case.style, case.problem.dtype, case.threads, case.program) == ("numpy_manual", "float64", 1, True)
    assert case.problem.seed == 7


def silent(_text):
    """Says nothing."""


@pytest.mark.parametrize("found", [Found("wrong", "a sign"), Found("ok", values={"latency_median_us": 1.0})])
def test_a_worker_that_fails_or_has_no_program_is_an_error(found):
    with pytest.raises(ToolError, match=r"a sign|does not say"):
        run_ours(lambda _job: found, 0)


def test_the_tools_are_ratios_of_pairs_in_turns_and_the_page_faults_of_both(monkeypatch):
    called: list[str] = []
    said: list[str] = []
    theirs = cycle([AsWritten(102.0, 0.51, 36.0, 30.0, 37.0), AsWritten(104.0, 0.5, 34.0, 32.0, 39.0)])

    def run_theirs(_folder: Path) -> AsWritten:
        called.append("theirs")
        return next(theirs)

    def ours() -> AsWritten:
        called.append("ours")
        return AsWritten(100.0, 0.5, 35.5)

    monkeypatch.setattr(script, "run_script", run_theirs)
    monkeypatch.setattr(script, "sure", lambda pairs: len(pairs) >= 6)
    found = {tool.quantity: tool for tool in script_tools(ours, 8, said.append)}
    assert called == ["ours", "theirs", "theirs", "ours"] * 3
    each = "the tutorial's script in turns with ours: pair {} of 4, or of 32 where nobody could tell"
    assert said == [each.format(pair) for pair in range(1, 7)]
    assert found[SCRIPT].value == pytest.approx(1.03)
    assert found[SCRIPT].note == "without the script's print, 31 us an iteration"
    assert found[SCRIPT_LOOP].value == pytest.approx(1.01)
    assert found[SCRIPT_FAULTS].value == pytest.approx(-0.5)
    assert found[SCRIPT_FAULTS].note == "35.00 in the script (on average 38.00), 35.50 in a worker"


@given(st.integers(0, 10**6), st.floats(0.002, 0.5))
def test_on_a_noisy_machine_there_are_more_turns_until_a_miss_could_be_told_and_no_end_of_them(seed, spread):
    drawn = Random(seed)

    def one() -> AsWritten:
        return AsWritten(drawn.lognormvariate(0, spread), drawn.lognormvariate(0, spread), 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "run_script", lambda _folder: one())
        iteration, loop, _ = script_tools(one, 24, silent)
    assert 12 <= iteration.n == loop.n <= 12 * MOST
    wide = max(iteration.half_width, loop.half_width) > 0.025
    assert not wide or iteration.n == 12 * MOST


@given(st.integers(0, 10**6), st.floats(0.9, 1.1))
def test_a_neighbour_who_moves_some_turns_by_half_does_not_hide_what_the_script_takes(seed, truly):
    drawn = Random(seed)

    def one(factor: float) -> AsWritten:
        slow = 1.45 if drawn.random() < 0.3 else 1.0
        return AsWritten(factor * slow * drawn.lognormvariate(0, 0.01), drawn.lognormvariate(0, 0.01), 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "run_script", lambda _folder: one(truly))
        iteration, _, _ = script_tools(lambda: one(1.0), 24, silent)
    assert iteration.value == pytest.approx(truly, rel=0.05)


def test_the_command_writes_its_ratios_and_what_they_come_to(tmp_path, monkeypatch):
    theirs = cycle([AsWritten(1.0 + step / 1e3, 1.2, 36.0) for step in range(5)])
    monkeypatch.setattr(script, "run_script", lambda _folder: next(theirs))
    monkeypatch.setattr(script, "run_ours", lambda _launch, _seed: AsWritten(1.0, 1.0, 36.2))
    assert script.main(["--pairs", "10", "--out", str(tmp_path)]) == 1
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    said = [line.split(" | ")[3] for line in text.splitlines() if line.startswith(("| same", "| page"))]
    assert said == ["yes", "no", "yes"]
    assert "`python -m bench.validation.peers.script --pairs 10 --out " in text
    assert len((tmp_path / "tools.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_without_either_side_every_quantity_says_why(monkeypatch):
    def broken(_folder: Path) -> AsWritten:
        raise ToolError("out of order")

    monkeypatch.setattr(script, "run_script", broken)
    found = script_tools(lambda: AsWritten(1.0, 1.0, 0.0), 4, silent)
    assert [(tool.value, tool.note) for tool in found] == [(None, "out of order")] * 3


@pytest.mark.parametrize(
    ("value", "n", "met"), [(0.9, 9, True), (-1.1, 9, False), (36.0, 9, False), (36.0, 2, None), (None, 9, None)]
)
def test_as_many_page_faults_is_within_one_an_iteration(value, n, met):
    assert judge_faults(Tool(SCRIPT_FAULTS, value, "faults", n)).met is met
