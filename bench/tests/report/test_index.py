from __future__ import annotations

from pathlib import Path

from bench.report.index import INDEX, main, plain, render, run_folders
from bench.tests.runs import NUMPY, around, write_run

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_the_committed_index_is_what_the_committed_runs_say() -> None:
    assert (RESULTS / INDEX).read_text(encoding="utf-8") == render(RESULTS), "stale: run scripts/index"


def test_every_run_has_its_machine_its_verdict_and_its_chart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "my run", {NUMPY: around(100)})
    (run.folder / "charts").mkdir()
    (run.folder / "charts" / "speedup.png").touch()
    text = render(tmp_path)
    assert "## [my run](my%20run/)" in text
    assert "a processor, 4 CPUs" in text
    assert "Untested" in text
    assert "(my%20run/charts/speedup.png)" in text


def test_a_new_run_makes_the_index_stale(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {NUMPY: around(100)})
    main([str(tmp_path)])
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == render(tmp_path)
    write_run(tmp_path / "two", {NUMPY: around(100)})
    assert (tmp_path / INDEX).read_text(encoding="utf-8") != render(tmp_path)


def test_runs_that_git_ignores_and_folders_that_are_no_runs_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "run-20261120-120000", {NUMPY: around(100)})
    (tmp_path / "notes").mkdir()
    assert run_folders(tmp_path) == []
    assert "none yet" in render(tmp_path)


def test_a_broken_run_ends_with_2_and_keeps_the_index(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {NUMPY: around(100)})
    (tmp_path / INDEX).write_text("as it was", encoding="utf-8")
    (tmp_path / "one" / "measurements.csv").unlink()
    assert main([str(tmp_path)]) == 2
    assert (tmp_path / INDEX).read_text(encoding="utf-8") == "as it was"


def test_names_cannot_become_markup() -> None:
    assert plain("a<b> [c](d) `e`\n# f") == r"a\<b\> \[c\](d) \`e\` \# f"


def test_a_validation_is_listed_with_its_misses_and_is_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "machine.json").write_text("{}")
    promises = "experiment,must_reach,got,met,n,note\ncoverage,95%,95%,yes,200,\nclock,0.1 us,0.2 us,no,9,\n"
    (folder / "acceptance.csv").write_text(promises)
    assert run_folders(tmp_path) == []
    text = render(tmp_path)
    assert "1 of 2 promises held" in text
    assert "Missed or untested: clock" in text
    assert "(validation/validation.png)" in text
