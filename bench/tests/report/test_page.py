from __future__ import annotations

import base64
import hashlib
import re
import signal
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest

from bench.cases.presets import SWEEP_SIZES
from bench.charts.draw import draw, for_phones
from bench.cli import main
from bench.errors import UsageError
from bench.report.pages.page import chart_files, noise_sentence, read_charts, render, write
from bench.report.run_tables import leftover_sheet
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.run import read_run
from bench.tests.chromium import Browser, browser, find_chromium
from bench.tests.fakes import REASON, a_case, a_measurement
from bench.tests.planted import planted, planted_row
from bench.tests.planted import write_run as write_planted
from bench.tests.runs import MACHINE, NUMPY, TORCH, around, write_run
from bench.verdict.evidence import Evidence

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" {}>{}</svg>'
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
DRAWING = """<defs><clipPath id="p1"><rect width="9" height="9"/></clipPath><path id="m" d="M0 0"/></defs>
<g clip-path="url(#p1)"><use xlink:href="#m"/></g>"""
FLOAT32: dict[str, Any] = {"dtype": "float32", "size": (64, 1000, 100, 10)}
CASES = {
    a_case("numpy_manual", **{**FLOAT32, "dtype": "float64"}): around(700),
    a_case("numpy_in_place", **FLOAT32): around(170),
    a_case("torch_tensors", framework="torch", **FLOAT32): around(340),
}
GPU: dict[str, Any] = {
    "devices": {"cpu": {"model": "a processor"}, "cuda:0": {"model": "a GPU"}},
    "missing": {},
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = a_case("torch_optim_adam", framework="torch", oracle="adam", **FLOAT32)
    lost = a_measurement(TORCH, 0, status="failed", reason=HOSTILE, values={})
    run = write_run(tmp_path_factory.mktemp("runs") / "a run & more", {**CASES, case: around(99)}, others=[lost])
    before = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(StringIO()) as out:
        assert main(["report", str(run.folder)]) == 0
    signal.signal(signal.SIGTERM, before)
    assert out.getvalue().strip() == str(run.folder / "report.html")
    return run.folder / "report.html"


def charted(folder: Path, *texts: str) -> None:
    (folder / "charts").mkdir()
    for index, text in enumerate(texts):
        (folder / "charts" / f"chart-{index}.svg").write_text(text, encoding="utf-8")


def test_all_text_of_a_run_is_escaped(tmp_path: Path) -> None:
    bad = a_measurement(TORCH, 0, status="failed", reason=HOSTILE, values={})
    run = write_run(
        tmp_path / "a", {replace(NUMPY, style=HOSTILE): around(100)}, others=[bad], cpu_model=HOSTILE,
        missing={"x": HOSTILE}, distorting_variables={HOSTILE: HOSTILE}, packages={HOSTILE: HOSTILE}, system=HOSTILE,
        plan={**MACHINE["plan"], "style_files": [HOSTILE], "preset": HOSTILE, "rule": {"warmup_s": HOSTILE}},
        devices={"cpu": {"model": ""}, HOSTILE: {"model": HOSTILE, HOSTILE: HOSTILE}},
    )  # fmt: skip
    page = render(Evidence.of(run))
    assert HOSTILE not in page
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert page.count("&lt;script&gt;alert(1)") > 10


def test_a_chart_is_an_image_with_its_words_and_no_markup_of_the_page(tmp_path: Path) -> None:
    hostile = SVG.format('onload="alert(1)"', f"<script>alert(1)</script>{DRAWING}")
    run = write_run(tmp_path / "a", CASES)
    charted(run.folder, hostile, SVG.format("", DRAWING))
    text = render(Evidence.of(run))
    assert re.findall(r'<img src="data:image/svg\+xml;base64,[^"<>]+" alt="([^"]+)">', text) == [
        "chart: chart 0",
        "chart: chart 1",
    ]
    assert "<svg" not in text
    assert "alert" not in text
    (first, _second) = read_charts(run.folder)
    assert base64.b64decode(first.address.partition(",")[2]).decode() == hostile


def test_a_chart_that_was_drawn_for_phones_too_is_offered_to_them(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", CASES)
    charted(run.folder, SVG.format("", DRAWING), SVG.format("", DRAWING))
    text = render(Evidence.of(run), {"chart-1": b"<svg narrow/>"})
    (address,) = re.findall(r'<source media="[^"]+" srcset="data:image/svg\+xml;base64,([^"<>]+)">', text)
    assert base64.b64decode(address) == b"<svg narrow/>"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "least", "most"), [(390, 300, 640), (1280, 768, 768)])
def test_letters_of_a_chart_are_drawn_for_the_screen(
    tab: Browser, tmp_path: Path, width: int, least: int, most: int
) -> None:
    """A picture 768 pixels wide on a screen of 390 has letters of half their size."""
    evidence = Evidence.of(write_run(tmp_path / "a", CASES))
    draw(evidence)
    tab.open(write(evidence, for_phones(evidence)).as_uri(), width, 844)
    widths = tab.run("[...document.images].map(one => one.naturalWidth)")
    assert widths
    assert all(least <= one <= most for one in widths), widths


def test_only_the_pages_own_script_may_run_and_nothing_may_load(tmp_path: Path) -> None:
    text = render(Evidence.of(write_run(tmp_path / "a", CASES)))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["script-src"] == f"'sha256-{digest}'"
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert rules["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    assert rules["img-src"] == "data:"
    assert {rules[name] for name in ("default-src", "base-uri", "form-action")} == {"'none'"}


@pytest.mark.parametrize("text", ["", "no svg", "<html/>", '<svg xmlns="http://www.w3.org/2000/svg"/>'])
def test_a_file_that_is_no_svg_is_named(tmp_path: Path, text: str) -> None:
    charted(tmp_path, text)
    with pytest.raises(UsageError, match=r"chart-0\.svg: is no SVG"):
        read_charts(tmp_path)


def test_the_page_links_files_that_are_there_and_nothing_else(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", CASES)
    charted(run.folder, SVG.format("", DRAWING))
    page = write(Evidence.of(run)).read_text(encoding="utf-8")
    links = [link for link in re.findall(r'(?:href|src|action)="([^"]+)"', page) if not link.startswith("data:")]
    assert len(links) >= 10
    for link in links:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page, link
        else:
            assert (run.folder / unquote(link)).is_file(), link


def test_a_run_without_a_single_number_still_makes_a_page(tmp_path: Path) -> None:
    skipped = a_measurement(TORCH, 0, status="skipped", reason=REASON, values={})
    run = write_run(tmp_path / "a", {}, others=[skipped])
    assert "No case has a number." in render(Evidence.of(run))


def test_a_machine_that_says_little_still_makes_a_page(tmp_path: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(set(MACHINE) - {"environment"})
    page = render(Evidence.of(write_run(tmp_path / "a", {NUMPY: around(100)}, **nothing)))
    assert "unknown processor" in page
    assert "None" not in page


def test_a_style_that_was_wrong_once_has_no_time_on_the_page(tmp_path: Path) -> None:
    wrong = a_measurement(TORCH, 9, status="wrong", reason="its loss strays", values={})
    run = write_run(tmp_path / "a", {NUMPY: around(100), TORCH: around(7)}, others=[wrong])
    page = render(Evidence.of(run))
    assert "its loss strays" in page
    assert not re.search(r"<td[^>]*>7\.0", page)


def test_the_command_draws_what_is_missing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    drawn = list((page.parent / "charts").glob("*.svg"))
    assert text.count('<img src="data:image/svg+xml;base64,') == text.count('alt="chart: ') == len(drawn) > 0


@pytest.mark.usefixtures("handlers")
def test_a_folder_that_is_no_run_ends_with_2(tmp_path: Path) -> None:
    assert main(["report", str(tmp_path)]) == 2


# in a real browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on the PATH; apt-get install chromium brings one")
    with browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    if "tab" in request.fixturenames:
        opened: Browser = request.getfixturevalue("tab")
        opened.requests.clear()
        opened.complaints.clear()


SIZES = [(1280, 800), (390, 844)]
VERDICT = "document.getElementById('verdict')"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_opens_quietly_with_its_verdict_above_the_fold(
    tab: Browser, page: Path, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    tab.open(page.as_uri(), width, height, scheme)
    left, top, right, bottom = tab.run(f"(r => [r.left, r.top, r.right, r.bottom])({VERDICT}.getBoundingClientRect())")
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert "Untested" in tab.run(f"document.elementFromPoint({left + 20}, {top + 12}).textContent")
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    assert len(tab.screenshot(tmp_path / "shot.png")) > 5000
    assert [url for url in tab.requests if not url.startswith("data:image/svg+xml;base64,")] == [page.as_uri()]
    assert tab.run("[...document.images].length") > 0
    assert tab.run("[...document.images].every(one => one.complete && one.naturalWidth > 0 && one.alt)")
    assert tab.complaints == []


@pytest.fixture(scope="module")
def pages(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One size and six, without and with a GPU, one style and many with long names."""
    long = ("torch_tensors", *(f"a_style_of_mine_with_quite_a_long_name_{at}" for at in range(12)))
    sides = [(name, device, "float32", 1) for name in long for device in ("cpu", "cuda:0")]
    at = {size: [planted_row(side, size, block, 1e3 + 9 * here) for here, side in enumerate(sides) for block in (0, 1)]
          for size in SWEEP_SIZES}  # fmt: skip
    columns = list(MEASUREMENT_COLUMNS)
    made = {
        "several sizes": planted(blocks=2),
        "many styles": pd.DataFrame(at[SWEEP_SIZES[2]], columns=columns),
        "many of both": pd.DataFrame([row for rows in at.values() for row in rows], columns=columns),
    }
    found = {"one size": page}
    for name, rows in made.items():
        folder = write_planted(tmp_path_factory.mktemp("pages") / name, rows)
        charted(folder, SVG.format("", DRAWING))
        found[name] = write(Evidence.of(read_run(folder)))
    return found


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_headline_and_first_table_are_within_a_screen_and_a_half_and_before_the_charts(
    tab: Browser, pages: dict[str, Path], width: int, height: int
) -> None:
    for name, path in pages.items():
        tab.open(path.as_uri(), width, height)
        box = "getBoundingClientRect()"
        verdict, table = (tab.run(f"{one}.{box}.bottom") for one in (VERDICT, "document.querySelector('table')"))
        assert verdict < table <= 1.5 * height, name
        assert table <= tab.run(f"document.querySelector('#charts').{box}.top"), name


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_scrolled_sideways(tab: Browser, pages: dict[str, Path], width: int) -> None:
    """On a phone no table and no chart either; a wide screen's tables may be wider than it where styles are many."""
    for name, path in pages.items():
        tab.open(path.as_uri(), width, 844)
        tab.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert tab.run("document.documentElement.scrollWidth") <= width, name
        inner = (
            "[...document.querySelectorAll('main *, header *')].filter(one => one.scrollWidth > one.clientWidth + 1)"
        )
        scrolling = f"{inner}.filter(one => getComputedStyle(one).overflowX === 'auto').length"
        assert width > 390 or tab.run(scrolling) == 0, name


@pytest.mark.browser
def test_on_a_phone_every_figure_of_a_table_has_its_columns_name(tab: Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["one size"].as_uri(), 390, 844)
    cells = "[...document.querySelectorAll('table.sortable td')].filter(one => one.textContent && one.cellIndex)"
    shown = tab.run(f"{cells}.map(one => [one.dataset.name, getComputedStyle(one, '::before').content])")
    assert len(shown) > 10
    assert all(content == f'"{name}"' and name for name, content in shown)


def test_a_page_of_several_sizes_begins_with_speedup_against_work_over_the_headlines_baseline(tmp_path: Path) -> None:
    names = ["break-even", "speedup-best-cpu", "speedup-tutorial", "trace", "speedup-against-work-best-cpu",
             "speedup-against-work-tutorial", "time-against-work"]  # fmt: skip
    (tmp_path / "charts").mkdir()
    for name in names:
        (tmp_path / "charts" / f"{name}.svg").touch()
    for baseline, other in (("best-cpu", "tutorial"), ("tutorial", "best-cpu")):
        assert [path.stem for path in chart_files(tmp_path, baseline)] == [
            f"speedup-against-work-{baseline}", f"speedup-against-work-{other}", f"speedup-{baseline}",
            f"speedup-{other}", "time-against-work", "break-even", "trace",
        ]  # fmt: skip


@pytest.mark.browser
def test_paper_and_ink_are_far_apart_in_both_schemes(tab: Browser, page: Path) -> None:
    lightness = {}
    for scheme in ("light", "dark"):
        tab.open(page.as_uri(), 1280, 800, scheme)
        for name in ("color", "backgroundColor"):
            colour = tab.run(f"getComputedStyle(document.body).{name}")
            lightness[scheme, name] = sum(map(int, re.findall(r"\d+", colour)[:3])) / 765
    assert lightness["light", "backgroundColor"] - lightness["light", "color"] > 0.7
    assert lightness["dark", "color"] - lightness["dark", "backgroundColor"] > 0.7


COLUMN = """(() => { const table = document.querySelectorAll('table.sortable')[%d];
  const at = [...table.tHead.rows[0].cells].findIndex(head => head.textContent.startsWith('%s'));
  %s
  return [...table.tBodies[0].rows].map(row => row.cells[at].textContent.trim()); })()"""
CLICK = "table.tHead.rows[0].cells[at].querySelector('button').click();"


def cells(tab: Browser, name: str, clicks: int, table: int = 0) -> list[str]:
    return list(tab.run(COLUMN % (table, name, CLICK * clicks)))


@pytest.mark.browser
def test_a_click_sorts_by_number_up_and_then_down_with_the_unknown_last(tab: Browser, page: Path) -> None:
    tab.open(page.as_uri(), 1280, 800)
    tables = tab.run("[...document.querySelectorAll('table.sortable')].map(table => table.tHead.textContent)")
    at = next(index for index, text in enumerate(tables) if "latency" in text)
    times = [float(cell.split()[0].replace(",", "")) for cell in cells(tab, "latency", 0, at)]
    assert times == sorted(times)
    down = [float(cell.split()[0].replace(",", "")) for cell in cells(tab, "latency", 2, at)]
    assert down == sorted(times, reverse=True)
    assert len(times) == 4
    for clicks in (1, 1):
        ratios = cells(tab, "speedup over best", clicks, at)
        assert ratios[-1] == ""  # Adam has no speedup over another training, whichever way it is sorted
        assert ratios.count("") == 1


@pytest.mark.browser
def test_a_click_sorts_by_name_and_tells_it_to_a_screen_reader(tab: Browser, page: Path) -> None:
    tab.open(page.as_uri(), 390, 844)
    for clicks, backwards in ((1, False), (1, True)):
        names = cells(tab, "style", clicks)
        assert names == sorted(names, reverse=backwards)
    assert tab.run("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
    assert tab.complaints == []


RAN = "document.title='ran'"
RUNS = (f'<svg ONLOAD="{RAN}">', f"<SCRIPT>{RAN}</SCRIPT>", f'"><img src=x OnError="{RAN}">', f"</style><script>{RAN}")


@pytest.mark.browser
@pytest.mark.parametrize("markup", RUNS)
def test_markup_in_a_name_a_reason_or_a_picture_never_runs(tab: Browser, tmp_path: Path, markup: str) -> None:
    bad = a_measurement(TORCH, 0, status="failed", reason=markup, values={})
    run = write_run(tmp_path / "a", {replace(NUMPY, style=markup): around(100)}, others=[bad], cpu_model=markup)
    inside = f'<foreignObject><body xmlns="http://www.w3.org/1999/xhtml" onload="{RAN}"/></foreignObject>'
    charted(run.folder, SVG.format(f'ONLOAD="{RAN}" onload="{RAN}"', f"<script>{RAN}</script>{inside}"))
    tab.open(write(Evidence.of(run)).as_uri(), 800, 600)
    assert tab.run("document.title") == "a: is it really 50x on a GPU?"
    assert tab.run("document.images[0].complete && document.scripts.length === 1")
    assert tab.complaints == []


@pytest.mark.browser
def test_it_prints(tab: Browser, page: Path) -> None:
    tab.open(page.as_uri(), 1280, 800)
    tab.send("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    tab.send("Emulation.setEmulatedMedia", media="")
    assert tab.send("Page.printToPDF")["data"].startswith("JVBERi")  # %PDF


@pytest.mark.browser
def test_the_test_itself_sees_requests_errors_and_exceptions(tab: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='other.png'><script>console.error('wrong'); nowhere()</script>", encoding="utf-8")
    tab.open(bad.as_uri(), 1280, 800)
    assert tab.requests[1:] == [(tmp_path / "other.png").as_uri()]
    assert any("wrong" in text for text in tab.complaints)
    assert any("nowhere" in text for text in tab.complaints)


def test_cases_that_differ_in_threads_alone_are_told_apart_where_they_have_no_number(tmp_path: Path) -> None:
    lost = [
        a_measurement(replace(TORCH, threads=threads), 0, status="failed", reason="broke", values={})
        for threads in (1, 2)
    ]
    run = write_run(tmp_path / "a", {}, others=lost)
    names = [row[0].text for row in leftover_sheet(run.measurements).rows]
    assert len(set(names)) == 2
    assert noise_sentence(run) == ""
