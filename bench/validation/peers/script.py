"""The tutorial's own text as a plain script, timed in turns with the baseline that stands for it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from bench.cases.case import Case
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_SIZE, Problem, stable_learning_rate
from bench.machine.device import cpu_model
from bench.runner.turns import Launch, process_launcher
from bench.status import Say, status_line
from bench.tables.csv_files import write_as
from bench.validation.peers.agreement import (
    AGREEMENT,
    SCRIPT,
    SCRIPT_FAULTS,
    SCRIPT_LOOP,
    TOOLS,
    Tool,
    judge_agreement,
    judge_faults,
)
from bench.validation.peers.tools import ToolError, in_turns, measured, start
from bench.words import markdown
from implementations import find_implementations

STYLE = "numpy_manual"
SHARE = 2  # one round for so many of pyperf
MOST = 8  # times as many rounds as at first, while an interval is too wide to tell
WARM = 100  # iterations before those whose times and page faults count, as a worker warms up
# As printed at pytorch.org/tutorials/beginner/pytorch_with_examples.html, but for the lines that end in `# clock`.
TEXT = """
import resource, time # clock
stamps, prints, faults = [0] * 501, [0] * 500, [0] * 500 # clock
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
    # Forward pass: compute predicted y
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)

    # Compute and print loss
    loss = np.square(y_pred - y).sum()
    prints[t] -= time.perf_counter_ns() # clock
    print(t, loss)
    faults[t] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt # clock
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
import json, os # clock
with open(os.environ["FIFTYX_ANSWER"], "w") as file: # clock
    json.dump([stamps, prints, faults], file) # clock
"""


class AsWritten(NamedTuple):
    """What one process of the tutorial's numpy takes on one thread, once it is warm.

    An iteration is without its print, which is `print_us`: the clock of `run` reads a loss and prints none. `faults`
    are the page faults of the median iteration, `mean_faults` those of the mean one: the lines that a print gathers for
    a pipe may lie on top of the heap, which is then trimmed where they are freed, a few times in a script.
    """

    iteration_us: float
    loop_seconds: float
    faults: float
    print_us: float = 0.0
    mean_faults: float = 0.0


def run_script(folder: Path) -> AsWritten:
    """The script in a fresh process, what it prints read from a pipe. Raises ToolError."""
    path, answer = folder / "tutorial.py", folder / "script.json"
    path.write_text(TEXT, encoding="utf-8")
    start([str(path)], folder, {"FIFTYX_ANSWER": str(answer)})
    return read_stamps(json.loads(answer.read_text(encoding="utf-8")))


def read_stamps(found: Any) -> AsWritten:
    """From the script's own clock: ns at the start of each iteration and at the end, and of each print; its faults."""
    stamps, prints, faults = found
    each_ns = [after - before - printed for before, after, printed in zip(stamps, stamps[1:], prints, strict=False)]
    warm = [after - before for before, after in pairwise(faults[WARM:])]
    whole_s, print_us = (stamps[-1] - stamps[0]) / 1e9, median(prints[WARM:]) / 1e3
    return AsWritten(median(each_ns[WARM:]) / 1e3, whole_s, median(warm), print_us, fmean(warm))


def run_ours(launch: Launch, seed: int) -> AsWritten:
    """The baseline `tutorial-1` as `run` measures it, its program too. Raises ToolError."""
    problem = Problem(*TUTORIAL_SIZE, "float64", stable_learning_rate(TUTORIAL_SIZE), seed)
    case = Case(STYLE, "cpu", problem, framework="numpy", program=True)
    return AsWritten(*measured(launch, case, "latency_median_us", "loop_seconds", "minor_faults_per_iteration"))


def script_tools(ours: Callable[[], AsWritten], rounds: int, say: Say) -> list[Tool]:
    """The tutorial's text as a plain script over the baseline `tutorial-1`: an iteration, a loop, and page faults."""
    rounds = max(2, rounds // SHARE)

    def starting(done: int) -> None:
        say(f"{SCRIPT} in turns with ours: pair {done + 1} of {rounds}, or of {MOST * rounds} where nobody could tell")

    try:
        with tempfile.TemporaryDirectory(prefix="fiftyx-") as name:
            pairs = in_turns(lambda: run_script(Path(name)), ours, rounds, MOST * rounds, sure, starting)
    except ToolError as error:
        return [Tool(name, None, "ratio", note=str(error)) for name in (SCRIPT, SCRIPT_LOOP, SCRIPT_FAULTS)]
    script_faults, our_faults = (median(one.faults for one in side) for side in zip(*pairs, strict=True))
    on_average = median(theirs.mean_faults for theirs, _ in pairs)
    faults = f"{script_faults:.2f} in the script (on average {on_average:.2f}), {our_faults:.2f} in a worker"
    return [*ratios(pairs), Tool(SCRIPT_FAULTS, script_faults - our_faults, "faults", len(pairs), faults)]


def ratios(pairs: Sequence[tuple[AsWritten, AsWritten]]) -> list[Tool]:
    """Of an iteration and of a loop, the script's over ours: the median, since a neighbour moves some turns by half."""
    printed = f"without the script's print, {median(theirs.print_us for theirs, _ in pairs):.0f} us an iteration"
    return [
        Tool.median_of(SCRIPT, [theirs.iteration_us / mine.iteration_us for theirs, mine in pairs], printed),
        Tool.median_of(SCRIPT_LOOP, [theirs.loop_seconds / mine.loop_seconds for theirs, mine in pairs]),
    ]


def sure(pairs: Sequence[tuple[AsWritten, AsWritten]]) -> bool:
    """Whether both ratios are known well enough to tell a miss; by their width alone, wherever they are."""
    return all(tool.half_width <= AGREEMENT[tool.quantity] / 2 for tool in ratios(pairs))


README = """\
# The tutorial's script beside the baseline that stands for it

The tutorial's numpy text as a plain script, in turns with `tutorial-1` as `run` measures it, on one thread of
{model}, made by `{command}`: so many pairs until each
ratio is known to half of what it may be off by.

{table}
"""


def main(arguments: Sequence[str]) -> int:
    """Write tools.csv and README.md into --out; 1 where the script is not what stands for it, or nobody can tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation.peers.script", description=__doc__)
    parser.add_argument("--pairs", type=int, default=24, help="at first")
    parser.add_argument("--out", type=Path, default=Path("results/script"), help="folder to write")
    given = parser.parse_args(arguments)
    style = find_implementations()[STYLE]
    launch = process_launcher(Plan("validate", {}, 1, {STYLE: style}))
    with status_line(sys.stderr, rewritten=sys.stderr.isatty(), patient=False) as say:
        tools = script_tools(lambda: run_ours(launch, 0), SHARE * given.pairs, say)
    given.out.mkdir(parents=True, exist_ok=True)
    write_as(given.out / TOOLS, Tool, tools)
    iteration, loop, faults = tools
    checks = [*(judge_agreement(one.quantity, one, AGREEMENT[one.quantity]) for one in (iteration, loop)),
              judge_faults(faults)]  # fmt: skip
    rows = [{name: str(cell) for name, cell in check.row().items()} for check in checks]
    table = markdown(tuple(rows[0]), [tuple(row.values()) for row in rows])
    command = " ".join([parser.prog, *arguments])
    text = README.format(model=cpu_model(), command=command, table=table)
    (given.out / "README.md").write_text(text, encoding="utf-8")
    return 0 if all(check.met for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
