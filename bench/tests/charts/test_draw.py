from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from typer.testing import CliRunner

from bench.cases.problem import Size
from bench.charts import draw as drawing
from bench.charts import ladder
from bench.charts.drawing import style as chart_style
from bench.charts.drawing.series import palette_of
from bench.charts.drawing.width import PHONE_IN, README_IN, drawn_at
from bench.cli import commands, main
from bench.errors import UsageError
from bench.report.verdict import answer
from bench.tables.columns import ITERATION_COLUMNS, LOSS_COLUMNS, MEASUREMENT_COLUMNS
from bench.tables.csv_files import read_table
from bench.tables.run import read_run
from bench.tests.charts.pages import (
    assert_nothing_leaves_the_page,
    assert_rows_do_not_overlap,
    assert_ticks_stand_apart,
)
from bench.tests.planted import MACHINE, SIDES, planted, planted_row
from bench.tests.runs import evidence_of
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import base_words, lead
from bench.words import number

TUTORIAL, LARGE = Size(64, 1000, 100, 10), Size(256, 4000, 400, 40)
AS_WRITTEN = ("numpy_manual", "cpu", "float64", 1)
IN_PLACE = ("numpy_in_place", "cpu", "float32", 1)
ON_GPU = ("torch_tensors", "cuda:0", "float32", 1)
"""sides of bench.tests.planted"""


def write(folder: Path, rows: pd.DataFrame, *, traced: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    rows.reindex(columns=list(MEASUREMENT_COLUMNS)).to_csv(folder / "measurements.csv", index=False)
    (folder / "machine.json").write_text(json.dumps({**MACHINE, "run_id": str(rows["run_id"].iloc[0])}))
    if traced:
        samples(rows).to_csv(folder / "iterations.csv", index=False)
    return folder


def samples(rows: pd.DataFrame) -> pd.DataFrame:
    phases = [("first", 0, 9.0), *(("warmup", at, 2.0) for at in range(20)), *(("timed", at, 1.0) for at in range(50))]
    each = pd.DataFrame(phases, columns=["phase", "iteration", "times"])
    both = rows.merge(each, how="cross")
    both["elapsed_us"] = both["latency_median_us"] * both["times"] * (1 + 0.001 * both["iteration"])
    return both.reindex(columns=list(ITERATION_COLUMNS))


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """As `planted`, with what a start takes."""
    us = rows["latency_median_us"]
    return rows.assign(
        import_seconds=1.0, transfer_seconds=0.01, first_iteration_seconds=us / 1e5, latency_p95_us=us * 1.04,
        warmup_iterations=300, floor_us=us / 4, flops=4.0 * rows["n"] * rows["d_in"] * rows["hidden"],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels cost time and are not what is tested here."""
    monkeypatch.setattr("bench.charts.drawing.style.PNG_DPI", 40)


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths if path.suffix == ".png"]


def test_a_run_gets_every_chart_that_it_holds_data_for_as_png_and_svg(tmp_path: Path):
    rows = complete(planted(sizes=(TUTORIAL, LARGE)))
    paths = drawing.draw(Evidence.of(read_run(write(tmp_path, rows, traced=True))))
    assert names(paths) == [
        "speedup-tutorial-1", "speedup-best-cpu", "speedup-against-work-tutorial-1", "speedup-against-work-best-cpu",
        "time-against-work", "trace", "layers", "first-call", "decomposition", "break-even",
    ]  # fmt: skip
    assert all(path.stat().st_size > 3_000 for path in paths)
    assert {path.suffix for path in paths} == {".png", ".svg"}
    assert {path.parent for path in paths} == {tmp_path / "charts"}


def test_the_same_tables_give_the_same_bytes_whatever_the_users_settings(tmp_path: Path):
    import matplotlib

    write(tmp_path, complete(planted([AS_WRITTEN, IN_PLACE], sizes=(TUTORIAL,), blocks=3)), traced=True)
    before = {path.name: path.read_bytes() for path in drawing.draw(Evidence.of(read_run(tmp_path)))}
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        after = {path.name: path.read_bytes() for path in drawing.draw(Evidence.of(read_run(tmp_path)))}
        assert matplotlib.rcParams["font.size"] == 30
    assert before == after
    assert any(name.endswith(".svg") for name in before)


@pytest.mark.parametrize("seed", range(6))
def test_at_any_width_nothing_leaves_a_chart_and_its_rows_and_ticks_stand_apart(tmp_path: Path, seed):
    draw = np.random.default_rng(seed)
    sides = [side for side in SIDES if draw.random() < 0.7] or [IN_PLACE]
    sizes = sorted({Size(*(int(value) for value in 2 ** draw.uniform(2, 10, 4))) for _ in range(draw.integers(1, 4))})
    rows = complete(planted(sides, sizes=sizes, blocks=int(draw.integers(1, 5)), noise=draw.uniform(0, 0.5), seed=seed))
    rows["first_iteration_seconds"] *= 10 ** draw.uniform(0, 4, len(rows))
    evidence = Evidence.of(read_run(write(tmp_path, rows, traced=True)))
    width = PHONE_IN if seed % 2 else draw.uniform(PHONE_IN, README_IN)
    with chart_style.applied(), drawn_at(width):
        for _name, figure in drawing.figures(evidence):
            assert_nothing_leaves_the_page(figure)
            assert_rows_do_not_overlap(figure)
            assert_ticks_stand_apart(figure)


@pytest.mark.parametrize(
    ("sides", "sizes", "blocks"),
    [([IN_PLACE], (TUTORIAL,), 1), ([ON_GPU], (TUTORIAL,), 3), ([AS_WRITTEN, IN_PLACE], (LARGE,), 2)],
    ids=["one case", "only a GPU", "no GPU, another size"],
)
def test_a_small_table_gets_the_charts_that_it_can(tmp_path: Path, sides, sizes, blocks):
    paths = drawing.draw(Evidence.of(read_run(write(tmp_path, complete(planted(sides, sizes=sizes, blocks=blocks))))))
    assert "break-even" in names(paths)


def test_a_table_where_all_failed_gets_one_line_and_exit_code_2(tmp_path: Path, handlers, capsys):
    rows = planted([IN_PLACE], sizes=(TUTORIAL,)).assign(status="failed", reason="boom", latency_median_us=None)
    assert main(["chart", str(write(tmp_path, rows))]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.splitlines() == [
        f"fiftyx: {tmp_path}: nothing to draw: no case was measured (5 failed); the first reason: boom"
    ]


def test_one_folder_without_a_number_does_not_keep_the_others_from_their_charts(tmp_path: Path, handlers, capsys):
    failed = planted([IN_PLACE], sizes=(TUTORIAL,)).assign(status="failed", latency_median_us=None)
    empty = write(tmp_path / "empty", failed)
    full = write(tmp_path / "full", complete(planted([IN_PLACE], sizes=(TUTORIAL,))))
    assert main(["chart", str(empty), str(full)]) == 2
    assert "break-even.png" in capsys.readouterr().out


def test_a_case_that_was_wrong_in_one_block_is_in_no_chart(tmp_path: Path):
    rows = complete(planted([AS_WRITTEN, IN_PLACE, ON_GPU], sizes=(TUTORIAL,)))
    rows.loc[(rows["style"] == "torch_tensors") & (rows["block"] == 0), "status"] = "wrong"
    write(tmp_path, rows)
    with chart_style.applied():
        for _name, figure in drawing.figures(Evidence.of(read_run(tmp_path))):
            shown = [text.get_text() for axes in figure.axes for text in axes.texts]
            shown += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
            assert not any("torch_tensors" in text for text in shown)


def test_every_chart_names_its_machine_and_n_and_every_speedup_its_baseline(tmp_path: Path):
    write(tmp_path, complete(planted(sizes=(TUTORIAL, LARGE))), traced=True)
    with chart_style.applied():
        for name, figure in drawing.figures(Evidence.of(read_run(tmp_path))):
            assert any(name in chart.NAMES for chart in drawing.CHARTS)
            title, subtitle, footer = [text.get_text() for text in figure.texts]
            assert "A CPU, 2 CPUs" in footer, name
            assert "n = 5 blocks" in footer or name == "trace"
            if name.startswith("speedup"):
                baseline = re.sub("speedup-(against-work-)?", "", name)
                assert base_words(baseline) in title
                assert baseline in subtitle
                assert "numpy_manual" in subtitle or baseline == "best-cpu"


@given(st.floats(1.0, 5e4), st.floats(1e-2, 20.0), st.booleans())
def test_the_title_of_a_ladder_and_the_headline_say_the_same_figure(launch_us, rate, on_gpu):
    side = ("torch_tensors", "cuda:0" if on_gpu else "cpu", "float32", 1)
    cases = {AS_WRITTEN: 600.0, side: launch_us * rate}
    rows = [
        planted_row(case, TUTORIAL, block, us * (1 + 0.001 * block)) for case, us in cases.items() for block in range(3)
    ]
    evidence = evidence_of(pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine=MACHINE)
    (name, figure), *_ = ladder.charts(evidence)
    title, headline = figure.texts[0].get_text().replace("\n", " "), answer(evidence)[1]
    assert name == "speedup-tutorial-1"
    one = lead(evidence, TUTORIAL, "tutorial-1")
    if one.speedup is None:
        assert title == "Nothing in float32 here is faster than the tutorial's numpy, numpy_manual on 1 thread"
        assert "the fastest CPU style, numpy_manual" in headline
    else:
        figures = f"{number(one.speedup.ratio.value)}x"
        assert figures in title
        assert figures in headline or on_gpu  # with a GPU the headline is over the best CPU, and here there is none
    assert ("GPU" in title) == on_gpu


def test_charts_that_say_nothing_without_an_accelerator_are_not_drawn_without_one(tmp_path: Path):
    for device in ("cpu", "cuda:0"):
        more = [ON_GPU] if device != "cpu" else []
        rows = complete(planted([AS_WRITTEN, IN_PLACE, *more], sizes=(TUTORIAL, LARGE), blocks=2))
        adam = rows[rows["style"] == IN_PLACE[0]].assign(style="torch_optim_adam", oracle="adam", framework="torch")
        elsewhere = adam.assign(device=device, threads=2, device_model="A GPU" if more else "A CPU")
        rows = pd.concat([rows, adam, elsewhere])
        drawn = names(drawing.draw(Evidence.of(read_run(write(tmp_path / device.replace(":", ""), rows)))))
        only = {"speedup-other-trainings", "speedup-against-work-best-cpu"}
        assert only & set(drawn) == (only if more else set())
        assert {"speedup-tutorial-1", "speedup-best-cpu", "speedup-against-work-tutorial-1"} <= set(drawn)


def test_one_colour_is_one_style_in_all_charts_of_a_run(tmp_path: Path):
    """Own styles too, of which a chart shows some: a colour by their order in that chart would change."""
    own = ("a_own", "b_own", "torch_own")
    rows = complete(planted([AS_WRITTEN, IN_PLACE, ON_GPU], sizes=(TUTORIAL, LARGE), blocks=2))
    there = rows[rows["device"] == "cpu"].drop_duplicates(["block", "n"])
    more = [there.assign(style=name, dtype="float32", framework=f"f{at}") for at, name in enumerate(own)]
    more[0] = more[0][more[0]["n"] == TUTORIAL.n]
    evidence = Evidence.of(read_run(write(tmp_path, pd.concat([rows, *more]), traced=True)))
    expected = {name: to_rgb(colour) for name, (colour, _) in palette_of(evidence).items()}
    assert len(set(expected.values())) == len(expected) == 6
    seen = set()
    with chart_style.applied():
        for name, figure in drawing.figures(evidence):
            for handle in (one for legend in figure.legends for one in legend.get_lines()):
                style = next((one for one in expected if str(handle.get_label()).startswith(one)), None)
                if style:
                    seen.add((name, style))
                    assert to_rgb(handle.get_color()) == expected[style], name
    assert len({name for name, _ in seen}) >= 3
    assert {style for _, style in seen} >= {"b_own", "torch_own"}


@pytest.mark.parametrize(("styles", "sizes"), [(0, 1), (1, 1), (20, 1), (1, 6), (7, 13)])
def test_a_card_is_1200_by_630_and_nothing_leaves_it(tmp_path: Path, styles, sizes):
    names = [f"a_style_with_quite_a_long_name_{at}" for at in range(styles)]
    each = [Size(16 * (at + 1), 1000, 100, 10) for at in range(sizes)]
    rows = [
        planted_row((name, device, "float32", 1), size, block, (500.0 - at) * (1 + block / 99))
        for block in range(2)
        for size in each
        for at, (name, device) in enumerate([("numpy_manual", "cpu"), *((one, "cuda:0") for one in names)])
    ]
    evidence = evidence_of(pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine=MACHINE)
    headline = answer(evidence)[1] + " And more words than there is any room for." * 9
    path = drawing.save_card(evidence, headline, tmp_path / "share.png")
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (1200, 630)
    with chart_style.applied():
        figure = ladder.card(evidence, headline)
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)


def test_the_size_of_the_ladder_is_the_tutorials_or_the_one_with_most_cases(tmp_path: Path):
    both = planted([AS_WRITTEN, IN_PLACE], sizes=(LARGE,))
    assert evidence_of(pd.concat([both, planted([IN_PLACE], sizes=(TUTORIAL,))])).shown_size == TUTORIAL
    assert evidence_of(pd.concat([both, planted([IN_PLACE], sizes=(Size(8, 8, 8, 8),))])).shown_size == LARGE


def test_a_run_that_looked_several_times_says_so_at_its_intervals(tmp_path: Path):
    write(tmp_path, complete(planted([AS_WRITTEN, IN_PLACE], sizes=(TUTORIAL,))))
    machine = json.loads((tmp_path / "machine.json").read_text())
    machine["plan"]["looks"] = [10, 20, 30]
    (tmp_path / "machine.json").write_text(json.dumps(machine))
    with chart_style.applied():
        figure = dict(drawing.figures(Evidence.of(read_run(tmp_path))))["speedup-best-cpu"]
    assert "[98.3% interval]" in [text.get_text() for text in figure.axes[0].texts]


def test_a_chart_that_no_longer_applies_goes_and_what_is_not_ours_stays(tmp_path: Path):
    write(tmp_path, complete(planted([IN_PLACE], sizes=(TUTORIAL,))))
    (tmp_path / "charts").mkdir()
    others = {"mine.png", "trace.txt", "trace-mine.png", "speedup-of-mine.svg", "speedup-tutorial.png"}
    for name in others:
        (tmp_path / "charts" / name).touch()
    with chart_style.applied():
        chart_style.save(Figure(figsize=(1, 1)), tmp_path / "charts" / "speedup-numpy-1")
    drawing.draw(Evidence.of(read_run(tmp_path)))
    left = {path.name for path in (tmp_path / "charts").iterdir()}
    assert not {"speedup-numpy-1.png", "speedup-numpy-1.svg"} & left
    assert others <= left


def test_every_name_that_a_chart_may_give_is_its_own():
    every = [name for chart in drawing.CHARTS for name in chart.NAMES]
    assert len(every) == len(set(every))


def test_losses_are_drawn_where_a_table_holds_them(tmp_path: Path):
    write(tmp_path, complete(planted([IN_PLACE], sizes=(TUTORIAL,))))
    head = ",".join(LOSS_COLUMNS)
    same = "sgd,cpu,float32,ieee,1"
    rows = [f"r,{style},{same},{index},{loss}" for style in "ab" for index, loss in enumerate((4.0, 2.0))]
    (tmp_path / "losses.csv").write_text("\n".join([head, *rows, "r,adam,adam,cpu,float32,ieee,1,0,9.0", ""]))
    assert "losses" in names(drawing.draw(Evidence.of(read_run(tmp_path))))
    (tmp_path / "losses.csv").write_text(f"{head.removesuffix(',loss')}\nr,a,{same},0\n")
    with pytest.raises(UsageError, match="has no column 'loss'"):
        drawing.draw(Evidence.of(read_run(tmp_path)))


def test_a_folder_that_is_none_is_one_line(tmp_path: Path, handlers, capsys):
    assert main(["chart", str(tmp_path / "nowhere")]) == 2
    assert "no such run folder" in capsys.readouterr().err
    assert CliRunner().invoke(commands(), ["chart"]).exit_code == 2


def test_a_million_timed_iterations_are_drawn_within_a_gigabyte(tmp_path: Path):
    rows = complete(planted(sizes=(TUTORIAL,), blocks=10))
    write(tmp_path, rows, traced=True)
    timed = read_table(tmp_path / "iterations.csv", ITERATION_COLUMNS)
    timed = timed[timed["phase"] == "timed"]
    more = "".join(
        timed.assign(iteration=timed["iteration"] + 50 * (turn + 1)).to_csv(index=False, header=False)
        for turn in range(1_000_000 // len(timed))
    )
    with open(tmp_path / "iterations.csv", "a", encoding="utf-8") as file:
        file.write(more)
    # VmHWM and not getrusage: that one survives exec, and so may be the peak of whoever runs the tests
    program = (
        "import sys; from bench.cli import main; from bench.timing.counters import Counters; "
        "main(['chart', sys.argv[1]]); print(Counters.read().peak_rss_bytes)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert len(timed) + more.count("\n") >= 1_000_000
    assert int(ended.stdout.split()[-1]) <= 2**30


def test_the_waterfall_begins_with_the_environment_where_it_was_measured(tmp_path: Path):
    rows = complete(planted([AS_WRITTEN, IN_PLACE], sizes=(TUTORIAL,), blocks=3))
    folder = write(tmp_path / "run", rows)
    without = (drawing.draw(Evidence.of(read_run(folder))), (folder / "charts" / "decomposition.svg").read_text())[1]
    found = rows[rows["style"] == AS_WRITTEN[0]].assign(environment="as found")
    found["latency_median_us"] *= 1.3
    found.reindex(columns=list(MEASUREMENT_COLUMNS)).to_csv(folder / "as_found.csv", index=False)
    drawing.draw(Evidence.of(read_run(folder)))
    text = (folder / "charts" / "decomposition.svg").read_text()
    assert "<!-- environment -->" in text
    assert "<!-- environment -->" not in without
    assert "1 thread as found to" in text
