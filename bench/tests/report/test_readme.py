"""The pages of this repository hold what their commands print, and the README is short enough to be read."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from bench.machine.environment import ROOT
from bench.report.pages.readme import MARK, PAGES, output_of, render

TEXT = "before\n<!-- output: list --json -->\nold\n<!-- end -->\nafter\n"
MOST_WORDS = 1600
ALL_PAGES = sorted(
    {*PAGES, *(str(path.relative_to(ROOT)) for top in ("bench", "results") for path in (ROOT / top).rglob("*.md"))}
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def printed(command: str, columns: int) -> str:
    return f"what {command} prints at {columns}   \nand more\n\n"


def words(text: str) -> int:
    """How many words a page has for a reader: its marks and other comments left out."""
    return len(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).split())


def test_a_block_is_replaced_and_the_rest_stays() -> None:
    assert render(TEXT, printed) == (
        "before\n<!-- output: list --json -->\n```text\n$ fiftyx list --json\nwhat list --json prints at 80\nand more\n"
        "```\n<!-- end -->\nafter\n"
    )


def test_a_mark_may_ask_for_more_columns() -> None:
    made = render("<!-- output 128: list -->\n<!-- end -->\n", printed)
    assert (
        made
        == "<!-- output 128: list -->\n```text\n$ fiftyx list\nwhat list prints at 128\nand more\n```\n<!-- end -->\n"
    )


def test_rendering_twice_changes_nothing() -> None:
    once = render(TEXT, printed)
    assert render(once, printed) == once


def test_a_csv_file_becomes_a_table(tmp_path):
    (tmp_path / "x.csv").write_text('a,b\n1,"x | y"\n')
    made = render("<!-- csv: x.csv -->\n<!-- end -->\n", printed, tmp_path)
    assert made == "<!-- csv: x.csv -->\n| a | b |\n| --- | --- |\n| 1 | x \\| y |\n<!-- end -->\n"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_its_commands_print_today(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert MARK.search(text)
    assert render(text, output_of) == text, "run scripts/readme"


@pytest.mark.parametrize("name", ALL_PAGES)
def test_every_link_inside_the_repository_leads_somewhere(name: str) -> None:
    page = ROOT / name
    text = MARK.sub("", page.read_text("utf-8"))
    inside = [unquote(link) for link in LINK.findall(text) if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_the_readme_leads_to_every_page_that_took_something_over_from_it() -> None:
    links = set(LINK.findall((ROOT / "README.md").read_text("utf-8")))
    assert {*PAGES[1:], "bench/suite/README.md", "results/README.md", "LICENSE"} <= links


def test_the_readme_can_be_read_in_a_few_minutes() -> None:
    read = re.sub(r"<!--.*?-->", "", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    assert len(read.split()) <= MOST_WORDS


def test_no_line_of_a_shown_output_in_the_readme_is_wider_than_a_terminal() -> None:
    for block in re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL):
        assert max(map(len, block.splitlines())) <= 80


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "scripts/test " in (ROOT / "README.md").read_text("utf-8")
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_the_map_of_the_house_is_short() -> None:
    assert len((ROOT / "bench" / "DEVELOP.md").read_text("utf-8").splitlines()) <= 40
