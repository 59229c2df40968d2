"""The tutorial's own text as a plain script, timed in turns with the baseline that stands for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.cases.case import Case
from bench.cases.problem import TUTORIAL_ITERATIONS, TUTORIAL_SIZE, Problem, stable_learning_rate
from bench.runner.turns import Launch
from bench.validation.peers.agreement import AGREEMENT, SCRIPT, SCRIPT_FAULTS, SCRIPT_LOOP, Tool
from bench.validation.peers.tools import ToolError, find, in_turns, reduced, start

STYLE = "numpy_manual"
SHARE = 2  # one round for so many of pyperf
MOST = 8  # times as many rounds as at first, while an interval is too wide to tell
WARM = 100  # iterations before those whose times and page faults count, as a worker warms up
# As printed at pytorch.org/tutorials/beginner/pytorch_with_examples.html, but for the lines that end in `# clock`.
TEXT = """
import resource, time # clock
stamps, prints, faults = [0] * 501, [0] * 500, [0, 0] # clock
# -*- coding: utf-8 -*-
import numpy as np

# N is batch size; D_in is input dimension;
# H is hidden dimension; D_out is output dimension.
N, D_in, H, D_out = 64, 1000, 100, 10

# Create random input and output data
x = np.random.randn(N, D_in)
y = np.random.randn(N, D_out)

# Randomly initialize weights
w1 = np.random.randn(D_in, H)
w2 = np.random.randn(H, D_out)

learning_rate = 1e-6
for t in range(500):
    stamps[t] = time.perf_counter_ns() # clock
    if t == 100: faults[0] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt # clock
    # Forward pass: compute predicted y
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)

    # Compute and print loss
    loss = np.square(y_pred - y).sum()
    prints[t] -= time.perf_counter_ns() # clock
    print(t, loss)
    prints[t] += time.perf_counter_ns() # clock

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
stamps[500] = time.perf_counter_ns() # clock
faults[1] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt # clock
import json, os # clock
with open(os.environ["FIFTYX_ANSWER"], "w") as file: # clock
    json.dump([stamps, prints, faults], file) # clock
"""


class AsWritten(NamedTuple):
    """What one process of the tutorial's numpy takes on one thread; page faults are of an iteration once it is warm.

    An iteration is without its print, which is `print_us`: the clock of `run` reads a loss and prints none.
    `quick_us` is the 10th percentile of its iterations: a neighbour who is there half of the time moves their median
    from process to process by half.
    """

    iteration_us: float
    quick_us: float
    loop_seconds: float
    faults: float
    print_us: float = 0.0


def run_script(folder: Path) -> AsWritten:
    """The script in a fresh process, what it prints read from a pipe. Raises ToolError."""
    path, answer = folder / "tutorial.py", folder / "script.json"
    path.write_text(TEXT, encoding="utf-8")
    start([str(path)], folder, {"FIFTYX_ANSWER": str(answer)})
    return read_stamps(json.loads(answer.read_text(encoding="utf-8")))


def read_stamps(found: Any) -> AsWritten:
    """From the script's own clock: ns at the start of each iteration and at the end, and of each print; two counts."""
    stamps, prints, faults = found
    each_ns = [after - before - printed for before, after, printed in zip(stamps, stamps[1:], prints, strict=False)]
    per_iteration = (faults[1] - faults[0]) / (TUTORIAL_ITERATIONS - WARM)
    whole_s = (stamps[-1] - stamps[0]) / 1e9
    warm_us = [each / 1e3 for each in each_ns[WARM:]]
    return AsWritten(median(warm_us), quick(warm_us), whole_s, per_iteration, median(prints[WARM:]) / 1e3)


def quick(times_us: Sequence[float]) -> float:
    """The 10th percentile."""
    return quantiles(times_us, n=10)[0]


def run_ours(launch: Launch, seed: int) -> AsWritten:
    """The baseline `tutorial-1` as `run` measures it, its program too. Raises ToolError."""
    problem = Problem(*TUTORIAL_SIZE, "float64", stable_learning_rate(TUTORIAL_SIZE), seed)
    case = Case(STYLE, "cpu", problem, framework="numpy", program=True)
    found = find(launch, case)
    median_us, loop_seconds, faults = reduced(
        found, "latency_median_us", "loop_seconds", "minor_faults_per_iteration"
    )  # fmt: skip
    return AsWritten(median_us, quick(found.timed_us), loop_seconds, faults)


def script_tools(ours: Callable[[], AsWritten], rounds: int) -> list[Tool]:
    """The tutorial's text as a plain script over the baseline `tutorial-1`: an iteration, a loop, and page faults."""
    rounds = max(2, rounds // SHARE)
    try:
        with tempfile.TemporaryDirectory(prefix="fiftyx-") as name:
            pairs = in_turns(lambda: run_script(Path(name)), ours, rounds, MOST * rounds, sure)
    except ToolError as error:
        return [Tool(name, None, "ratio", note=str(error)) for name in (SCRIPT, SCRIPT_LOOP, SCRIPT_FAULTS)]
    script_faults, our_faults = (median(one.faults for one in side) for side in zip(*pairs, strict=True))
    faults = f"{script_faults:.2f} in the script, {our_faults:.2f} in a worker"
    return [*ratios(pairs), Tool(SCRIPT_FAULTS, script_faults - our_faults, "faults", len(pairs), faults)]


def ratios(pairs: Sequence[tuple[AsWritten, AsWritten]]) -> list[Tool]:
    """Of an iteration and of a loop, the script's over ours."""
    quick_us, iterations, loops = (
        [(getattr(theirs, name), getattr(mine, name)) for theirs, mine in pairs]
        for name in ("quick_us", "iteration_us", "loop_seconds")
    )
    printed = median(theirs.print_us for theirs, _ in pairs)
    of_medians = Tool.ratio_of(SCRIPT, iterations)
    note = f"10th percentiles without the script's print, {printed:.0f} us an iteration; medians {of_medians.shown}"
    return [Tool.ratio_of(SCRIPT, quick_us, note), Tool.ratio_of(SCRIPT_LOOP, loops)]


def sure(pairs: Sequence[tuple[AsWritten, AsWritten]]) -> bool:
    """Whether both ratios are known well enough to tell a miss; by their width alone, wherever they are."""
    return all(tool.half_width <= AGREEMENT[tool.quantity] / 2 for tool in ratios(pairs))
