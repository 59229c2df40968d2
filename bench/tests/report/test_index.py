from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.report.pages.card import CARD, AtSize, Card, read_card, text_of, write_card
from bench.report.pages.index import INDEX, card_of, machines_by_sizes, main, plain, render, run_folders
from bench.tests.runs import NUMPY, around, write_run
from bench.verdict.evidence import Evidence
from bench.words import CONTROL, MOST_WORDS, complaint, engineering, number

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_the_committed_index_is_what_the_committed_runs_say() -> None:
    assert (RESULTS / INDEX).read_text(encoding="utf-8") == render(RESULTS), "stale: run scripts/index"


def test_every_run_has_its_machine_its_verdict_and_its_chart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "my run", {NUMPY: around(100)})
    (run.folder / "share.png").touch()
    text = render(tmp_path)
    assert "## [my run](my%20run/)" in text
    assert "a processor, 4 CPUs" in text
    assert "Untested" in text
    assert "(my%20run/share.png)" in text


@given(st.lists(st.tuples(st.floats(0.5, 8), st.floats(1e-2, 1e3)), min_size=1, max_size=6, unique_by=lambda it: it[0]))
def test_machines_by_sizes_has_a_cell_for_every_speedup_under_its_size_and_none_besides(points) -> None:
    sizes = {TUTORIAL_SIZE.scaled(scale): value for scale, value in points}
    one = a_card(*(AtSize(size, size.flops, "refuted", "best-cpu", "x", "a", 1.0, 2.0, v) for size, v in sizes.items()))
    other = a_card(AtSize(Size(1, 2, 3, 4), 99, "untested", "tutorial", "y"))
    head, _rule, first, second = machines_by_sizes({Path("one"): one, Path("two"): other}).splitlines()[2:]
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert len(columns) == len(cells) == 3 + len(sizes)
    assert "tutorial<br>26.2 MFLOP" in columns or TUTORIAL_SIZE not in sizes
    filled = {columns[at]: cell for at, cell in enumerate(cells) if at > 1 and cell}
    assert filled == {
        f"{size.short}<br>{engineering(size.flops, 'FLOP')}": f"**{number(value)}x** <br>a"
        for size, value in sizes.items()
    }
    assert "**" not in second


def test_a_folder_that_holds_a_card_alone_is_a_machine_that_somebody_shares(tmp_path: Path) -> None:
    run = write_run(tmp_path / "here" / "theirs", {NUMPY: around(100)})
    shared = tmp_path / "results" / "theirs"
    shared.mkdir(parents=True)
    write_card(Card.of(Evidence.of(run)), run.folder).rename(shared / "share.json")
    assert run_folders(tmp_path / "results") == [shared]
    assert render(tmp_path / "results") == render(tmp_path / "here")


def test_what_somebody_shares_cannot_become_markup(tmp_path: Path) -> None:
    hostile = "](x) <img src=x> | a\n# b"
    (tmp_path / "theirs").mkdir()
    at = AtSize(TUTORIAL_SIZE, 1, hostile, hostile, hostile, hostile, 1.0, 1.0, 2.0, 1.0, 3.0)
    card = replace(
        a_card(at), processor=hostile, date=hostile, accelerators=(hostile,), facts=(hostile,), headline=hostile
    )
    (tmp_path / "theirs" / "share.json").write_text(text_of(card), encoding="utf-8")
    text = render(tmp_path)
    assert not re.search(r"(?<!\\)(<img|\]\(x\)|\| a)", text)
    assert "\n# b" not in text


def test_the_committed_cards_are_what_the_committed_runs_say() -> None:
    for folder in run_folders(RESULTS):
        assert read_card(folder / "share.json") == card_of(folder), f"stale: fiftyx share {folder}"
        assert (folder / "share.png").exists()


def a_card(*sizes: AtSize) -> Card:
    return Card(1, "a", "r", "2026-11-20", "a CPU", (), (), "untested", "Untested.", sizes)


def test_a_new_run_makes_the_index_stale(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {NUMPY: around(100)})
    main([str(tmp_path)])
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == render(tmp_path)
    write_run(tmp_path / "two", {NUMPY: around(100)})
    assert (tmp_path / INDEX).read_text(encoding="utf-8") != render(tmp_path)


def test_runs_that_git_ignores_and_folders_that_are_no_runs_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "run-20261120-120000", {NUMPY: around(100)})
    (tmp_path / "notes").mkdir()
    assert run_folders(tmp_path) == []
    assert "none yet" in render(tmp_path)


def test_a_broken_run_ends_with_2_and_keeps_the_index(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {NUMPY: around(100)})
    (tmp_path / INDEX).write_text("as it was", encoding="utf-8")
    (tmp_path / "one" / "measurements.csv").unlink()
    assert main([str(tmp_path)]) == 2
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == "as it was"


def test_a_run_without_a_row_is_refused_in_one_line_and_keeps_the_index(tmp_path: Path, capsys) -> None:
    write_run(tmp_path / "none-yet", {NUMPY: around(100)})
    table = tmp_path / "none-yet" / "measurements.csv"
    table.write_text(table.read_text(encoding="utf-8").partition("\n")[0] + "\n", encoding="utf-8")
    (tmp_path / INDEX).write_text("before", encoding="utf-8")
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.endswith("none-yet: the run holds no measurement; finish it with --resume, or take it away\n")
    assert said.count("\n") == 1
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_card_that_is_no_file_is_refused_at_once(tmp_path: Path, put, capsys) -> None:
    (tmp_path / "run").mkdir()
    put(tmp_path / "run" / CARD)
    assert main([str(tmp_path)]) == 2
    assert "run/share.json: is no card of a run: " in capsys.readouterr().err


@given(text=st.text(min_size=1, max_size=40), many=st.integers(1, 200))
def test_a_complaint_is_one_line_of_bounded_length_whatever_a_file_holds(text, many):
    line = complaint(text * many)
    assert len(line) <= MOST_WORDS + len(" ... ")
    assert not CONTROL.search(line)
    assert "\n" not in line


def test_names_cannot_become_markup() -> None:
    assert plain("a<b> [c](d) `e`\n# f") == r"a\<b\> \[c\](d) \`e\` \# f"


@given(st.text(st.sampled_from("a#\x00\x1b\u202e\n\x85é[") | st.characters(codec="utf-8")))
def test_no_character_that_a_terminal_obeys_reaches_the_index(text):
    assert not CONTROL.search(plain(text))


def test_a_validation_is_listed_with_its_misses_and_is_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "machine.json").write_text("{}")
    promises = "experiment,must_reach,got,met,n,note\ncoverage,95%,95%,yes,200,\nclock,0.1 us,0.2 us,no,9,\n"
    (folder / "acceptance.csv").write_text(promises)
    assert run_folders(tmp_path) == []
    text = render(tmp_path)
    assert "1 of 2 promises held" in text
    assert "Missed or untested: clock" in text
    assert "validation.png" not in text
    (folder / "validation.png").write_bytes(b"")
    assert "(validation/validation.png)" in render(tmp_path)
