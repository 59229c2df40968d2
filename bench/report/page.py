"""The page of a run: one HTML file that opens from the disk and asks the network for nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.report.headline import answer
from bench.report.inline_svg import inline_svg
from bench.report.page_tables import leftover_sheet, size_sheets, speedup_sheet
from bench.tables.columns import ITERATIONS, LOSSES, MACHINE, MEASURED_AS_FOUND, MEASUREMENTS, SPEEDUPS
from bench.tables.run import Run
from bench.verdict.evidence import Evidence
from bench.verdict.one_speed import speed_words
from bench.words import percent

PAGE = "report.html"
CHARTS = "charts"
FIRST = (
    "speedup-best-cpu",
    "speedup-tutorial",
    "speedup-numpy",
    "speedup-against-work",
    "time-against-work",
    "speedup",
)
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
    """A chart to show: its name in words, the safe `<svg>`, the file it is from relative to the run folder."""

    title: str
    svg: str
    source: str


def render(evidence: Evidence) -> str:
    """The whole page of one run as HTML. Raises UsageError where a chart's file is no SVG."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    run = evidence.run
    verdict = answer(evidence)
    return environment.get_template("page.html.j2").render(
        run=run,
        confidence=percent(evidence.confidence),
        title=f"{run.name}: is it really 50x on a GPU?",
        verdict=verdict.sentence,
        outcome=verdict.outcome,
        charts=[(chart, Markup(chart.svg)) for chart in read_charts(run.folder)],  # inline_svg made it safe
        sizes=size_sheets(evidence),
        speedups=speedup_sheet(evidence.speedups),
        leftovers=leftover_sheet(run.measurements),
        machine=machine_facts(run.machine),
        brief=brief_facts(run),
        rule=(run.machine.get("plan") or {}).get("rule") or {},
        noisy=noise_sentence(run),
        core_speed=speed_words(run.measurements),
        command=command(run),
        kept=bool((run.measurements["environment"] == "kept").any()),
        files=[(name, what) for name, what in TABLES.items() if (run.folder / name).exists()],
    )


def write(evidence: Evidence) -> Path:
    """`report.html` in the run folder, whole or not at all; its path. Raises UsageError."""
    path = evidence.run.folder / PAGE
    beside = path.with_name(PAGE + ".part")
    text = render(evidence)
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def read_charts(folder: Path) -> list[Chart]:
    """Every SVG of `folder/charts`, the main ones first."""
    charts = []
    for index, path in enumerate(chart_files(folder)):
        title = chart_title(path)
        text = path.read_text(encoding="utf-8", errors="replace")
        source = f"{CHARTS}/{path.name}"
        charts.append(Chart(title, inline_svg(text, f"c{index}-", f"chart: {title}"), source))
    return charts


def chart_files(folder: Path, suffix: str = ".svg") -> list[Path]:
    """The charts of a run, those that answer the question first, the rest by name."""
    paths = sorted((folder / CHARTS).glob(f"*{suffix}"))
    return sorted(paths, key=lambda path: next((at for at, name in enumerate(FIRST) if name in path.stem), len(FIRST)))


def chart_title(path: Path) -> str:
    """A file's name in words."""
    return re.sub(r"[-_]+", " ", path.stem).strip()


def brief_facts(run: Run) -> list[str]:
    """What stands under the verdict: processor, accelerators, versions, preset, date."""
    machine, plan = run.machine, run.machine.get("plan") or {}
    cores = machine.get("cpus")
    told = "" if cores is None else f", {cores} core{'' if cores == 1 else 's'}"
    versions = machine.get("packages") or {}
    facts = [
        f"{machine.get('cpu_model') or 'unknown processor'}{told}",
        *(str(found.get("model", name)) for name, found in (machine.get("devices") or {}).items() if name != "cpu"),
        *(f"{name} {versions[name]}" for name in ("numpy", "torch") if name in versions),
        f"preset {plan['preset']}, {plan['blocks']} blocks" if {"preset", "blocks"} <= set(plan) else "",
        str(machine.get("created") or "")[:10],
    ]
    return [fact for fact in facts if fact]


def machine_facts(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What machine.json says in words; what is unknown is left out."""
    load = machine.get("load_average")
    variables = machine.get("distorting_variables") or {}
    verb = "kept" if machine.get("environment") == "kept" else "removed"
    facts: list[tuple[str, Any]] = [
        ("processor", machine.get("cpu_model")),
        ("cores to use", machine.get("cpus")),
        ("cores there are", machine.get("cores")),
        ("CPU quota", machine.get("cpu_quota")),
        ("memory", _gibibytes(machine.get("memory_bytes"))),
        ("governor", machine.get("governor")),
        ("load before", " ".join(f"{value:.2f}" for value in load) if load else None),
        ("system", " ".join(filter(None, (machine.get("system"), machine.get("release"))))),
        ("Python", machine.get("python")),
        *(machine.get("packages") or {}).items(),
        *((name, _device(found)) for name, found in (machine.get("devices") or {}).items() if name != "cpu"),
        *((f"no {kind}", reason) for kind, reason in (machine.get("missing") or {}).items()),
        (f"variables {verb}", ", ".join(f"{name}={value}" for name, value in variables.items())),
        ("run", machine.get("run_id")),
        ("measured", machine.get("created")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _gibibytes(value: float | None) -> str | None:
    return None if value is None else f"{value / 2**30:.1f} GiB"


def _device(found: Mapping[str, Any]) -> str:
    rest = [f"{name.replace('_', ' ')} {value}" for name, value in found.items() if name not in ("model", "free_bytes")]
    return ", ".join([str(found.get("model", "")), *rest])


def noise_sentence(run: Run) -> str:
    """How much of the run failed a noise gate even when measured again."""
    ok = run.measurements[run.measurements["status"] == "ok"]
    noisy = int(ok["noisy"].astype(bool).sum())
    if noisy == 0:
        return f"All {len(ok)} measurements passed the noise gates."
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
