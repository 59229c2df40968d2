"""`table`: a run without a row is a complaint, not silence."""

from __future__ import annotations

import pytest

from bench.cli import main
from bench.tests.planted import planted, write_run


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("blocks", "code"), [(0, 2), (2, 0)])
def test_a_run_without_a_row_is_refused_and_not_passed_over(tmp_path, capsys, blocks, code):
    folder = write_run(tmp_path / "run", planted(blocks=blocks))
    assert main(["table", str(folder)]) == code
    printed = capsys.readouterr()
    assert ("holds no measurement" in printed.err) == (code == 2)
    assert bool(printed.out) == (code == 0)
