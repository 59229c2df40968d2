"""The command `advise`: would a GPU pay for a network of one's own?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from bench.commands._common import DONE, NO, AsJson, Names, alone, console, status
from bench.errors import UsageError, known
from bench.plain import to_plain
from bench.words import counted, grouped

if TYPE_CHECKING:
    from bench.advice.advise import Advice


BATCH = "a batch; again and again  [default: 1 8 64 512]"
CHART = "draw speedup against batch as STEM.png and STEM.svg"
DEVICE = "cpu, gpu (the one that is here), cuda:1, mps, xpu  [default: both; with --preset cpu, again and again]"
GO_WITH = "--preset goes with --out, --network, --device, --precision, --threads, --blocks, --timeout alone"
PRESET = "no FILE: cnn, the networks of the claim's source, small, or frozen, those with predictions"


def advise(
    file: Annotated[Path | None, Argument(metavar="FILE", help="a Python file with a function under @network")] = None,
    network: Annotated[Names, Option(metavar="NAME", help="of several functions this one")] = None,
    batch: Annotated[list[int] | None, Option(metavar="B", help=BATCH)] = None,
    threads: Annotated[Names, Option(metavar="1|all|K", help="[default: 1 and all]")] = None,
    blocks: Annotated[int, Option(metavar="K", help="processes a batch and thread count")] = 5,
    timeout: Annotated[float, Option(metavar="S", help="seconds that a process may take")] = 300.0,
    chart: Annotated[Path | None, Option(metavar="STEM", help=CHART)] = None,
    as_json: AsJson = False,
    preset: Annotated[str | None, Option(metavar="NAME", help=PRESET)] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="of --preset: its table; goes on where it ended")] = None,
    device: Annotated[Names, Option(metavar="DEVICE", help=DEVICE)] = None,
    precision: Annotated[str, Option(metavar="NAME", help="of float32 on cuda: ieee or tf32")] = "ieee",
) -> int:
    """Would a GPU pay for my own network? A row a batch, a row a card.

    Its training step is measured on this CPU, and on the accelerator that is here; --device cpu leaves that out.
    Published figures bound what any card could be, and predict eager code.
    With --preset the networks of this repository into a table; --network NAME or all, again and again.

    Exit code 0 measured, 2 bad input, or no batch could be measured.
    """
    if preset is not None:
        alone({"FILE": file, "--batch": batch or None, "--chart": chart, "--json": as_json or None}, GO_WITH)
        if out is None:
            raise UsageError("--preset needs --out DIR, which it writes its table into")
        return _preset(preset, network or [], device or ["cpu"], threads or [], precision, blocks, timeout, out)
    if file is None:
        raise UsageError("advise: name a file with your network, or the networks of this repository with --preset")
    if out is not None:
        raise UsageError("--out goes with --preset alone: leave it out")
    if chart is not None and blocks == 1:
        raise UsageError("--chart: one block has no interval and so no bound to draw; give --blocks 2 or more")
    options = {name: _only(name, given or []) for name, given in (("network", network), ("device", device))}
    found = _advice(file, batch, threads, blocks, timeout, {**options, "precision": precision})
    if as_json:
        print(json.dumps(to_plain(found), indent=1, allow_nan=False))
    else:
        from bench.advice.words import print_advice

        print_advice(console(), found)
    if chart is not None:
        _draw(found, chart)
    return DONE


def _only(name: str, given: list[str]) -> str | None:
    """What an option holds that may be given once here. Raises UsageError."""
    if len(given) > 1:
        raise UsageError(f"--{name}: give one; several go with --preset")
    return next(iter(given), None)


def _advice(
    file: Path, batch: list[int] | None, threads: Names, blocks: int, timeout: float, options: Mapping[str, Any]
) -> Advice:
    from bench.advice import own
    from bench.advice.advise import BATCHES

    counts = _threads(threads or ["1", "all"])
    with status(log=True) as say:
        found = own.advise(
            file, batches=batch or BATCHES, threads=counts, blocks=blocks, timeout_s=timeout, say=say, **options
        )
    if all(row.status != "ok" for row in found.batches):
        raise UsageError(f"{file}: no batch could be measured: {found.batches[0].reason or found.batches[0].status}")
    return found


def _preset(
    name: str, networks: list[str], devices: list[str], threads: list[str], precision: str, blocks: int, timeout: float,
    out: Path,
) -> int:  # fmt: skip
    from bench.advice.advise import ask_step, check_numbers
    from bench.advice.processors import processors_of
    from bench.advice.rows import PRESETS, jobs_of, measure_rows
    from bench.report.sheet import print_words

    check_numbers(blocks, timeout)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; give a folder")
    if threads and "cpu" not in devices:
        raise UsageError("--threads are the CPU's: leave them out, or add --device cpu")
    known("preset", [name], PRESETS)
    counts = _threads(threads or ["all" if PRESETS[name].every_thread else "1"])
    with status(log=True) as say:
        processors = processors_of(devices, counts, precision)
        jobs = jobs_of(name, networks, processors)
        rows = measure_rows(out, jobs, blocks, lambda job: ask_step(job, timeout), say)
    bad = [row for row in rows if row.status != "ok"]
    print_words(console(), f"{out}: {len(rows) - len(bad)} of {len(rows)} processes measured")
    for line in grouped((f"{row.status}: {row.reason}", f"{row.network} {row.batch} {row.device}") for row in bad):
        print_words(console(), line)
    return DONE if len(bad) < len(rows) else NO


def _draw(found: Advice, stem: Path) -> None:
    from bench.advice.words import BOUND, lines_of
    from bench.charts.batches import save_batches
    from bench.charts.drawing.style import Words
    from bench.machine.device import cpu_model

    if not (lines := lines_of(found)):
        raise UsageError("--chart: nothing to draw: no batch has a bound; give --blocks 2 or more")
    threads = ", ".join(map(str, found.threads))
    blocks = f"n = {counted(found.blocks, 'block')}, a fresh process a batch and number of threads ({threads})"
    words = Words(
        f"{found.name}: how much faster a GPU can be at most than this CPU", BOUND, f"{blocks}; {cpu_model()}"
    )
    try:
        paths = save_batches(lines, words, stem)
    except OSError as error:
        raise UsageError(f"--chart {stem}: cannot be written: {error.strerror}") from error
    sys.stderr.write("".join(f"{path}\n" for path in paths))


def _threads(names: list[str]) -> list[int]:
    from bench.cases.request import check_cores
    from bench.machine.environment import available_cpus

    counts = []
    for name in names:
        if name != "all" and not (name.isdigit() and 1 <= int(name) <= 10**6):
            raise UsageError(f"--threads {name}: give 1, all or a whole number from 1 up")
        check_cores([name], available_cpus())
        counts.append(available_cpus() if name == "all" else int(name))
    return list(dict.fromkeys(counts))
