"""Plain values out and in again, and what is said of those that do not fit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plain import ShapeError, from_plain, to_plain


class Side(NamedTuple):
    long: int
    short: int


@dataclass(frozen=True)
class Inner:
    name: str
    ratio: float | None = None


@dataclass(frozen=True)
class Outer:
    side: Side
    inner: tuple[Inner, ...]
    by_name: Mapping[str, Inner]
    times: Sequence[float] = ()
    source: Path = Path("x")
    flag: bool = False
    either: int | str = 0
    note: str = field(default="")


numbers = st.floats(allow_nan=False, allow_infinity=False)
inners = st.builds(Inner, st.text(max_size=5), st.none() | numbers)
outers = st.builds(
    Outer,
    side=st.builds(Side, st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(2**63) + 1, 2**63 - 1)),
    inner=st.lists(inners, max_size=3).map(tuple),
    by_name=st.dictionaries(st.text(max_size=5), inners, max_size=3),
    times=st.lists(numbers, max_size=3),
    source=st.sampled_from([Path("a/b.py"), Path("/c")]),
    flag=st.booleans(),
    either=st.integers(-(2**63) + 1, 2**63 - 1) | st.text(max_size=3),
)


@given(outers)
def test_what_goes_out_as_json_comes_in_as_it_was(outer):
    assert from_plain(Outer, json.loads(json.dumps(to_plain(outer)))) == outer


@given(
    st.recursive(
        numbers | st.text(max_size=3) | st.none() | st.booleans(),
        lambda one: (
            st.lists(one, max_size=3)
            | st.dictionaries(st.sampled_from(["side", "inner", "by_name", "times", "flag"]), one, max_size=5)
        ),
    )
)
def test_whatever_comes_in_is_read_or_refused_with_its_place(raw):
    try:
        read = from_plain(Outer, raw, "it")
    except ShapeError as error:
        said = str(error)
    else:
        said = f"it {type(read).__name__}"
    assert said.startswith("it")


@pytest.mark.parametrize("unknown", [math.nan, math.inf, np.float64("nan")])
def test_a_number_that_is_not_finite_goes_out_as_unknown_and_never_comes_in(unknown):
    assert to_plain({"a": [unknown]}) == {"a": [None]}
    with pytest.raises(ShapeError, match="expected float"):
        from_plain(Inner, {"name": "x", "ratio": float(unknown)})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "plan is [], expected names and values"),
        ({"name": "x", "more": 1}, "plan has an unknown 'more'"),
        ({}, "plan has no 'name'"),
        ({"name": 5}, "plan.name is 5, expected str"),
        ({"name": "x", "ratio": True}, "plan.ratio is True, expected float"),
    ],
)
def test_a_complaint_names_the_place_and_what_was_expected(raw, message):
    with pytest.raises(ShapeError) as caught:
        from_plain(Inner, raw, "plan")
    assert str(caught.value) == message
