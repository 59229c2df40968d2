"""The screens that a newcomer meets, as text of 80 columns; `python -m bench.tests.report.test_screens` makes them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.commands.doctor import print_findings, sentence
from bench.commands.list import listing, print_listing
from bench.doctor.findings import judge
from bench.report.comparison import print_comparison
from bench.report.run_end import print_end
from bench.report.run_tables import print_run
from bench.report.sheet import print_words
from bench.report.verdict import answer, print_judgement
from bench.tables.difference import differences
from bench.tables.run import Run
from bench.tests.doctor.test_findings import QUIET
from bench.tests.fakes import PROBE, REASON, a_case, a_measurement
from bench.tests.runs import around, write_run
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.comparison import compare
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of
from implementations import find_implementations

SCREENS = Path(__file__).parent / "screens"
WIDTH, HEIGHT = 80, 24
TIMES_US = {
    "numpy_in_place": 228.0, "torch_tensors": 259.0, "numpy_manual": 260.0, "torch_autograd": 380.0, "torch_nn": 384.0,
    "torch_optim_sgd": 397.0, "torch_function": 428.0, "torch_module": 430.0,
}  # fmt: skip
LISTED = {"presets": ("quick", "tutorial", "sweep"), "styles": ("numpy_manual", "torch_tensors", "torch_nn")}


def a_run(folder: Path, factor: float = 1.0) -> Run:
    cases: dict[Any, list[float]] = {
        a_case(style, size=TUTORIAL_SIZE, dtype="float32", framework=style.partition("_")[0]): around(
            us * factor, [1 + 0.004 * ((at + 1) * (block + 2) % 5 - 2) for block in range(4)]
        )
        for at, (style, us) in enumerate(TIMES_US.items())
    }
    cases[a_case("numpy_manual", size=TUTORIAL_SIZE)] = around(614.0)
    on_gpu = [
        a_measurement(
            a_case(style, "cuda:0", size=TUTORIAL_SIZE, dtype="float32", framework="torch"),
            status="skipped", reason=REASON, values={}, first_us=None, timed_us=(),
        )
        for style in ("torch_tensors", "torch_autograd")
    ]  # fmt: skip
    return write_run(folder, cases, others=on_gpu, run_id=folder.name)


def screens(root: Path) -> dict[str, str]:
    """Each command's screen from fixed data, as a terminal of 80 columns shows it."""
    a, b = a_run(root / "run-1"), a_run(root / "run-2", 0.9)
    evidence = Evidence.of(a)
    listed = listing(find_implementations(), PROBE)
    kept = {what: [one for one in listed[what] if one["name"] in LISTED.get(what, {one["name"]})] for what in listed}
    busy = replace(QUIET, busy_cores=1.03, busiest="cc1plus 99%", variables={"OPENBLAS_CORETYPE": "Haswell"})

    def run(to: Console) -> None:
        print_words(to, f"{a.name}: {answer(evidence)[1]}\n")
        print_run(to, evidence, explain=False)
        print_end(to, evidence, answer(evidence)[1], ".venv/bin/fiftyx", "results/run-20261125-155338", drawn=True)

    def doctor(to: Console) -> None:
        print_findings(to, judge(busy))
        print_words(to, f"\n{sentence(judge(busy))}")

    printers = {
        "run": run,
        "table": lambda to: print_run(to, evidence),
        "verdict": lambda to: print_judgement(to, judgement_of(evidence, Question(TUTORIAL_CLAIM))),
        "compare": lambda to: print_comparison(to, compare(a, b), differences(a, b)),
        "list": lambda to: print_listing(to, kept),
        "doctor": doctor,
    }
    found = {}
    for name, printer in printers.items():
        console = Console(width=WIDTH, file=StringIO(), highlight=False, markup=False)
        printer(console)
        assert isinstance(console.file, StringIO)
        found[name] = "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
    return found


def test_every_screen_is_the_committed_one(tmp_path: Path) -> None:
    made = screens(tmp_path)
    assert {path.stem for path in SCREENS.glob("*.txt")} == set(made)
    for name, text in made.items():
        assert text == (SCREENS / f"{name}.txt").read_text("utf-8"), "run python -m bench.tests.report.test_screens"


@pytest.mark.parametrize("name", ["verdict", "list", "doctor"])
def test_it_is_one_screen(name: str) -> None:
    lines = (SCREENS / f"{name}.txt").read_text("utf-8").splitlines()
    assert len(lines) < HEIGHT  # the last line is the prompt's
    assert max(map(len, lines)) <= WIDTH


def test_the_last_screen_of_a_run_holds_the_answer_the_best_rows_and_what_to_do_next() -> None:
    lines = (SCREENS / "run.txt").read_text("utf-8").splitlines()
    last = "\n".join(lines[-HEIGHT + 1 :])
    headline = "Untested: no GPU was measured; at the tutorial's size 64x1000x100x10 the"
    assert lines[0].startswith("run-1: Untested: no GPU was measured")
    assert headline in last
    assert last.index("numpy_in_place  float32") < last.index("torch_tensors   float32") < last.index(headline)
    assert last.index("charts: results/run-20261125-155338/charts/") < last.index("next:")
    commands = [line.split()[:2] for line in lines[lines.index("next:") + 1 :]]
    assert commands == [[".venv/bin/fiftyx", "verdict"], [".venv/bin/fiftyx", "report"], [".venv/bin/fiftyx", "run"]]
    assert ".png" not in "\n".join(lines)


def test_a_file_has_table_and_answer_once(tmp_path: Path) -> None:
    evidence, folder = Evidence.of(a_run(tmp_path / "run-1")), "results/run-1"
    console = Console(width=WIDTH, file=StringIO(), highlight=False, markup=False)
    print_end(console, evidence, answer(evidence)[1], "fiftyx", folder, drawn=True, above=True)
    assert isinstance(console.file, StringIO)
    end = console.file.getvalue()
    assert "Untested" not in end
    assert "numpy_in_place" not in end
    assert "charts: results/run-1/charts/" in end
    assert "run --preset tutorial" in end


def test_a_run_of_other_sizes_is_not_sharpened_by_one_of_the_tutorials(tmp_path: Path) -> None:
    cases = {a_case("numpy_manual", size=Size(16, 100, 10, 2)): around(20.0)}
    evidence = Evidence.of(write_run(tmp_path / "other", cases))
    console = Console(width=WIDTH, file=StringIO(), highlight=False, markup=False)
    print_end(console, evidence, answer(evidence)[1], "fiftyx", "results/other", drawn=False)
    assert isinstance(console.file, StringIO)
    assert "run --preset tutorial" not in console.file.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for screen, words in screens(Path(folder)).items():
            (SCREENS / f"{screen}.txt").write_text(words, "utf-8")
