"""The way in from Python: plans, runs and judgements as tables, and a bar that a notebook can show."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import bench
from bench.cases.measurement import Found, Job
from bench.cases.request import Request
from bench.errors import UsageError
from bench.machine.environment import ROOT
from bench.runner.progress import turn_words
from bench.runner.session import prepare
from bench.runner.turns import Progress, schedule
from bench.status import status_line
from bench.tables.writer import write_machine

SIZE = (8, 5, 4, 3)


def launch(job: Job) -> Found:
    """A process that says each framework takes as long as its name."""
    median_us = float(len(job.case.style))
    values = {"latency_median_us": median_us, "throughput_us": median_us, "flops": 1000.0, "bytes_moved": 10.0}
    return Found("ok", values=values, first_us=1.0, timed_us=[median_us])


@pytest.fixture
def planned(tmp_path: Path, probed: object) -> bench.Planned:
    return bench.prepare(
        styles=["numpy_manual", "torch_tensors"],
        sizes=[SIZE],
        dtypes=["float32"],
        devices=["cpu", "cuda"],
        blocks=2,
        out=tmp_path / "run",
    )


def test_a_plan_is_a_table_of_cases_and_writes_nothing(planned: bench.Planned) -> None:
    cases = planned.cases
    assert sorted(zip(cases["style"], cases["device"], cases["blocks"], strict=True)) == [
        ("numpy_manual", "cpu", 2),
        ("torch_tensors", "cpu", 2),
        ("torch_tensors", "cuda:0", 0),
    ]
    assert cases.loc[cases["blocks"] == 0, "reason"].str.contains("no CUDA device").all()
    assert planned.seconds > 0
    assert not planned.folder.exists()


def test_a_run_comes_back_as_tables_and_figures(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    assert (measured.measurements["status"] == "ok").sum() == 4
    assert len(measured.iterations) == 8
    found = measured.speedups.query("style == 'torch_tensors' and baseline == 'best-cpu' and scope == 'iteration'")
    assert found["speedup"].tolist() == [pytest.approx(len("numpy_manual") / len("torch_tensors"))]
    assert all(isinstance(figure, Figure) for figure in measured.figures().values())
    assert measured.figures()


def test_what_was_measured_can_be_loaded_and_judged_by_its_path(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    verdict = bench.judge(planned.folder, 50)
    assert verdict["outcome"].tolist() == ["out of reach"]  # its planted times are a few us, a round trip takes more
    assert 0 < verdict["at_most"][0] < 50
    assert "no CUDA device" in verdict["reason"][0]
    assert bench.load(planned.folder).speedups.equals(measured.speedups)
    assert bench.judge(measured, np.int64(50)).equals(verdict)  # type: ignore[arg-type]
    for wrong in (True, "50", None):
        with pytest.raises(UsageError, match="give a number, such as 50"):
            bench.judge(measured, wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="give a name, such as 'best-cpu'"):
        bench.judge(measured, baseline=["own"])  # type: ignore[arg-type]


def test_a_single_string_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(UsageError, match=r"give a list, such as \['torch_nn'\]"):
        bench.prepare(styles="torch_nn")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"threads": 2}, r"threads=2: give a list, such as \[2\]"),
        ({"sizes": (8, 5, 4, 3)}, r"sizes=\[8\]: give \(N, D_in, H, D_out\) of each"),
        ({"sizes": ["8,5,4,3"]}, r"sizes=\['8,5,4,3'\]: give \(N, D_in, H, D_out\) of each"),
        ({"blocks": "3"}, "blocks='3': give a whole number"),
        ({"blocks": 2.5}, "blocks=2.5: give a whole number"),
        ({"seed": True}, "seed=True: give a whole number"),
        ({"styles": [5]}, r"styles=\[5\]: give names, such as \['torch_nn'\]"),
        ({"dtypes": [float]}, r"give names, such as \['float32'\]"),
        ({"preset": 5}, "preset=5: give a name, such as 'quick'"),
        ({"out": 5}, "out=5: give a folder"),
    ],
)
def test_what_is_of_another_type_is_refused_with_the_cure(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        bench.prepare(**options)


def test_a_plan_is_what_is_measured_and_no_name_of_one() -> None:
    with pytest.raises(UsageError, match=r"give what prepare returns, such as measure\(prepare\('quick'\)\)"):
        bench.measure("quick")  # type: ignore[arg-type]


@pytest.mark.usefixtures("probed")
def test_a_run_of_any_plan_is_taken_up_by_its_folder_alone(tmp_path: Path) -> None:
    request = Request(
        preset="tutorial", styles=("numpy_manual",), sizes=("8,5,4,3",), blocks=2, seed=7, keep_env=True, decide=9.0
    )
    folder = tmp_path / "run"
    begun = prepare(request, folder)
    folder.mkdir()
    write_machine(folder, begun.machine)
    again = bench.prepare(out=folder, resume=True).session
    assert (again.resumed, again.plan) == (True, begun.plan)


def test_a_wrong_name_says_which_one_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'torch_optim_sgd'"):
        bench.prepare(styles=["torch_optm_sgd"])


def test_the_bar_is_one_line_that_rewrites_itself(planned: bench.Planned) -> None:
    file = io.StringIO()
    turns = schedule(planned.session.plan)
    with status_line(file, rewritten=True, ended="measured") as say:
        starting = turn_words(planned.session, say, bar=True)
        for done, slot in enumerate(turns):
            starting(Progress(done, len(turns), slot))
    drawn = file.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.count("\r") == len(turns) + 1
    assert "3/4" in drawn
    assert "\x1b" not in drawn


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, bench; dir(bench); print({'pandas', 'numpy', 'torch', 'rich'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        _ = bench.mesure  # type: ignore[attr-defined]
    assert {"prepare", "measure", "judge", "load"} <= set(dir(bench))


class Page(HTMLParser):
    """Which tags a fragment of HTML has, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_notebook_shows_the_headline_a_table_and_a_picture(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    shown = Page(measured._repr_html_() or "")
    assert {"table", "th", "td", "img"} <= set(shown.tags)
    assert "Untested: no GPU was measured" in " ".join(shown.words)
    assert measured.plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_what_a_run_is_called_is_no_markup_in_a_notebook(planned: bench.Planned, tmp_path: Path) -> None:
    bench.measure(planned, progress=False, launch=launch)
    folder = tmp_path / "<script>alert(1)<"
    planned.folder.rename(folder)
    shown = Page(bench.load(folder)._repr_html_() or "")
    assert "script" not in shown.tags
    assert folder.name in " ".join(shown.words)


def test_a_run_without_a_number_still_has_a_headline_in_a_notebook(planned: bench.Planned) -> None:
    def crashing(job: Job) -> Found:
        return Found("crashed", "boom")

    measured = bench.measure(planned, progress=False, launch=crashing)
    shown = Page(measured._repr_html_() or "")
    assert "img" not in shown.tags
    assert "no case of this run could be measured" in " ".join(shown.words)
    with pytest.raises(UsageError, match="nothing to draw"):
        measured.plot()


def test_plot_gives_the_chart_that_answers_or_the_one_that_is_named(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    names = list(measured.figures())
    titles = {name: figure.texts[0].get_text() for name, figure in measured.figures().items()}
    assert measured.plot().texts[0].get_text() in {title for name, title in titles.items() if "speedup" in name}
    assert all(isinstance(measured.plot(name), Figure) for name in names)
    with pytest.raises(UsageError, match=f"no chart 'pie'; there are .*{names[-1]}"):
        measured.plot("pie")


def test_plans_and_runs_are_one_short_line(planned: bench.Planned) -> None:
    measured = bench.measure(planned, progress=False, launch=launch)
    assert repr(planned).startswith("<fiftyx plan: preset quick, 2 cases, 2 blocks; about ")
    assert repr(measured).startswith("<fiftyx run run: 2 cases measured, 2 blocks, ")
    assert len(repr(measured)) < 120


def test_what_the_readme_says_in_python_works(tmp_path: Path, probed: object, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
        if "import fiftyx" in block
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tutorial-cpu").symlink_to(ROOT / "results" / "tutorial-cpu")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.api.measure", partial(bench.measure, launch=launch, progress=False))
    monkeypatch.setitem(sys.modules, "fiftyx", bench)
    exec(code, {})
