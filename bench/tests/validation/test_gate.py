"""The evidence for the gate: who is tried, what is counted, and that a run that was cut short goes on."""

from __future__ import annotations

import pytest

from bench.cases.presets import PRESETS
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.tables.csv_files import read_rows
from bench.validation import gate
from bench.validation._subjects import fewest_honest, fewest_lies, is_lie_at, lying, others, telling
from implementations import find_implementations

SMALL = Size(16, 250, 25, 2)


def few(oracle):
    """Subjects of a stage that takes a moment: an honest order of summation, and two lies."""
    kept = [one for one in (*telling(oracle), *lying(oracle)) if one.case.problem.dtype == "float32"]
    return [one for one in kept if one.case.style == "permuted" or one.lie in ("skipped w2", "bf16 compute")]


@pytest.fixture
def brief(monkeypatch):
    """Two stages of a few subjects; the names of those that were run."""
    ran = []
    stages = [gate.Stage(phase, "sgd", size, few, 1.0) for phase, size in
              ((gate.REHEARSAL, TUTORIAL_SIZE), (gate.TIMED, SMALL))]  # fmt: skip
    run_stage = gate.run_stage

    def counted(stage, seeds):
        ran.append(stage.phase)
        return run_stage(stage, seeds)

    monkeypatch.setattr(gate, "stages", lambda: iter(stages))
    monkeypatch.setattr(gate, "run_stage", counted)
    return ran


def test_honest_and_lies_are_counted_and_a_second_run_adds_what_is_missing_only(tmp_path, brief):
    path = tmp_path / gate.TABLE
    gate.measure(tmp_path, 1, 77, lambda _text: None)
    rows = read_rows(path, gate.COLUMNS)
    assert [(row["phase"], row["lie"]) for row in rows[:3]] == [
        ("rehearsal", ""), ("rehearsal", "skipped w2"), ("rehearsal", "bf16 compute")]  # fmt: skip
    assert {row["wrong"] for row in rows if row["lie"]} == {"1"}
    assert {row["wrong"] for row in rows if not row["lie"]} == {"0"}
    assert all(float(row["most_excess"]) < 1 for row in rows if not row["lie"])
    assert {(row["first_seed"], row["last_seed"], row["seeds"]) for row in rows} == {("77", "77", "1")}
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:4]))  # as if it had been stopped after its first stage
    gate.measure(tmp_path, 1, 77, lambda _text: None)
    assert path.read_text() == whole
    assert brief == ["rehearsal", "timed", "timed"]


def test_the_readme_says_how_many_were_tried_and_by_which_command(tmp_path, brief):
    assert gate.main(["--seeds", "1", "--seeds-from", "5", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "README.md").read_text()
    assert "0 of 2 honest trials were called wrong, 0 of 2 lies in the rehearsal were missed;" in text
    assert f"`python -m bench.validation.gate --seeds 1 --seeds-from 5 --out {tmp_path}`" in text


def kinds(subjects):
    return {(one.case.style, one.case.problem.dtype, one.case.precision) for one in subjects}


def test_every_size_of_a_preset_and_every_style_is_tried():
    stages = list(gate.stages())
    timed = {stage.size for stage in stages if stage.phase == gate.TIMED}
    assert timed >= {size for preset in PRESETS.values() for leg in preset.legs for size in leg.sizes}
    tried = {one.case.style for stage in stages for one in stage.subjects(stage.oracle)}
    assert tried >= {
        name for name, style in find_implementations().items() if "cpu" in style.devices and not style.missing
    }
    for oracle in ("sgd", "adam", "dynamic"):
        assert not kinds(telling(oracle)) & kinds(others(oracle))
        assert all(one.honest for one in (*telling(oracle), *others(oracle), *fewest_honest(oracle)))
        assert not any(one.honest for one in (*lying(oracle), *fewest_lies(oracle)))
    assert fewest_honest("sgd")
    assert fewest_lies("sgd")


def test_tf32_where_aligned_is_no_lie_where_nothing_is_aligned():
    (aligned,) = (one for one in lying("sgd") if one.lie == "TF32 where aligned")
    assert not is_lie_at(aligned, SMALL)
    assert is_lie_at(aligned, TUTORIAL_SIZE)
    assert is_lie_at(lying("sgd")[0], SMALL)
