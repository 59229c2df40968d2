"""The rows of a table by case and by size."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS, CaseKey
from bench.cases.problem import Size


def cases_in(rows: pd.DataFrame) -> Iterator[tuple[CaseKey, pd.DataFrame]]:
    """Each case with its rows, in the order of their first ones."""
    for key, same in rows.groupby(list(CASE_COLUMNS), sort=False):
        yield CaseKey.of(cast(tuple[Any, ...], key)), same


def sizes_in(rows: pd.DataFrame) -> Iterator[tuple[Size, pd.DataFrame]]:
    """Each size with its rows, from the least work to the most."""
    found = [(Size(*map(int, cast(tuple[Any, ...], sides))), same) for sides, same in rows.groupby(list(SIZE_COLUMNS))]
    yield from sorted(found, key=lambda one: one[0].flops)


def case_of(rows: pd.DataFrame) -> CaseKey:
    """The case of these rows, which are all of one."""
    return CaseKey.of(rows[name].iloc[0] for name in CASE_COLUMNS)


def at_size(rows: pd.DataFrame, size: Size) -> pd.DataFrame:
    """The rows of one size."""
    return rows[(rows[list(SIZE_COLUMNS)] == list(size)).all(axis=1)]


def of_cases(rows: pd.DataFrame, cases: Collection[CaseKey]) -> pd.Series:
    """Which of `rows` are of these cases, as booleans."""
    keys = pd.MultiIndex.from_frame(rows[list(CASE_COLUMNS)])
    return pd.Series(keys.isin(list(cases)), index=rows.index, dtype=bool)
