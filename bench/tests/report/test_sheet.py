"""Tests of bench.report.sheet: whatever the width, no figure and no name is cut, and what is left out is said."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.report.sheet import Cell, Column, print_sheet, print_words, sheet

ROWS: list[dict[str, Cell | str]] = [
    {"style": "numpy_manual", "us": Cell("1,234", "±1.0%", 1234.0), "why": "the interval holds 50x", "note": ""},
    {"style": "torch", "us": Cell("9.87", "±21.5%", 9.87), "why": "at most 7.2x", "note": ""},
]


def printed(table, width, leave_out=()):
    console = Console(width=width, file=StringIO())
    print_sheet(console, table, leave_out)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_figures_stand_to_the_right_with_their_small_texts_in_a_column():
    assert printed(sheet("a title", ROWS, ["a note"]), 80) == [
        "a title",
        "style                   us  why",
        "numpy_manual  1,234  ±1.0%  the interval holds 50x",
        "torch          9.87 ±21.5%  at most 7.2x",
        "a note",
    ]


def test_empty_columns_are_left_out_and_kinds_follow_from_the_cells():
    assert sheet("", ROWS, prose=("why",)).columns == (
        Column("style"),
        Column("us", numeric=True),
        Column("why", prose=True),
    )


def test_what_is_the_same_in_every_row_goes_into_the_title():
    rows = [{"style": name, "device": "cpu", "blocks": "3"} for name in ("a", "b")]
    table = sheet("", rows, ["more"], constant=("device", "style"))
    assert [column.name for column in table.columns] == ["style", "blocks"]
    assert (table.title, table.notes) == ("in every row: device cpu", ("more",))
    assert sheet("times", rows, constant=("device", "blocks")).title == "times; device cpu, blocks 3"
    assert [column.name for column in sheet("", rows[:1], constant=("device",)).columns] == [
        "style",
        "device",
        "blocks",
    ]


def test_a_value_that_stands_once_is_empty_where_the_row_above_says_it():
    table = sheet("", [{"size": size, "x": "y"} for size in ("a", "a", "b", "a")], once=("size",))
    assert [row[0].text for row in table.rows] == ["a", "", "b", "a"]


def test_columns_go_in_their_order_and_a_line_says_which():
    table = sheet("", ROWS)
    assert printed(table, 38, ("nowhere", "us", "style")) == [
        "style         why",
        "numpy_manual  the interval holds 50x",
        "torch         at most 7.2x",
        "Left out at 38 columns: us.",
    ]
    assert printed(table, 51, ("us",))[-1] == "torch          9.87 ±21.5%  at most 7.2x"


def test_prose_is_wrapped_before_anything_is_left_out():
    lines = printed(sheet("", ROWS, prose=("why",)), 44, ("us",))
    assert lines[:3] == [
        "style                   us  why",
        "numpy_manual  1,234  ±1.0%  the interval",
        "                            holds 50x",
    ]


def test_small_texts_move_below_their_figure_before_rows_become_paragraphs():
    table = sheet("", [{"style": "a_style", "x": Cell("0.764", "[0.748, 0.780]", 0.764)}])
    assert printed(table, 24) == ["style                 x", "a_style           0.764", "         [0.748, 0.780]"]
    assert printed(table, 20) == ["style a_style,", "  x 0.764 [0.748, 0.780]"]


def test_without_names_there_is_no_header():
    assert printed(sheet("", [{"": "cpu"}]), 80) == ["cpu"]


def test_a_sheet_without_rows_prints_its_words():
    assert printed(sheet("nothing", [], ["why"]), 80) == ["nothing", "why"]


def test_words_are_wrapped_at_words_and_figures_keep_their_units():
    console = Console(width=20, file=StringIO())
    print_words(console, "it takes about 1,234 us [1,200, 1,300] on a_style_with_a_very_long_name")
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        "it takes about",
        "1,234 us",
        "[1,200, 1,300] on",
        "a_style_with_a_very_long_name",
    ]


NAMES = st.text("abcdefgh_", min_size=1, max_size=60)
FIGURES = st.builds(
    lambda value: Cell(f"{value:,.1f}", f"[{value - 1:,.1f}, {value + 1:,.1f}]", value), st.floats(0, 1e7)
)


@given(st.lists(st.tuples(NAMES, FIGURES, FIGURES, st.text("ab c", max_size=80)), min_size=1), st.integers(20, 200))
def test_no_figure_and_no_name_is_ever_cut(rows, width):
    table = sheet(
        "", [{"style": a, "x us": b, "speedup": c, "why": d} for a, b, c, d in rows], prose=("why",), once=("why",)
    )
    lines = printed(table, width, ("x us",))
    text = "\n".join(lines)
    for name, first, second, _why in rows:
        assert name in text
        assert second.text in text
        assert second.small in text
        assert (first.text in text and first.small in text) or "Left out at" in text
    longest = max(len(word) for line in lines for word in re.split(" (?!\\[|[^\\[]*\\])", line))
    assert max(map(len, lines)) <= max(width, longest + 2 + len("speedup "))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_hyphens_and_slashes_are_no_places_to_break(width):
    words = " ".join(["best-gpu-tf32", "github.com/jcjohnson/cnn-benchmarks"] * 20)
    console = Console(width=width, file=StringIO())
    print_words(console, words)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().split() == words.split()
