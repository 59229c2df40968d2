"""The command `advise`: would a GPU pay for a network of one's own?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands._common import DONE, console, status
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.advice.advise import Advice


def advise(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a Python file with one function under @network")],
    batch: Annotated[
        list[int] | None, typer.Option(metavar="B", help="a batch; again and again  [default: 1 8 64 512]")
    ] = None,
    threads: Annotated[list[str] | None, typer.Option(metavar="1|all|K", help="[default: 1 and all]")] = None,
    blocks: Annotated[int, typer.Option(metavar="K", help="processes a batch and thread count")] = 5,
    timeout: Annotated[float, typer.Option(metavar="S", help="seconds that a process may take")] = 300.0,
    chart: Annotated[
        Path | None, typer.Option(metavar="STEM", help="draw speedup against batch as STEM.png and STEM.svg")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> int:
    """Would a GPU pay for my own network? A row a batch, a row a card.

    Its training step is measured on this CPU; published figures bound what any card could be.

    Exit code 0 measured, 2 bad input, or no batch could be measured.
    """
    from bench.advice.advise import BATCHES, as_values
    from bench.advice.advise import advise as measured
    from bench.advice.words import print_advice

    counts = _threads(threads or ["1", "all"])
    with status(log=True) as say:
        found = measured(file, batch or BATCHES, counts, blocks, timeout_s=timeout, say=say)
    if all(one.status != "ok" for one in found.batches):
        raise UsageError(f"{file}: no batch could be measured: {found.batches[0].reason or found.batches[0].status}")
    if chart is not None:
        _draw(found, chart)
    if as_json:
        print(json.dumps(as_values(found), indent=1, allow_nan=False))
    else:
        print_advice(console(), found)
    return DONE


def _draw(found: Advice, stem: Path) -> None:
    from bench.advice.words import NOT_PREDICTED, lines_of
    from bench.charts._batches import save_batches
    from bench.charts.style import Words

    if not (lines := lines_of(found)):
        raise UsageError("--chart: nothing to draw: no batch has a bound; give --blocks 2 or more")
    words = Words(f"{found.name}: how much faster a GPU can be at most than this CPU", NOT_PREDICTED, "")
    try:
        paths = save_batches(lines, words, stem)
    except OSError as error:
        raise UsageError(f"--chart {stem}: cannot be written: {error.strerror}") from error
    sys.stderr.write("".join(f"{path}\n" for path in paths))


def _threads(names: list[str]) -> list[int]:
    import psutil

    every = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1
    counts = []
    for name in names:
        if name != "all" and not (name.isdigit() and 1 <= int(name) <= 10**6):
            raise UsageError(f"--threads {name}: give 1, all or a whole number from 1 up")
        counts.append(every if name == "all" else int(name))
    return list(dict.fromkeys(counts))
