"""The committed notebooks were executed, and what they show is there; `scripts/notebook` executes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.machine.environment import ROOT

NOTEBOOKS = sorted((ROOT / "results" / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    path: Path = request.param
    found = json.loads(path.read_text("utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_there_is_one_for_who_comes_first():
    assert "first-steps" in {path.stem for path in NOTEBOOKS}


def test_every_cell_was_executed_in_order_and_none_failed(cells):
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


def test_the_outputs_hold_a_picture_and_a_table(cells):
    shown = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    assert any("image/png" in one for one in shown)
    assert any("<table" in "".join(one.get("text/html", ())) for one in shown)


def test_pictures_need_no_magic(cells):
    assert not any("matplotlib" in line for cell in cells for line in cell["source"])


def test_nothing_of_the_machine_that_executed_it_but_its_measurements_is_kept(cells):
    text = json.dumps(cells)
    assert "/home/" not in text
    assert str(ROOT) not in text
