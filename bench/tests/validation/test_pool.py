"""The pool's columns and tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.cases.problem import TUTORIAL_SIZE
from bench.errors import TableError
from bench.tests.validation.pools import make_pool, measured
from bench.validation.inside import SLOW_FIRST
from bench.validation.pool import (
    ANSWER,
    ITERATIONS,
    POOL,
    TRUTHS,
    append_measurement,
    copies_of,
    make_case,
    read_pool,
    read_samples,
    read_truths,
    repair,
    styles_of,
)

COPIES = copies_of("numpy_in_place", 2)
LABELS = (*COPIES, "work-2")


def test_plants_are_styles_that_the_finder_accepts(tmp_path):
    styles = styles_of(tmp_path, {"numpy_in_place": 2, "torch_tensors": 1}, {"wrapper": 0, "work-5": 13})
    assert set(styles) == {*COPIES, "torch_tensors-1", "wrapper", "work-5", SLOW_FIRST}
    assert styles["torch_tensors-1"].framework == "torch"
    assert "'work', 13," in (tmp_path / "work_5.py").read_text()
    x = np.ones((2, 3), np.float32)
    loop = styles["work-5"].train(x, x[:, :1].copy(), np.ones((3, 2), np.float32), np.ones((2, 1), np.float32), 0.0, 2)
    assert next(loop) == 2 * 25


def test_a_plants_process_leaves_its_truth_beside_its_row(tmp_path):
    styles = tmp_path / "styles"
    styles.mkdir()
    for block in (0, 1):
        (styles / ANSWER).write_text(json.dumps({"base_us": 265.0, "reference_us": 40.0, "ratio": 1.02 + block / 100}))
        append_measurement(tmp_path, measured("work-2", block, 2 * block), styles)
        append_measurement(tmp_path, measured(COPIES[0], block, 2 * block + 1), styles)
    assert read_truths(tmp_path, [7, 1]) == {"work-2": {1: 1.03}}
    assert (tmp_path / TRUTHS).read_text().splitlines()[1] == "0,work-2,265.0,40.0,1.02"


def test_a_killed_pool_is_made_whole(tmp_path):
    for order, label in enumerate(LABELS):
        append_measurement(tmp_path, measured(label, 0, order, 265 + order), tmp_path)
    append_measurement(tmp_path, measured(COPIES[0], 1, 3), tmp_path)
    with open(tmp_path / ITERATIONS, "a") as file:
        file.write(f"1,{COPIES[1]},0,265.0\n1,{COPIES[1]},1,26")
    with open(tmp_path / POOL, "a") as file:
        file.write(f"1,4,{COPIES[1]},ok,,1,Fal")
    (tmp_path / TRUTHS).write_text("block,label,base_us,reference_us,ratio\n0,work-2,1,1,1\n1,work-2,1,1,1\n2,wo")
    repair(tmp_path)
    pool, blocks = read_pool(tmp_path, LABELS, (COPIES,))
    assert blocks == [0]
    assert pool.medians_us.tolist() == [[265, 266, 267]]
    assert sorted(read_samples(tmp_path)) == [(0, COPIES[0]), (0, COPIES[1]), (1, COPIES[0])]
    assert read_samples(tmp_path)[0, COPIES[0]].tolist() == [265, 266]
    assert len((tmp_path / TRUTHS).read_text().splitlines()) == 2


def test_a_pool_that_holds_no_number_is_refused_with_its_path(tmp_path):
    append_measurement(tmp_path, measured(COPIES[0], 0, 0), tmp_path)
    (tmp_path / POOL).write_text((tmp_path / POOL).read_text().replace("265.0", "fast"))
    with pytest.raises(TableError, match="not a number"):
        read_pool(tmp_path, LABELS, (COPIES,))


def test_at_one_speed_of_the_core_only_the_processes_own_noise_is_left():
    pool = make_pool(blocks=40, copies=(4, 2), sd=0.001, referenced=True)
    spread = (
        np.log(pool.wall_us / pool.wall_us.mean(axis=0)).std(),
        np.log(pool.medians_us[:, 0] / pool.medians_us[:, 1]).std(),
    )
    assert spread[0] > 0.02
    assert spread[1] < 0.002


def test_a_disturbance_multiplies_times_and_readings_and_what_a_case_does_to_itself_only_its_times():
    pool = make_pool(blocks=12, copies=(2, 2), referenced=True)
    chosen = np.arange(10)
    own = np.array([1.0, 1.08, 1.0, 1.0])
    found = pool.disturbed(chosen, np.full((10, 4), 1.5), own)
    assert np.allclose(found.wall_us / pool.wall_us[:10], 1.5 * own)
    assert np.allclose(found.reference_us / pool.reference_us[:10], 1.5)
    assert np.allclose(found.per_reference / pool.per_reference[:10], own)


def test_columns_of_the_pool_run_on_one_core_whatever_their_style():
    for framework in ("numpy", "torch"):
        assert make_case("label", TUTORIAL_SIZE, 0, framework).one_core
