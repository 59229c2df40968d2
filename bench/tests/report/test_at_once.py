"""A style that starts several iterations at once, in tables, charts, speedups and the verdict: never by iteration."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from rich.console import Console

from bench.cases.measurement import Measurement
from bench.charts.draw import figures
from bench.machine.ceilings import Ceiling
from bench.report.pages.page import render
from bench.report.run_tables import print_run
from bench.runner.below import with_floor
from bench.tests.fakes import a_case, a_measurement
from bench.tests.runs import around, write_run
from bench.verdict.claim import at_least
from bench.verdict.contenders import BEST_GPU
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of
from bench.verdict.ratios.pairs import SCOPES

AT_ONCE = a_case("scan", "cuda:0", framework="torch", dtype="float32", ahead=50)
ALONE = a_case("graph", "cuda:0", framework="torch", dtype="float32")
ON_CPU = a_case("numpy_in_place", dtype="float32")


def started_at_once(block: int, each_us: float = 1.0) -> Measurement:
    values = {
        "latency_median_us": None, "throughput_us": each_us, "iterations_per_launch": 50, "launched_us": 1.5 * each_us,
        "first_loss_us": 52 * each_us, "first_iteration_seconds": 1.0, "import_seconds": 1.0, "transfer_seconds": 0.1,
        "loop_seconds": 0.01, "program_seconds": 3.0, "flops": AT_ONCE.problem.flops,
    }  # fmt: skip
    return a_measurement(AT_ONCE, block, values=values, timed_us=(1.5 * each_us,))


@pytest.fixture
def evidence(tmp_path) -> Evidence:
    others = [started_at_once(block, each) for block, each in enumerate(around(1.0))]
    return Evidence.of(write_run(tmp_path / "run", {ON_CPU: around(100.0), ALONE: around(40.0)}, others=others))


def test_it_has_a_speedup_by_throughput_and_none_by_iteration(evidence):
    found = {one.scope for one in evidence.speedups if one.contender == AT_ONCE.key}
    assert found == {"throughput"}  # the CPU's whole loop was not timed here
    assert AT_ONCE.key in evidence.measured


@pytest.mark.parametrize("scope", SCOPES)
def test_it_is_the_best_gpu_by_throughput_alone(evidence, scope):
    found = judgement_of(evidence, Question(at_least(50.0), "best-cpu", BEST_GPU, scope)).main
    fastest = {one.speedup.contender.style for one in found if one.speedup is not None}
    assert fastest == {"iteration": {"graph"}, "throughput": {"scan"}, "loop": set(), "program": set()}[scope]


def test_a_table_says_how_many_it_starts_and_what_a_loss_is_waited_for(evidence):
    to = Console(file=StringIO(), width=200)
    print_run(to, evidence)
    text = to.file.getvalue()  # type: ignore[attr-defined]
    row = next(line for line in text.splitlines() if line.startswith("scan"))
    assert row.split() == ["scan", "cuda:0", "1.00", "1,000,000", "50"]  # in a batch, first call: no latency before it
    said = " ".join(text.split())
    assert "scan cuda:0 float32: 50 iterations a launch, whose losses become known together: 52" in said
    assert "1.50 us an iteration with all of them read; it counts by throughput and in whole loops" in said
    rows = [line.split()[0] for line in text.splitlines() if line.startswith(("scan", "graph", "numpy_in_place "))]
    assert rows[:3] == ["graph", "numpy_in_place", "scan"]


def test_a_run_without_one_has_no_column_for_it(tmp_path):
    to = Console(file=StringIO(), width=200)
    print_run(to, Evidence.of(write_run(tmp_path / "run", {ON_CPU: around(100.0), ALONE: around(40.0)})))
    assert "a launch" not in to.file.getvalue()  # type: ignore[attr-defined]


def test_a_ladder_has_it_hatched_by_throughput_and_no_chart_of_latencies_has_it(evidence):
    for name, figure in figures(evidence):
        written = [text.get_text() for text in figure.findobj(Text)]
        hatched = [bar for bar in figure.findobj(Rectangle) if bar.get_hatch()]
        in_ladder = name.startswith("speedup-")
        assert written.count("scan") == len(hatched) == in_ladder, name
        assert any("hatched: by throughput" in text for text in written) == in_ladder
    assert "50 iterations a launch" in render(evidence)


@given(st.floats(0.01, 100.0))
def test_a_throughput_below_the_floor_is_wrong_though_there_is_no_latency(each_us):
    products = AT_ONCE.problem.product_flops
    ceiling = Ceiling("gemm", "torch", "cuda:0", "float32", "ieee", 1, gflops=products / 1e3)  # 1 us
    found = with_floor(started_at_once(0, each_us), [ceiling])
    assert found.status == ("wrong" if each_us < 0.95 else "ok")
    if found.status == "ok":
        assert found.values["floor_share"] == pytest.approx(1.0 / each_us)
    missing = replace(started_at_once(0, each_us), values={**started_at_once(0).values, "iterations_per_launch": 1})
    assert with_floor(missing, [ceiling]).status == "wrong"
