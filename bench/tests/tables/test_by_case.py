"""Tests of bench.tables.by_case: sizes by their work."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import SIZE_COLUMNS
from bench.cases.problem import Size
from bench.tables.by_case import sizes_in

SIDES = st.integers(1, 10_000)


@given(st.lists(st.builds(Size, SIDES, SIDES, SIDES, SIDES), min_size=1, max_size=8))
def test_sizes_come_from_the_least_work_to_the_most_each_with_its_rows(sizes):
    found = list(sizes_in(pd.DataFrame(sizes, columns=list(SIZE_COLUMNS))))
    work = [size.flops for size, _ in found]
    assert work == sorted(work)
    assert {size: len(rows) for size, rows in found} == {size: sizes.count(size) for size in sizes}
