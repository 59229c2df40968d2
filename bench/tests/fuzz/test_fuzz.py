"""A few dozen fresh inputs; the thousands are run by `python -m bench.tests.fuzz`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.tables.csv_files import read_as
from bench.tests.fuzz.__main__ import PAGE, SEEDS, TABLE, Count, Seeds, add
from bench.tests.fuzz.inputs import Outcome, make_bases, outcome, quiet


def test_what_is_counted_is_added_to_what_was(tmp_path: Path) -> None:
    ends = [("gpu", "table --scope program", 0, ""), ("gpu", "table", 2, ""), ("cpu", "chart", None, "hang")]
    found = [
        Outcome(seed, base, "cells", command, code, fault) for seed, (base, command, code, fault) in enumerate(ends)
    ]
    for first in (1, 10):
        add(tmp_path, found, Seeds(first, len(found), 1))
    assert read_as(tmp_path / TABLE, Count) == [Count("cpu", "chart", 2, 0, 0, 2), Count("gpu", "table", 4, 2, 2, 0)]
    assert [one.first for one in read_as(tmp_path / SEEDS, Seeds)] == [1, 10]
    assert "6 mutated run folders" in (tmp_path / PAGE).read_text()


@pytest.mark.filterwarnings("default")
def test_a_mutated_input_ends_in_an_answer_or_in_one_line(tmp_path: Path) -> None:
    first = random.SystemRandom().randrange(10**9)
    with quiet():
        bases = make_bases(tmp_path / "bases")
        lost = [one for seed in range(first, first + 40) if (one := outcome(seed, bases, tmp_path)).fault]
    assert lost == []
