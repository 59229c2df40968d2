"""The README holds what its commands print."""

from __future__ import annotations

from bench.machine.environment import ROOT
from bench.report.readme import BLOCK, output_of, render

TEXT = "before\n<!-- output: list --json -->\nold\n<!-- end -->\nafter\n"


def test_a_block_is_replaced_and_the_rest_stays() -> None:
    made = render(TEXT, lambda command: f"what {command} prints   \nand more\n\n")
    assert made == (
        "before\n<!-- output: list --json -->\n```text\n$ fiftyx list --json\nwhat list --json prints\nand more\n```\n"
        "<!-- end -->\nafter\n"
    )


def test_rendering_twice_changes_nothing() -> None:
    once = render(TEXT, str.upper)
    assert render(once, str.upper) == once


def test_a_csv_file_becomes_a_table(tmp_path):
    (tmp_path / "x.csv").write_text('a,b\n1,"x | y"\n')
    made = render("<!-- csv: x.csv -->\n<!-- end -->\n", str, tmp_path)
    assert made == "<!-- csv: x.csv -->\n| a | b |\n| --- | --- |\n| 1 | x \\| y |\n<!-- end -->\n"


def test_the_readme_is_what_its_commands_print_today() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert BLOCK.search(text)
    assert render(text, output_of) == text, "run scripts/readme"
