"""Rows that are dataclasses: written, read again, and refused with the place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import TableError
from bench.tables.csv_files import append_as, read_as, write_as


@dataclass(frozen=True, slots=True)
class Row:
    """One of each kind."""

    name: str
    count: int
    time_us: float | None
    noisy: bool


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]))
ROWS = st.builds(Row, TEXTS, st.integers(), st.none() | st.floats(allow_nan=False), st.booleans())


@given(st.lists(ROWS, max_size=5), st.lists(ROWS, max_size=5))
def test_rows_come_back_as_they_were(tmp_path_factory, first, more):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    assert read_as(path, Row) == []
    write_as(path, Row, first)
    append_as(path, Row, more)
    assert read_as(path, Row) == [*first, *more]


@pytest.mark.parametrize(("line", "says"), [("a,fast,1,True", "'count' holds 'fast'"), ("a,1,?,True", "'time_us'")])
def test_what_is_no_number_is_refused_with_its_column(tmp_path, line, says):
    path = tmp_path / "rows.csv"
    path.write_text(f"name,count,time_us,noisy\n{line}\n")
    with pytest.raises(TableError, match="not a number") as caught:
        read_as(path, Row)
    assert says in str(caught.value)


@pytest.mark.parametrize("line", ["a,1,2.0", "a,1,2.0,True,more", "a"])
def test_a_line_with_fewer_or_more_cells_than_the_header_is_refused_with_its_place(tmp_path, line):
    path = tmp_path / "rows.csv"
    path.write_text(f"name,count,time_us,noisy\na,1,2.0,True\n{line}\na,1,2.0,True\n")
    with pytest.raises(TableError, match=r"rows\.csv:3: "):
        read_as(path, Row)


def test_a_table_of_any_command_that_cannot_be_read_is_not_said_to_be_of_validate(tmp_path):
    path = tmp_path / "rows.csv"
    for content, says in (
        (b"name,count\na,1\n", "no column 'time_us'; was it written by"),
        (b"\xff\n", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(TableError, match=says) as caught:
            read_as(path, Row)
        assert "validate" not in str(caught.value)
