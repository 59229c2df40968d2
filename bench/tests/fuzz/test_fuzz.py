"""A few dozen fresh inputs; the thousands are run by `python -m bench.tests.fuzz`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.tests.fuzz.inputs import make_bases, outcome, quiet


@pytest.mark.filterwarnings("default")
def test_a_mutated_input_ends_in_an_answer_or_in_one_line(tmp_path: Path) -> None:
    first = random.SystemRandom().randrange(10**9)
    with quiet():
        bases = make_bases(tmp_path / "bases")
        lost = [one for seed in range(first, first + 40) if (one := outcome(seed, bases, tmp_path)).fault]
    assert lost == []
