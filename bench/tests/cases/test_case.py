"""A case: what tells it from others, and what people read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.cases.case import CASE_COLUMNS
from bench.tests.fakes import a_case


def test_a_key_has_a_value_for_every_column_that_names_a_case():
    case = a_case(size=(64, 1000, 100, 10), dtype="float32")
    assert len(case.key) == len(CASE_COLUMNS)
    assert dict(zip(CASE_COLUMNS, case.key, strict=True)) == {
        "style": "numpy_manual", "device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 1,
        "n": 64, "d_in": 1000, "hidden": 100, "d_out": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"style": "other"}, {"device": "cuda:0"}, {"threads": 2}, {"precision": "tf32"}, {"dtype": "float32"}]
)
def test_cases_that_differ_in_a_column_have_different_keys(change):
    assert a_case().key != a_case(**change).key


def test_what_is_measured_besides_does_not_make_another_case():
    assert a_case().key == replace(a_case(), program=True).key


def test_a_label_says_what_differs_and_leaves_out_what_goes_without_saying():
    assert a_case(size=(64, 1000, 100, 10), threads=2).label == "numpy_manual cpu float64 2 threads 64x1000x100x10"
    assert a_case(threads=1).label.count("1 thread ") == 1
    on_gpu = a_case("torch_nn", "cuda:0", dtype="float32", precision="tf32")
    assert on_gpu.label == "torch_nn cuda:0 float32 tf32 8x5x4x3"
