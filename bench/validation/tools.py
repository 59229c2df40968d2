"""The harness beside other tools: runs each in processes of its own and notes what it found."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from bench.machine import process
from bench.machine.environment import THREAD_VARIABLES

PEDANTIC_ROUNDS = 20_000
AGREEMENT_ROUNDS = 60
PYPERF_LOOPS, PYPERF_VALUES, PYPERF_WARMUPS = 50, 10, 10
CLOCK, UNTIMED, PEDANTIC = "clock", "untimed", "pedantic untimed"
TIMEIT, TORCH, PYPERF = "timeit", "torch Timer", "pyperf"

PEDANTIC_TEST = """
import json, os, time
from bench.validation.probe import noop

def test_noop(benchmark):
    loop = noop()
    start = time.perf_counter()
    benchmark.pedantic(next, args=(loop,), rounds={rounds}, iterations=1, warmup_rounds=0)
    wall = time.perf_counter() - start
    data = benchmark.stats.stats.data
    with open(os.environ["FIFTYX_ANSWER"], "w") as file:
        json.dump({{"untimed_us": (wall - sum(data)) / len(data) * 1e6, "n": len(data)}}, file)
"""
PYPERF_SCRIPT = """
import pyperf
from bench.validation.probe import make_loop

runner = pyperf.Runner()
loop = make_loop({size})[0] if runner.parse_args().worker else iter(())
runner.timeit("next(loop)", "next(loop)", globals={{"loop": loop}})
"""


class ToolError(RuntimeError):
    """A tool that gave no answer; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One quantity: its value in `unit`, None where it is not known, from `n` samples; the note says why or what."""

    quantity: str
    value: float | None
    unit: str
    n: int = 0
    note: str = ""

    def row(self) -> dict[str, Any]:
        """One row of tools.csv."""
        return {"quantity": self.quantity, "value": self.value, "unit": self.unit, "n": self.n, "note": self.note}

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Tool:
        """From what `row` wrote and a CSV gave back."""
        value = float(row["value"]) if row["value"] else None
        return cls(row["quantity"], value, row["unit"], int(row["n"]), row["note"])


def measure_tools(size: tuple[int, int, int, int], ours: Callable[[], float], rounds: int) -> Iterator[Tool]:
    """Every quantity in turn. `ours` measures the loop by the harness in a fresh process and gives us an iteration."""
    yield from _guarded((CLOCK, UNTIMED), "us", clock_tools)
    yield from _guarded((PEDANTIC,), "us", pedantic_tool)
    yield from _guarded((TIMEIT, TORCH), "ratio", lambda: agreement_tools(size))
    yield from _guarded((PYPERF,), "ratio", lambda: pyperf_tool(size, ours, rounds))


def _guarded(quantities: tuple[str, ...], unit: str, measure: Callable[[], list[Tool]]) -> list[Tool]:
    """What was measured; a tool that fails is a quantity without a value, with the reason."""
    try:
        return measure()
    except ToolError as error:
        return [Tool(quantity, None, unit, note=str(error)) for quantity in quantities]


def clock_tools() -> list[Tool]:
    """What the harness's own clock costs."""
    found = ask({"clock": True})["clock"]
    return [Tool(CLOCK, found["timed_us"], "us", found["n"]), Tool(UNTIMED, found["untimed_us"], "us", found["n"])]


def agreement_tools(size: tuple[int, int, int, int]) -> list[Tool]:
    """The same loop in the same process by timeit and by torch's timer, over ours."""
    found = ask({"rounds": AGREEMENT_ROUNDS, "size": size})["agreement"]
    torch = found.get("torch")
    note = "" if torch is not None else "torch is not installed"
    return [
        Tool(TIMEIT, found["timeit"], "ratio", AGREEMENT_ROUNDS),
        Tool(TORCH, torch, "ratio", AGREEMENT_ROUNDS if torch is not None else 0, note),
    ]


def pedantic_tool() -> list[Tool]:
    """Untimed cost between samples of pytest-benchmark's pedantic mode, on the same no-op."""
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise ToolError("pytest-benchmark is not installed; pip install 'fiftyx[test]'")
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as folder:
        test, answer = Path(folder, "test_noop.py"), Path(folder, "answer.json")
        test.write_text(PEDANTIC_TEST.format(rounds=PEDANTIC_ROUNDS), encoding="utf-8")
        empty = Path(folder, "pytest.ini")
        empty.write_text("[pytest]\n", encoding="utf-8")
        command = [
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            str(empty),
            str(test),
            "--benchmark-disable-gc",
        ]
        start(command, folder, variables={"FIFTYX_ANSWER": str(answer)})
        found = json.loads(answer.read_text(encoding="utf-8"))
    return [Tool(PEDANTIC, found["untimed_us"], "us", found["n"])]


def pyperf_tool(size: tuple[int, int, int, int], ours: Callable[[], float], rounds: int) -> list[Tool]:
    """pyperf in its own fresh process over the harness in its own, in turns; geometric mean of the rounds."""
    if importlib.util.find_spec("pyperf") is None:
        raise ToolError("pyperf is not installed; pip install 'fiftyx[test]'")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as folder:
        script = Path(folder, "by_pyperf.py")
        script.write_text(PYPERF_SCRIPT.format(size=tuple(size)), encoding="utf-8")
        for number in range(rounds):
            # who goes first alternates, so that a drift of the machine favours neither
            if number % 2:
                theirs, own = pyperf_us(script, number), ours()
            else:
                own, theirs = ours(), pyperf_us(script, number)
            ratios.append(theirs / own)
    return [Tool(PYPERF, geometric_mean(ratios), "ratio", rounds)]


def pyperf_us(script: Path, number: int) -> float:
    """us an iteration by pyperf: the median of its values from one fresh worker."""
    out = script.with_name(f"out-{number}.json")
    options = [
        "-q", "-o", str(out), "-p", "1", "-l", str(PYPERF_LOOPS), "-n", str(PYPERF_VALUES), "-w", str(PYPERF_WARMUPS),
        "--inherit-environ", ",".join((*THREAD_VARIABLES, "PYTHONPATH", "PYTHONHASHSEED")),
    ]  # fmt: skip
    start([str(script), *options], str(script.parent))
    runs = json.loads(out.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
    values: list[float] = [value for run in runs for value in run.get("values", ())]
    return median(values) * 1e6


def ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a fresh `bench.validation.probe`. Raises ToolError."""
    answer = process.ask("bench.validation.probe", request)
    if answer.status is not None:
        raise ToolError(answer.reason)
    found: dict[str, Any] = answer.value
    return found


def start(command: list[str], folder: str, variables: Mapping[str, str] | None = None) -> None:
    """Run `python command` in a worker's environment for one thread. Raises ToolError."""
    ended = process.run_python(command, folder=folder, variables=variables)
    if ended.status is not None:
        raise ToolError(ended.reason)
