"""Honest styles in numbers: which cases are drawn, and what a table of them says."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.adversary import honest
from bench.adversary.cheating import Bench
from bench.adversary.honest import draw_case, draw_sizes, measure, row_of, summary
from bench.machine.device import unsupported
from bench.tests.fakes import a_case, a_measurement
from bench.verification.shape import Shape
from implementations import find_implementations

STYLES = [one for one in find_implementations().values() if "cpu" in one.devices]


@settings(max_examples=50)
@given(st.integers(0, 2**31))
def test_a_drawn_case_is_one_that_its_framework_has(seed):
    case = draw_case(Random(seed), STYLES, draw_sizes(Random(seed)))
    assert case == draw_case(Random(seed), STYLES, draw_sizes(Random(seed)))
    assert unsupported(case.framework, "cpu", case.problem.dtype, case.precision) is None
    assert case.threads in (1, honest.THREADS)
    assert case.problem.learning_rate > 0


def test_rows_are_added_until_there_are_enough_and_those_held_back_are_counted(tmp_path, monkeypatch):
    tried = []

    def fake(_bench, case, style, preset, drawn):
        tried.append(style.name)
        status = "wrong" if len(tried) == 2 else "ok"
        found = a_measurement(case, 0, status=status, reason="it strays" if status == "wrong" else "")
        yield from (row_of(found, preset, drawn, Shape(1.0, lump=1.02345), 0.98765) for _ in range(2))

    monkeypatch.setattr(honest, "try_case", fake)
    planned = []
    monkeypatch.setattr(Bench, "floors_of", lambda _bench, plan: planned.append(plan))
    assert len(measure(tmp_path, 5, STYLES)) == 6
    rows = measure(tmp_path, 8, STYLES)
    assert (len(rows), len(tried)) == (8, 4)
    assert [one.status for one in rows].count("wrong") == 2
    assert (rows[0].lump, rows[0].told, rows[2].reason) == (1.0234, 0.9877, "it strays")
    assert len(planned) == 2
    assert {one.preset for one in rows} <= set(honest.TIMED_AS)
    assert summary(rows, "a command").startswith("# Honest styles, let through\n\n2 of 8 rows")


def test_sizes_are_drawn_anew_after_so_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(honest, "SAME_SIZES", 4)
    row = row_of(a_measurement(a_case()), "quick", 1, Shape(1.0), None)
    monkeypatch.setattr(honest, "try_case", lambda *_: iter([row, row]))
    planned = []
    monkeypatch.setattr(
        Bench, "floors_of", lambda _bench, plan: planned.append({one.problem.size for one in plan.cases})
    )
    measure(tmp_path, 10, STYLES)
    assert len(planned) == 3
    assert len(set.union(*planned)) == 2 + 3 * 2


def test_a_row_without_samples_has_no_figures():
    row = row_of(a_measurement(a_case(), 1, status="failed", reason="no"), "quick", 7, Shape(0.0), None)
    assert (row.lump, row.told, row.block, row.drawn) == (None, None, 1, 7)
