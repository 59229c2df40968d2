from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import TUTORIAL_SIZE
from bench.cli import main
from bench.errors import TableError
from bench.report.pages.card import Card, read_card, text_of
from bench.report.verdict import answer
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tests.fakes import a_case, a_measurement
from bench.tests.planted import MACHINE, planted, planted_row, write_run
from bench.tests.runs import NUMPY, around, evidence_of
from bench.tests.runs import write_run as write_folder
from bench.verdict.evidence import Evidence

SIDES = (("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1))


@given(st.lists(st.tuples(st.floats(1.0, 1e6), st.floats(1.0, 1e6)), min_size=1, max_size=5), st.integers(1, 4))
def test_a_card_holds_the_speedup_at_each_size_with_its_interval_and_comes_back_from_its_json(times, blocks) -> None:
    sizes = [TUTORIAL_SIZE.scaled(2.0**at) for at in range(len(times))]
    rows = [
        planted_row(side, size, block, us * (1 + 0.01 * block * (side == SIDES[1])))
        for block in range(blocks)
        for size, both in zip(sizes, times, strict=True)
        for side, us in zip(SIDES, both, strict=True)
    ]
    evidence = evidence_of(pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine=MACHINE)
    card = Card.of(evidence)
    assert [one.size for one in card.sizes] == sizes
    assert (card.outcome, card.headline) == answer(evidence)
    for one, (cpu_us, gpu_us) in zip(card.sizes, times, strict=True):
        assert one.speedup is not None
        assert one.speedup == pytest.approx(cpu_us / gpu_us, rel=0.03)
        assert (one.low is None) == (blocks == 1)
        assert one.low is None or one.low <= one.speedup
        assert one.over == "the fastest CPU style"
    assert read_again(card) == card


def read_again(card: Card) -> Card:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "share.json"
        path.write_text(text_of(card), encoding="utf-8")
        return read_card(path)


CARD: dict[str, Any] = json.loads(text_of(Card.of(evidence_of(planted(SIDES, blocks=2), machine=MACHINE))))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 99_999, json.dumps({**CARD, "format": 2}), json.dumps({**CARD, "headline": 3}),
     json.dumps({**CARD, "more": 1}), json.dumps({**CARD, "sizes": [{**CARD["sizes"][0], "size": [1, 2, 3, 10**99]}]}),
     json.dumps({**CARD, "sizes": [{**CARD["sizes"][0], "speedup": math.nan}]})],
)  # fmt: skip
def test_what_is_no_card_is_one_line_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "share.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=r"share\.json: "):
        read_card(path)


@pytest.mark.usefixtures("handlers")
def test_share_writes_one_picture_of_1200_by_630_and_a_small_json(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path / "run", planted(blocks=2))
    assert main(["share", str(folder)]) == 0
    assert capsys.readouterr().out.split() == [str(folder / "share.json"), str(folder / "share.png")]
    assert struct.unpack(">II", (folder / "share.png").read_bytes()[16:24]) == (1200, 630)
    assert (folder / "share.json").stat().st_size < 10_000
    assert read_card(folder / "share.json").name == "run"


@pytest.mark.usefixtures("handlers")
def test_what_cannot_be_shared_is_one_line_and_exit_code_2(tmp_path: Path, capsys) -> None:
    skipped = a_measurement(NUMPY, 0, status="skipped", reason="no device", values={})
    empty = write_folder(tmp_path / "empty", {}, others=[skipped]).folder
    (tmp_path / "x.json").write_text("{}")
    for path, why in (
        (empty, "nothing to share"),
        (tmp_path / "x.json", "takes run folders"),
        (tmp_path / "no", "no such"),
    ):
        assert main(["share", str(path)]) == 2
        assert why in capsys.readouterr().err
    assert not (empty / "share.json").exists()


def test_a_run_without_a_gpu_says_what_the_cpu_did_over_the_tutorials_numpy(tmp_path: Path) -> None:
    times = {
        a_case(dtype="float64", size=TUTORIAL_SIZE): around(700),
        a_case("numpy_in_place", dtype="float32", size=TUTORIAL_SIZE): around(100),
    }
    card = Card.of(Evidence.of(write_folder(tmp_path / "a", times)))
    (one,) = card.sizes
    assert (one.outcome, one.over) == ("untested", "the tutorial's numpy")
    assert one.speedup == pytest.approx(7.0)
    assert one.contender == "numpy_in_place cpu float32 1 thread"
