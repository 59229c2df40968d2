"""Tests of bench.report.verdict: one sentence answers, the same on the terminal, the page and in the index."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.machine.environment import ROOT
from bench.report.pages.index import render as index
from bench.report.pages.page import render as page
from bench.report.reach import reach_sheets
from bench.report.verdict import answer, print_judgement, sentence
from bench.report.verdict_tables import findings_sheet
from bench.tables.run import read_run
from bench.tests.fakes import REASON, a_case, a_measurement
from bench.tests.runs import TORCH, around, write_run
from bench.verdict.claim import TUTORIAL_CLAIM, at_least
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of

FLOAT32: dict[str, Any] = {"dtype": "float32", "size": (64, 1000, 100, 10)}
LARGE: dict[str, Any] = {"dtype": "float32", "size": (512, 8000, 800, 80)}
CASES = {
    a_case("numpy_manual", **{**FLOAT32, "dtype": "float64"}): around(700),
    a_case("numpy_in_place", **FLOAT32): around(170),
    a_case("torch_tensors", framework="torch", **FLOAT32): around(340),
}
ON_GPU = a_case("torch_tensors", "cuda:0", framework="torch", **FLOAT32)
GPU: dict[str, Any] = {"devices": {"cpu": {"model": "a processor"}, "cuda:0": {"model": "a GPU"}}, "missing": {}}


def test_a_run_without_a_single_number_is_untested(tmp_path: Path) -> None:
    skipped = a_measurement(TORCH, 0, status="skipped", reason=REASON, values={})
    run = write_run(tmp_path / "a", {}, others=[skipped])
    assert answer(Evidence.of(run)) == ("untested", "Untested: no case of this run could be measured.")


def test_without_a_gpu_it_is_untested_and_names_the_fastest(tmp_path: Path) -> None:
    outcome, words = answer(Evidence.of(write_run(tmp_path / "a", CASES)))
    assert outcome == "untested"
    assert "no GPU was measured" in words
    assert "numpy_in_place float32, 1 thread: 170 us" in words
    assert words.count(". ") == 0


def test_with_a_gpu_it_gives_its_ratio_to_the_fastest_cpu_style(tmp_path: Path) -> None:
    outcome, words = answer(Evidence.of(write_run(tmp_path / "a", {**CASES, ON_GPU: around(100)}, **GPU)))
    assert outcome != "untested"
    assert "the fastest GPU style (torch_tensors float32, a GPU: 100 us an iteration)" in words
    assert "1.70x [1.70, 1.70] as fast as the fastest CPU style (numpy_in_place float32, 1 thread: 170 us)" in words


def test_it_names_the_size_where_the_gpu_gains_most(tmp_path: Path) -> None:
    cpu, gpu = a_case("numpy_in_place", **LARGE), a_case("torch_tensors", "cuda:0", framework="torch", **LARGE)
    run = write_run(tmp_path / "a", {**CASES, ON_GPU: around(100), cpu: around(9270), gpu: around(900)}, **GPU)
    assert answer(Evidence.of(run))[1].endswith("; the highest is 10.3x [10.3, 10.3] at 512x8000x800x80.")


def test_a_gpu_without_a_cpu_to_compare_says_what_is_missing(tmp_path: Path) -> None:
    words = answer(Evidence.of(write_run(tmp_path / "a", {ON_GPU: around(100)}, **GPU)))[1]
    assert words.startswith("Untested: the baseline best-cpu was not measured at this size; ")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(TUTORIAL_CLAIM, baseline="tutorial-1"), "as fast as the tutorial's numpy (numpy_manual float64"),
        (Question(TUTORIAL_CLAIM, contender="torch_tensors"), "size 64x1000x100x10 torch_tensors (torch_tensors float"),
        (Question(TUTORIAL_CLAIM, scope="throughput"), "by throughput the fastest GPU style"),
        (
            Question(at_least(1.5)),
            "whether often 1.5x here, 0 of 6 sizes of the grid supported, 0 refuted, 1 undecided, 5 ",
        ),
    ],
)
def test_another_question_has_its_own_names_in_the_sentence(tmp_path: Path, question: Question, words: str) -> None:
    run = write_run(tmp_path / "a", {**CASES, ON_GPU: around(100)}, **GPU)
    assert words in sentence(judgement_of(Evidence.of(run), question))


def test_terminal_page_and_index_say_the_same_sentence(tmp_path: Path) -> None:
    evidence = Evidence.of(write_run(tmp_path / "a", {**CASES, ON_GPU: around(100)}, **GPU))
    words = answer(evidence)[1]
    console = Console(width=10_000, file=StringIO())
    print_judgement(console, judgement_of(evidence, Question(TUTORIAL_CLAIM)))
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().startswith(f"a: {words}\n")
    assert words in page(evidence).replace("&#39;", "'")
    assert words in index(tmp_path).replace("\\", "")


def test_of_what_no_gpu_can_be_it_gives_one_figure_that_of_the_size_it_names(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", {**CASES, a_case("numpy_in_place", **LARGE): around(9270)})
    for contender in ("best-gpu", "best-gpu-tf32"):
        words = sentence(judgement_of(Evidence.of(run), Question(TUTORIAL_CLAIM, contender=contender)))
        assert words.count("at most") == 1, words


def test_a_baseline_that_bounds_nothing_has_no_table_of_bounds(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", {a_case("numpy_manual", dtype="float64"): around(700)})
    assert reach_sheets(judgement_of(Evidence.of(run), Question(TUTORIAL_CLAIM))) == []
    (by_scope, _by_card) = reach_sheets(judgement_of(Evidence.of(run), Question(TUTORIAL_CLAIM, "tutorial-1")))
    assert len(by_scope.columns) > 1


def test_the_table_of_all_says_why_in_its_title_where_every_row_has_the_same_reason() -> None:
    evidence = Evidence.of(read_run(ROOT / "results" / "tutorial-cpu"))
    untested = findings_sheet(judgement_of(evidence, Question(TUTORIAL_CLAIM)))
    assert "; no best-gpu was measured" in untested.title
    assert "why" not in [column.name for column in untested.columns]


def test_the_table_of_all_has_a_reason_a_row_where_they_differ(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", CASES)
    found = findings_sheet(judgement_of(Evidence.of(run), Question(TUTORIAL_CLAIM)))
    at = [column.name for column in found.columns].index("why")
    reasons = [row[at].text for row in found.rows]
    assert len(set(reasons)) > 1
    assert all(reasons)
