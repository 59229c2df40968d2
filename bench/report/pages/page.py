"""The page of a run: one HTML file that opens from the disk and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from bench.errors import UsageError
from bench.report.reach import reach_sheets
from bench.report.run_tables import KEPT, first_sheet, leftover_sheet, legend, size_sheets, speedup_sheet
from bench.report.verdict import sentence
from bench.tables.columns import ITERATIONS, LOSSES, MACHINE, MEASURED_AS_FOUND, MEASUREMENTS, SPEEDUPS
from bench.tables.files import read_file, replace_text
from bench.tables.machine_words import machine_facts
from bench.tables.run import Run
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, judgement_of, leads
from bench.verdict.ratios.one_speed import speed_words

PAGE = "report.html"
CHARTS = "charts"
FIRST = ("speedup-against-work", "speedup", "time-against-work")  # the baseline of the headline first
TABLES = {
    MEASUREMENTS: "a row a case and block",
    MEASURED_AS_FOUND: "such rows of the tutorial's numpy with the variables that were removed for all else",
    ITERATIONS: "a row a timed iteration",
    SPEEDUPS: "a row a case, baseline and scope",
    LOSSES: "the losses of the rehearsal, every style",
    MACHINE: "the machine and the plan",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart to show: its name in words, the picture as a data: address, its file relative to the run folder."""

    title: str
    address: str
    source: str
    narrow: str = ""  # the same for a phone, as a data: address


def render(evidence: Evidence, narrow: Mapping[str, bytes] | None = None) -> str:
    """The page of a run as HTML; `narrow` holds SVG for phones, by chart. Raises UsageError: a chart is no SVG."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["sha256"] = _digest
    run = evidence.run
    judgement = judgement_of(evidence, Question(TUTORIAL_CLAIM))
    return environment.get_template("page.html.j2").render(
        run=run,
        title=f"{run.name}: is it really 50x on a GPU?",
        verdict=sentence(judgement),
        outcome=judgement.verdict.outcome,
        bounds=reach_sheets(judgement),
        beaten=judgement.beaten,
        charts=read_charts(run.folder, next((one.baseline for one in leads(evidence)), ""), narrow or {}),
        first=first_sheet(evidence),
        legend=legend(evidence),
        sizes=size_sheets(evidence),
        speedups=speedup_sheet(evidence.speedups),
        leftovers=leftover_sheet(run.measurements),
        machine=machine_facts(run.machine),
        brief=run.facts,
        rule=(run.machine.get("plan") or {}).get("rule") or {},
        noisy=noise_sentence(run),
        core_speed=speed_words(run.measurements),
        command=command(run),
        kept=KEPT if (run.measurements["environment"] == "kept").any() else "",
        files=[(name, what) for name, what in TABLES.items() if (run.folder / name).exists()],
    )


def _digest(text: str) -> str:
    """By which the page's own script and style, and no others, are allowed."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def write(evidence: Evidence, narrow: Mapping[str, bytes] | None = None) -> Path:
    """`report.html` in the run folder, whole or not at all; its path. Raises UsageError; see `render`."""
    path = evidence.run.folder / PAGE
    text = render(evidence, narrow)
    try:
        replace_text(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def read_charts(folder: Path, baseline: str = "", narrow: Mapping[str, bytes] = MappingProxyType({})) -> list[Chart]:
    """Every SVG of `folder/charts`, the main ones first. Raises UsageError for what is no SVG.

    Shown as an image, an SVG can neither run a script nor load anything.
    """
    phone = {name: _address(svg) for name, svg in narrow.items()}
    titles = {path: re.sub(r"[-_]+", " ", path.stem).strip() for path in chart_files(folder, baseline)}
    return [
        Chart(title, _address(_picture(path)), f"{CHARTS}/{path.name}", phone.get(path.stem, ""))
        for path, title in titles.items()
    ]


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"


def _picture(path: Path) -> bytes:
    """What the file holds, where that is an SVG: a browser shows nothing for anything else."""
    why = "is no SVG with a viewBox"
    try:
        content = read_file(path)
        root = ElementTree.fromstring(content)
        if root.tag == "{http://www.w3.org/2000/svg}svg" and "viewBox" in root.attrib:
            return content
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except ElementTree.ParseError as error:
        why = f"is no SVG: {error}"
    raise UsageError(f"{path}: {why}; draw it again with: fiftyx chart DIR")


def chart_files(folder: Path, baseline: str = "") -> list[Path]:
    """The charts of a run in the order of `in_order`."""
    found = {path.stem: path for path in (folder / CHARTS).glob("*.svg")}
    return [found[name] for name in in_order(found, baseline)]


def in_order(names: Iterable[str], baseline: str) -> list[str]:
    """The names of charts, those that answer the question first, of these that over `baseline`; the rest by name."""

    def place(name: str) -> tuple[int, bool]:
        kind = next((at for at, first in enumerate(FIRST) if name.startswith(first)), len(FIRST))
        return kind, not name.endswith(f"-{baseline}")

    return sorted(sorted(names), key=place)


def noise_sentence(run: Run) -> str:
    """How much of the run failed a noise gate even when measured again."""
    ok = run.measurements[run.measurements["status"] == "ok"]
    noisy = int(ok["noisy"].astype(bool).sum())
    if noisy == 0:
        all_of_them = "The one measurement" if len(ok) == 1 else f"All {len(ok)} measurements"
        return f"{all_of_them} passed the noise gates." if len(ok) else ""
    return f"{noisy} of {len(ok)} measurements failed a noise gate even when taken again: mind their intervals."


def command(run: Run) -> str:
    """What measures such a run again; dimensions that the preset would not choose are in machine.json."""
    plan = run.machine.get("plan") or {}
    parts = ["fiftyx", "run", "--preset", str(plan.get("preset", "quick"))]
    for option in ("blocks", "seed"):
        if plan.get(option) is not None:
            parts += [f"--{option}", str(plan[option])]
    parts += ["--keep-env"] if plan.get("keep_env") else []
    parts += ["--decide", "--at-least", f"{plan['decide']:g}"] if plan.get("decide") else []
    for name in plan.get("style_files", ()):
        parts += ["--style-file", str(name)]
    return shlex.join([*parts, "--out", f"{run.name}-again"])
