"""Every table that is printed, with long style names, at the widths of a terminal: nothing cut, nothing overhangs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from bench.cases.presets import SWEEP_SIZES
from bench.cases.request import Request, make_plan
from bench.checks import Check
from bench.commands.doctor import print_findings
from bench.commands.list import listing, print_listing
from bench.commands.run import print_plan
from bench.commands.validate import print_checks
from bench.doctor.findings import Finding
from bench.report.comparison import print_comparison
from bench.report.published.cited_source import print_audit
from bench.report.run_end import print_end
from bench.report.run_tables import print_run
from bench.report.verdict import answer, print_judgement
from bench.runner.session import Session
from bench.tables.difference import differences
from bench.tables.run import Run
from bench.tests.fakes import CPU_ONLY, PROBE
from bench.tests.planted import MACHINE, planted
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.comparison import compare
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of
from bench.verdict.published.cited_source import read_figures
from bench.verdict.ratios.speedup import BASELINES
from implementations import find_implementations

WIDTHS = (80, 100, 120, 200)
LONG = {
    "numpy_in_place": "numpy_in_place_blocked_by_cache_lines_24",
    "torch_tensors": "torch_tensors_compiled_max_autotune_no_graphs",
    "torch_autograd": "torch_autograd_captured_in_one_graph",
}
Printer = Callable[[Console], Any]


def a_run(names: dict[str, str], seed: int = 0, sizes: Any = SWEEP_SIZES) -> Run:
    rows = planted(sizes=sizes, blocks=3, seed=seed)
    rows["style"] = rows["style"].replace(names)
    rows["noisy"] = rows["block"] == 1
    return Run(Path("a-run"), rows, MACHINE)


def printers(names: dict[str, str], folder: Path) -> dict[str, Printer]:
    a, b = a_run(names), a_run(names, seed=1)
    evidence, small = Evidence.of(a), Evidence.of(a_run(names, sizes=SWEEP_SIZES[2:3]))
    styles = {names.get(name, name): replace(one, name=names.get(name, name)) for name, one in STYLES.items()}
    plan = make_plan(Request(blocks=3), STYLES, CPU_ONLY)
    cases = {replace(case, style=names.get(case.style, case.style)): count for case, count in plan.cases.items()}
    plan = replace(plan, cases=cases, styles=styles)
    session = Session(plan, folder, "run1", MACHINE, PROBE, resumed=False)
    findings = [Finding("core speed", "warn", "a fixed product takes 43.1 to 43.3 us " * 3, "correct it " * 20)]
    checks = [Check("negative control: " + "copies " * 9, "< 80%, n >= 200", "12.3%", True, 4000, "drawn " * 30)]
    judgement, of_one_size = (judgement_of(one, Question(TUTORIAL_CLAIM)) for one in (evidence, small))
    return {
        "table": lambda to: print_run(to, evidence),
        "table against all": lambda to: print_run(to, small, tuple(BASELINES)),
        "verdict in short": lambda to: print_judgement(to, judgement),
        "verdict": lambda to: print_judgement(to, judgement, everything=True),
        "verdict of one size": lambda to: print_judgement(to, of_one_size, everything=True),
        "end of a run": lambda to: print_end(
            to, evidence, answer(evidence)[1], "fiftyx", "results/run-20261125-155338", drawn=True
        ),
        "compare": lambda to: print_comparison(to, compare(a, b), differences(a, b)),
        "published": lambda to: print_audit(to, read_figures(), 50),
        "list": lambda to: print_listing(to, listing(styles, PROBE)),
        "run --dry-run": lambda to: print_plan(to, session),
        "doctor": lambda to: print_findings(to, findings),
        "validate": lambda to: print_checks(to, checks),
    }


STYLES = find_implementations()
NAMED = ("table", "table against all", "verdict", "verdict of one size", "compare", "list", "run --dry-run")


def printed(printer: Printer, width: int) -> list[str]:
    console = Console(width=width, file=StringIO(), highlight=False, markup=False)
    printer(console)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("names", [{}, LONG], ids=["usual", "long"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_table_fits_and_cuts_neither_names_nor_figures(tmp_path: Path, width: int, names: dict[str, str]) -> None:
    for what, printer in printers(names, tmp_path / "run").items():
        lines = printed(printer, width)
        text = "\n".join(lines)
        assert max(map(len, lines)) <= width, what
        assert "…" not in text, what
        if what in NAMED:
            assert all(name in text for name in names.values()), what
        for line in lines:
            assert line.count("[") == line.count("]"), (what, line)


def _run_printer(run: Run) -> Printer:
    return lambda to: print_run(to, Evidence.of(run))


def test_a_run_that_says_its_heaps_shows_them_and_says_what_they_are() -> None:
    run = a_run({})
    on_cpu = run.measurements["device"] == "cpu"
    nothing = pd.Series(None, index=on_cpu.index, dtype=object)
    for said, shown in ((nothing.mask(on_cpu, "warm"), True), (nothing, False)):
        rows = run.measurements.assign(heap=said)
        lines = printed(_run_printer(replace(run, measurements=rows)), 250)
        assert any("heap: malloc's" in line for line in lines) == shown
    written = run.measurements["style"] == "numpy_manual"
    mixed = run.measurements.assign(heap=nothing.mask(on_cpu, "warm").mask(written, "script"))
    lines = printed(_run_printer(replace(run, measurements=mixed)), 250)
    assert all(" script " in line for line in lines if line.startswith("numpy_manual"))
    assert all(" warm " in line for line in lines if line.startswith("numpy_in_place"))
    assert not any(" warm " in line for line in lines if "cuda:0" in line and line.startswith("torch"))


def test_the_widest_terminal_leaves_nothing_out(tmp_path: Path) -> None:
    for what, printer in printers({}, tmp_path / "run").items():
        if what != "table against all":
            assert "Left out at" not in "\n".join(printed(printer, 200)), what


def test_every_figure_of_a_run_is_the_same_at_every_width(tmp_path: Path) -> None:
    """A speedup over best-cpu has its interval and a latency its spread, however narrow."""
    made = printers({}, tmp_path / "run")["table"]
    wide = re.findall(r"±[\d.]+%", "\n".join(printed(made, 200)))
    assert len(wide) == 6 * len(SWEEP_SIZES)
    for width in WIDTHS:
        text = "\n".join(printed(made, width))
        assert re.findall(r"±[\d.]+%", text) == wide
        assert len(re.findall(r"\[[\d.]+, [\d.]+\]", text)) >= 5 * len(SWEEP_SIZES)
