"""Words that several tables share: one reason for many cases, and who was noisy."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.report.run_tables import noise_words
from bench.tests.fakes import a_case
from bench.tests.runs import around, write_run
from bench.words import engineering, grouped, number


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.text("abc", min_size=1, max_size=3)), max_size=30))
def test_every_reason_is_said_once_with_how_many_cases_it_has(pairs):
    lines = grouped(pairs)
    assert len(lines) == len({reason for reason, _ in pairs})
    for line in lines:
        count = len({case for reason, case in pairs if reason == line[0]})
        assert line.startswith(f"{line[0]}: {count} case{'' if count == 1 else 's'}: ")
        assert ("more" in line) == (count > 3)


@pytest.mark.parametrize(
    ("noisy", "total", "words"),
    [(1, 1, "all 1 case noisy"), (3, 3, "all 3 cases noisy"), (2, 3, "2 of 3 cases noisy"), (1, 3, ""), (0, 2, "")],
)
def test_a_busy_machine_is_named_when_most_cases_were_noisy(tmp_path, noisy, total, words):
    cases = [a_case(f"style_{number}") for number in range(total)]
    run = write_run(tmp_path / "a", {case: around(100.0) for case in cases})
    rows = run.measurements.assign(noisy=run.measurements["style"].isin([case.style for case in cases[:noisy]]))
    said = noise_words(rows, "cc1plus 99%")
    assert said == (f"{words}: the machine is busy; stop cc1plus 99% or add blocks (--blocks)" if words else "")
    assert ("stop what else runs" in noise_words(rows)) == bool(words)


@given(st.floats(1e-3, 99_999), st.booleans())
@example(0.9996, False)
@example(9.996, True)
@example(99.97, False)
def test_a_ratio_has_three_figures_also_where_rounding_carries(value, negative):
    shown = number(-value if negative else value)
    assert abs(float(shown)) == pytest.approx(value, rel=0.0051)
    figures = len(shown.lstrip("-0.").replace(".", ""))
    assert figures == 3 if value < 999 else figures in (3, 4, 5)


@given(st.floats(1, 9e14))
@example(999.7)
@example(999_700.0)
def test_a_quantity_has_the_prefix_that_leaves_less_than_a_thousand(value):
    assert float(engineering(value, "FLOP").split()[0]) < 1000
