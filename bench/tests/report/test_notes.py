"""What stands below a table: where a ratio is not that of the times beside it, the table says so."""

from __future__ import annotations

import pytest

from bench.report.run_tables import size_sheets
from bench.tests.fakes import a_case
from bench.tests.runs import evidence_of, write_run


@pytest.mark.parametrize(("fewer", "of"), [("baseline", 2), ("contender", 2), ("neither", 3)])
def test_times_that_do_not_divide_into_the_ratio_are_said_to_be_of_other_blocks(tmp_path, fewer, of):
    """A slow last block on one side alone: its time says slower, the ratio of what both have says faster."""
    fast, slow = (a_case(name, dtype="float32") for name in ("numpy_in_place", "torch_tensors"))
    times = {fast: [100.0, 102.0, 150.0], slow: [104.0, 103.0, 160.0]}
    if fewer != "neither":
        times[fast if fewer == "baseline" else slow].pop()
    evidence = evidence_of(write_run(tmp_path / "run", times).measurements)
    (one,) = (one for one in evidence.by_iteration() if one.baseline == "best-cpu")
    assert one.ratio.blocks == of
    (table,) = size_sheets(evidence, ["best-cpu"])
    said = [note for note in table.notes if "the blocks that both sides have" in note]
    assert len(said) == (fewer != "neither")
    assert all(note.endswith(f"{one.contender.label}.") for note in said)
