"""The harness against other tools: runs each in processes of its own and notes what it found."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, TypeVar

from bench.cases.case import Case
from bench.cases.measurement import Job
from bench.cases.phases import Rule
from bench.cases.problem import Size
from bench.checks import Check
from bench.errors import UsageError
from bench.machine import process
from bench.machine.environment import ROOT, THREAD_VARIABLES
from bench.runner.turns import Launch
from bench.tables.run import read_run
from bench.validation.inside import STYLE
from implementations import find_implementations

T = TypeVar("T")
TOOLS = "tools.csv"
PEDANTIC_ROUNDS = 20_000
AGREEMENT_ROUNDS = 60
FEW_PAIRS = 5
PYPERF_LOOPS, PYPERF_VALUES, PYPERF_WARMUPS = 50, 10, 10
SUITE_SHARE = 4  # one round for so many of pyperf: it takes so many times as long
CLOCK, UNTIMED, PEDANTIC = "clock", "untimed", "pedantic untimed"
TIMEIT, TORCH, PYPERF, SUITE = "timeit", "torch Timer", "pyperf", "pytest --benchmark-only"
SCRIPT, SCRIPT_LOOP, SCRIPT_FAULTS = "the tutorial's script", "the tutorial's script, loop", "script page faults"
CLOCK_US, UNTIMED_US = 0.1, 0.4  # at most
# of theirs with ours
AGREEMENT = {TIMEIT: 0.005, TORCH: 0.005, PYPERF: 0.02, SUITE: 0.05, SCRIPT: 0.05, SCRIPT_LOOP: 0.05}
FAULTS_LIMIT = 1.0  # an iteration, between the script and ours

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


@dataclass(frozen=True, slots=True)
class Tool:
    """One quantity: its value in `unit`, None where it is not known, from `n` samples; the note says why or what."""

    quantity: str
    value: float | None
    unit: str
    n: int = 0
    note: str = ""


def measure_tools(size: Size, ours: Callable[[str], float], rounds: int) -> Iterator[Tool]:
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
        by_torch = Tool(TORCH, found["torch"], "ratio", AGREEMENT_ROUNDS)
    return [Tool(TIMEIT, found["timeit"], "ratio", AGREEMENT_ROUNDS), by_torch]


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
    pairs = in_turns(lambda: pyperf_us(script), lambda: ours("throughput_us"), rounds)
    return Tool(PYPERF, ratio_of(pairs), "ratio", rounds)


def suite_tool(folder: Path, size: Size, ours: Callable[[str], float], rounds: int) -> Tool:
    """`pytest --benchmark-only` of this project over `run`: the medians of one case."""
    installed("pytest_benchmark", "pytest-benchmark")
    pairs = in_turns(lambda: suite_us(folder, size), lambda: ours("latency_median_us"), rounds)
    return Tool(SUITE, ratio_of(pairs), "ratio", rounds)


def in_turns(theirs: Callable[[], T], ours: Callable[[], T], rounds: int) -> list[tuple[T, T]]:
    """(theirs, ours) of so many rounds; who goes first alternates, so that a drift of the machine favours neither."""
    found = []
    for number in range(rounds):
        first, second = (theirs(), ours()) if number % 2 else (ours(), theirs())
        found.append((first, second) if number % 2 else (second, first))
    return found


def ratio_of(pairs: Sequence[tuple[float, float]]) -> float:
    """Theirs over ours, the geometric mean."""
    return geometric_mean(theirs / ours for theirs, ours in pairs)


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
    suite = str(Path(__file__).parents[1] / "suite")
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


def judge_tools(tools: Mapping[str, Tool]) -> list[Check]:
    """What the clock costs, and whether other tools find the same."""
    pedantic = tools.get(PEDANTIC) or Tool(PEDANTIC, None, "us", note="not measured")
    note = f"pytest-benchmark pedantic: {pedantic.note if pedantic.value is None else f'{pedantic.value:.2f} us'}"
    clock, untimed, us = tools.get(CLOCK), tools.get(UNTIMED), "{:.3f} us"
    return [
        judge_tool("cost of the clock: a no-op sample", f"<= {CLOCK_US:g} us", clock, CLOCK_US, us),
        judge_tool("untimed between samples", f"<= {UNTIMED_US:g} us", untimed, UNTIMED_US, us, note=note),
        *(judge_agreement(name, tools.get(name), limit) for name, limit in AGREEMENT.items()),
        judge_faults(tools.get(SCRIPT_FAULTS)),
    ]


def judge_agreement(name: str, tool: Tool | None, limit: float) -> Check:
    """The same loop by another tool, over ours."""
    title, must = f"same quantity by {name}", f"within {limit:.1%}"
    return judge_tool(title, must, tool, limit, "{:+.2%}", expected=1.0, note="theirs over ours, in turns")


def judge_faults(tool: Tool | None) -> Check:
    """Page faults an iteration of the tutorial's script, less those of the baseline that stands for it."""
    title = "page faults an iteration: the tutorial's script less ours"
    return judge_tool(title, f"within {FAULTS_LIMIT:g}", tool, FAULTS_LIMIT, "{:+.2f}")


def judge_tool(
    title: str, must: str, tool: Tool | None, limit: float, shown: str, *, expected: float = 0.0, note: str = ""
) -> Check:
    """How far a quantity is from what is expected; of fewer than FEW_PAIRS a miss is noise, and tests nothing."""
    if tool is None or tool.value is None:
        return Check(title, must, "", None, 0, tool.note if tool else "not measured")
    off = tool.value - expected
    met = abs(off) <= limit or (None if tool.n < FEW_PAIRS else False)
    return Check(title, must, shown.format(off), met, tool.n, "; ".join(filter(None, (note, tool.note))))
