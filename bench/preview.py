"""What a plan says before it starts: how many processes, how long, which cases."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.case import AS_FOUND
from bench.environment import variable_words
from bench.report import duration
from bench.session import Session


def sentence(session: Session) -> str:
    """One line: cases, blocks, processes, time, folder."""
    plan = session.plan
    processes = sum(plan.case_blocks)
    found = sum(case.as_found for case in plan.cases)
    cases = f"{len(plan.cases) - found} cases" + (f" and {found} of them once more {AS_FOUND}" if found else "")
    skipped = f", {len(plan.skips)} skipped" if plan.skips else ""
    return (
        f"preset {plan.preset}: {cases}, {plan.blocks} blocks, {processes} processes{skipped}; "
        f"about {duration(session.seconds)}; into {session.folder}"
    )


def print_plan(console: Console, session: Session) -> None:
    """Every case with its blocks, every skipped one with its reason, then the sentence."""
    plan = session.plan
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("style", "device", "dtype", "threads", "size", "blocks"):
        table.add_column(name, no_wrap=True)
    for case, count in zip(plan.cases, plan.case_blocks, strict=True):
        dtype = case.problem.dtype if case.precision == "ieee" else f"{case.problem.dtype} {case.precision}"
        size = "x".join(map(str, case.problem.size))
        style = f"{case.style} {AS_FOUND}" if case.as_found else case.style
        table.add_row(style, case.device, dtype, str(case.threads), size, str(count))
    console.print(table)
    if any(case.as_found for case in plan.cases):
        variables = variable_words(session.machine.get("distorting_variables") or {})
        console.print(Text(f"{AS_FOUND}: with {variables}, as the shell has it; every other process runs without"))
    for skip in plan.skips:
        console.print(Text(f"skipped: {skip.case.label}: {skip.reason}"))
    console.print(sentence(session))
