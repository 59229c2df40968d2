"""What a plan says before it starts: how many processes, how long, which cases."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report import duration
from bench.session import Session


def sentence(session: Session) -> str:
    """One line: cases, blocks, processes, time, folder."""
    plan = session.plan
    processes = sum(plan.case_blocks)
    skipped = f", {len(plan.skips)} skipped" if plan.skips else ""
    return (
        f"preset {plan.preset}: {len(plan.cases)} cases, {plan.blocks} blocks, {processes} processes{skipped}; "
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
        table.add_row(case.style, case.device, dtype, str(case.threads), size, str(count))
    console.print(table)
    for skip in plan.skips:
        console.print(Text(f"skipped: {skip.case.label}: {skip.reason}"))
    console.print(sentence(session))
