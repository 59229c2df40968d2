"""The harness against other tools: runs each in processes of its own and notes what it found."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from bench.cases.case import Case
from bench.cases.measurement import Job
from bench.cases.phases import Rule
from bench.cases.problem import Size
from bench.errors import UsageError
from bench.machine import process
from bench.machine.environment import ROOT, THREAD_VARIABLES
from bench.runner.turns import Launch
from bench.status import Say
from bench.tables.run import read_run
from bench.validation.inside import STYLE
from bench.validation.peers.agreement import CLOCK, PEDANTIC, PYPERF, SUITE, TIMEIT, TORCH, UNTIMED, Tool
from implementations import find_implementations

T = TypeVar("T")
PEDANTIC_ROUNDS = 20_000
AGREEMENT_ROUNDS = 60
PYPERF_LOOPS, PYPERF_VALUES, PYPERF_WARMUPS = 50, 10, 10
SUITE_SHARE = 4  # one round for so many of pyperf: it takes so many times as long

PEDANTIC_TEST = """
import json, os, time
from bench.validation.inside import noop

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
from bench.validation.inside import make_loop

runner = pyperf.Runner()
loop = make_loop({size})[0] if runner.parse_args().worker else iter(())
runner.timeit("next(loop)", "next(loop)", globals={{"loop": loop}})
"""


class ToolError(UsageError):
    """A tool that gave no answer, or the harness itself; the message is the reason."""


def measure_tools(size: Size, ours: Callable[[str], float], rounds: int, say: Say) -> Iterator[Tool]:
    """Every quantity in turn, `ours` gives a column by the harness; a tool that fails is one without a value."""
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as name:
        folder = Path(name)
        tools: tuple[tuple[tuple[str, ...], str, Callable[[], list[Tool]]], ...] = (
            ((CLOCK, UNTIMED), "us", clock_tools),
            ((PEDANTIC,), "us", lambda: [pedantic_tool(folder)]),
            ((TIMEIT, TORCH), "ratio", lambda: agreement_tools(size)),
            ((PYPERF,), "ratio", lambda: [pyperf_tool(folder, size, ours, rounds)]),
            ((SUITE,), "ratio", lambda: [suite_tool(folder, size, ours, max(2, rounds // SUITE_SHARE))]),
        )
        for quantities, unit, measure in tools:
            say(f"beside other tools: {', '.join(quantities)}")
            try:
                yield from measure()
            except ToolError as error:
                yield from (Tool(quantity, None, unit, note=str(error)) for quantity in quantities)


def clock_tools() -> list[Tool]:
    """What the harness's own clock costs."""
    found = ask("clock")
    return [Tool(CLOCK, found["timed_us"], "us", found["n"]), Tool(UNTIMED, found["untimed_us"], "us", found["n"])]


def agreement_tools(size: Size) -> list[Tool]:
    """The same loop in the same process by timeit and by torch's timer, over ours."""
    found = ask("agreement", size, AGREEMENT_ROUNDS)
    by_torch = Tool(TORCH, None, "ratio", note="torch is not installed")
    if "torch" in found:
        by_torch = Tool.median_of(TORCH, found["torch"])
    return [Tool.median_of(TIMEIT, found["timeit"]), by_torch]


def pedantic_tool(folder: Path) -> Tool:
    """Untimed cost between samples of pytest-benchmark's pedantic mode, on the same no-op."""
    installed("pytest_benchmark", "pytest-benchmark")
    test, answer, empty = (folder / name for name in ("test_noop.py", "answer.json", "pytest.ini"))
    test.write_text(PEDANTIC_TEST.format(rounds=PEDANTIC_ROUNDS), encoding="utf-8")
    empty.write_text("[pytest]\n", encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-c", str(empty), str(test), "--benchmark-disable-gc"]
    start(["-m", "pytest", *options], folder, {"FIFTYX_ANSWER": str(answer)})
    found = json.loads(answer.read_text(encoding="utf-8"))
    return Tool(PEDANTIC, found["untimed_us"], "us", found["n"])


def pyperf_tool(folder: Path, size: Size, ours: Callable[[str], float], rounds: int) -> Tool:
    """pyperf in its own fresh process over the harness in its own."""
    installed("pyperf", "pyperf")
    script = folder / "by_pyperf.py"
    script.write_text(PYPERF_SCRIPT.format(size=tuple(size)), encoding="utf-8")
    return Tool.ratio_of(PYPERF, in_turns(lambda: pyperf_us(script), lambda: ours("throughput_us"), rounds))


def suite_tool(folder: Path, size: Size, ours: Callable[[str], float], rounds: int) -> Tool:
    """`pytest --benchmark-only` of this project over `run`: the medians of one case."""
    installed("pytest_benchmark", "pytest-benchmark")
    return Tool.ratio_of(SUITE, in_turns(lambda: suite_us(folder, size), lambda: ours("latency_median_us"), rounds))


def in_turns(
    theirs: Callable[[], T],
    ours: Callable[[], T],
    rounds: int,
    most: int = 0,
    enough: Callable[[list[tuple[T, T]]], bool] = lambda _found: True,
    starting: Callable[[int], None] = lambda _done: None,
) -> list[tuple[T, T]]:
    """(theirs, ours) of so many rounds; who goes first alternates, so that a drift of the machine favours neither.

    And of more, `most` in all, until they are `enough`. Each round is told how many were before it.
    """
    found: list[tuple[T, T]] = []
    while len(found) < rounds or (len(found) < most and not enough(found)):
        starting(len(found))
        first, second = (theirs(), ours()) if len(found) % 2 else (ours(), theirs())
        found.append((first, second) if len(found) % 2 else (second, first))
    return found


def pyperf_us(script: Path) -> float:
    """us an iteration by pyperf: the median of its values from one fresh worker."""
    out = script.with_suffix(".json")
    out.unlink(missing_ok=True)
    options = [
        "-q", "-o", str(out), "-p", "1", "-l", str(PYPERF_LOOPS), "-n", str(PYPERF_VALUES), "-w", str(PYPERF_WARMUPS),
        "--inherit-environ", ",".join((*THREAD_VARIABLES, "PYTHONPATH", "PYTHONHASHSEED")),
    ]  # fmt: skip
    start([str(script), *options], script.parent)
    runs = json.loads(out.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
    values: list[float] = [value for run in runs for value in run.get("values", ())]
    return median(values) * 1e6


def suite_us(folder: Path, size: Size) -> float:
    """us an iteration by one session of `pytest --benchmark-only` over the same case."""
    out = folder / "suite.json"
    options = [f"--fiftyx-{one}" for one in (f"style={STYLE}", "device=cpu", "dtype=float32")]
    options.append(f"--fiftyx-size={','.join(map(str, size))}")
    suite = str(Path(__file__).parents[2] / "suite")
    command = ["-m", "pytest", suite, "-q", "-p", "no:cacheprovider", "-k", "test_iteration"]
    start([*command, "--benchmark-only", f"--benchmark-json={out}", *options], ROOT)
    return float(read_run(out).measurements["latency_median_us"].median())


def measured(launch: Launch, case: Case, *columns: str) -> list[float]:
    """Some columns of what the harness finds of a case in a fresh process. Raises ToolError."""
    found = launch(Job(case, find_implementations()[case.style], Rule()))
    values = [found.values.get(name) for name in columns]
    if found.status != "ok" or None in values:
        reason = found.reason or f"it does not say {' and '.join(columns)}"
        raise ToolError(f"a worker fails, so nothing can be validated: {reason}; try: fiftyx doctor")
    return [float(value or 0) for value in values]


def installed(module: str, package: str) -> None:
    """Raises ToolError where it is not."""
    if importlib.util.find_spec(module) is None:
        raise ToolError(f"{package} is not installed; pip install {package}")


def ask(*question: Any) -> Any:
    """The answer of a fresh `bench.validation.inside`. Raises ToolError."""
    answer = process.ask("bench.validation.inside", question)
    if answer.status is not None:
        raise ToolError(answer.reason)
    return answer.value


def start(command: list[str], folder: Path, variables: Mapping[str, str] | None = None) -> None:
    """Run `python command` in a worker's environment for one thread. Raises ToolError."""
    ended = process.run_python(command, folder=str(folder), variables=variables)
    if ended.status is not None:
        raise ToolError(ended.reason)
