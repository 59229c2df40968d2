"""This repository's networks measured into a table: a row a process, and what was measured before stays."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, geometric_mean, median

from bench.advice.advise import Ask
from bench.advice.network.asked import Counted, Processor, StepJob
from bench.cases.phases import Rule
from bench.errors import UsageError, known
from bench.machine.ceilings import Ceiling
from bench.machine.device import cpu_model
from bench.machine.process import ask
from bench.status import Say
from bench.tables.columns import NETWORKS, NETWORKS_LATER
from bench.tables.csv_files import append_as, read_as, write_as
from bench.tables.files import drop_cut_line
from implementations import networks as own
from implementations import read_networks

MOST_FLOP = 8e9  # of a step of a small network, so that all of them are measured in minutes
LARGEST_BATCH, BATCHES = 512, 4


@dataclass(frozen=True, slots=True)
class Preset:
    """The networks of a file, those measured by default, and how; without `batches` four by their work."""

    file: str
    networks: Sequence[str]
    every_thread: bool
    rule: Rule
    batches: Sequence[int] = ()
    passes: int = 0
    check: tuple[tuple[str, int], ...] = ()


FEW = Rule(  # of whole seconds each on a CPU; more of them where they are short
    warmup_iterations=1, warmup_s=0, warmup_floor=1, latency_iterations=10, latency_s=0.5, batch_iterations=1,
    batches=1, batches_s=0.5, parts_s=0, limit_s=12, floor_iterations=3,
)  # fmt: skip
SHORT = Rule(
    warmup_iterations=20, warmup_s=0.1, warmup_limit_s=1, warmup_floor=2, latency_iterations=20, latency_s=0.2,
    batch_iterations=5, batches=1, batches_s=0.05, limit_s=1.5, floor_iterations=5,
)  # fmt: skip
TEN = (
    "mnist_mlp", "wide_mlp", "deep_mlp", "lenet", "cifar_cnn", "resnet_18_small", "transformer_small",
    "transformer_wide", "unrolled_gru", "factorisation",
)  # fmt: skip
CHOSEN = ("resnet_18", "resnet_50", "vgg16")
PRESETS = {
    # batch and passes of cnn-benchmarks; the gate looks at a pair of small images
    "cnn": Preset("cnn_benchmarks.py", CHOSEN, True, FEW, (16,), 10, (("batch", 2), ("image", 64))),
    "small": Preset("small.py", (), False, SHORT),
    # those that results/prediction-h200 foretells; the gate on a CPU would take a minute at the large batch
    "frozen": Preset("small.py", TEN, False, SHORT, (8, 512), check=(("batch", 8),)),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A process: times in us a step, the loss read and not, and of a pass; empty is unknown.

    `forward_us` and `backward_us` are means over `passes`, as cnn-benchmarks has them, `pass_us` is their sum's median.
    `flops` are those counted in a step, which a pass has too, `peak_gflops` is the fastest product of the same
    processor and precision in the same block. A table from before there was a `device` is of CPUs.
    """

    block: int
    network: str
    batch: int
    threads: int
    status: str
    reason: str
    latency_us: float | None
    throughput_us: float | None
    noise: str
    checked: str
    parameters: int
    flops: float
    passes: int
    forward_us: float | None
    backward_us: float | None
    pass_us: float | None
    peak_gflops: float
    cpu_model: str
    torch: str
    device: str = NETWORKS_LATER["device"]
    device_model: str = NETWORKS_LATER["device_model"]
    precision: str = NETWORKS_LATER["precision"]

    @property
    def key(self) -> tuple[int, str, int, Processor]:
        """What no other row has: block, network, batch and processor, its model aside."""
        return self.block, self.network, self.batch, Processor(self.device, "", self.threads, self.precision)


def path_of(name: str) -> str:
    """The file of a preset's networks."""
    return str(Path(own.__path__[0], PRESETS[name].file))


def jobs_of(name: str, networks: Sequence[str], processors: Sequence[Processor]) -> list[StepJob]:
    """What a preset measures; `networks` instead of its own, of which `all` is every one. Raises UsageError."""
    known("preset", [name], PRESETS)
    preset = PRESETS[name]
    path = path_of(name)
    there = read_networks(Path(path))
    chosen = there if "all" in networks else list(networks) or list(preset.networks) or there
    known("network", chosen, there)
    return [
        StepJob(path, network, batch, one, preset.rule, passes=preset.passes, check=dict(preset.check))
        for network in dict.fromkeys(chosen)
        for batch in preset.batches or batches_of(path, network)
        for one in processors
    ]


@cache
def count_of(path: str, network: str, batch: int, *, foreach: bool = True) -> Counted:
    """What a step of a network asks for, counted without computing anything; see bench.advice.network.step.count."""
    from bench.advice.network.step import count

    return count(StepJob(path, network, batch, Processor(), Rule()), "meta", foreach=foreach)


def flops_of(path: str, network: str, batch: int) -> float:
    """The floating-point operations of a step, forward and backward."""
    counted = count_of(path, network, batch)
    return counted.product_flops + counted.other_flops


def batches_of(path: str, network: str) -> tuple[int, ...]:
    """Four batches from 1 up, evenly in logarithms, to LARGEST_BATCH or as many as MOST_FLOP allows."""
    each, most = flops_of(path, network, 1), LARGEST_BATCH
    while most > BATCHES and most * each > MOST_FLOP:
        most //= 2
    return tuple(dict.fromkeys(round(most ** (at / (BATCHES - 1))) for at in range(BATCHES)))


def measure_rows(
    folder: Path,
    jobs: Sequence[StepJob],
    blocks: int,
    asked: Ask,
    say: Say = lambda _words: None,
    peak: Callable[[Processor], float] | None = None,
) -> list[Row]:
    """Each job once in each block, in the order given, a row on the disk after each; all rows that the folder holds.

    What the folder holds already is kept and not measured again. Raises UsageError, TableError.
    """
    path, here = folder / NETWORKS, (cpu_model(), importlib.metadata.version("torch"))
    folder.mkdir(parents=True, exist_ok=True)
    drop_cut_line(path)
    rows = rows_of(folder)
    _refuse_others(path, rows, jobs, here)
    if rows:
        write_as(path, Row, rows)  # with the columns of today
    done = {row.key for row in rows}
    for block in range(blocks):
        peaks: dict[Processor, float] = {}
        for at, job in enumerate(jobs):
            if (block, job.function, job.batch, replace(job.on, model="")) in done:
                continue
            if job.on not in peaks:
                peaks[job.on] = (peak or peak_gflops)(job.on)
            say(f"block {block + 1}/{blocks}: {job.function}, batch {job.batch}, {job.on} ({at + 1}/{len(jobs)})")
            rows.append(_row(block, replace(job, seed=block), asked, peaks[job.on], *here))
            append_as(path, Row, rows[-1:])
    return rows


def _refuse_others(path: Path, rows: Sequence[Row], jobs: Sequence[StepJob], here: tuple[str, str]) -> None:
    """Raises UsageError where rows are of another machine, or of another card under the name of one of the jobs."""
    if others := {(row.cpu_model, row.torch) for row in rows} - {here}:
        raise UsageError(f"{path}: was measured on {' with torch '.join(min(others))}; give another --out")
    models = {job.on.device: job.on.model for job in jobs if not job.on.on_cpu}
    for row in rows:
        if row.device_model != models.get(row.device, row.device_model):
            raise UsageError(f"{path}: {row.device} was {row.device_model}; give another --out")


def peak_gflops(on: Processor) -> float:
    """The fastest float32 product of torch there, measured in a process of its own, GFLOP/s. Raises UsageError."""
    job = {
        "framework": "torch", "device": on.device, "precision": on.precision, "threads": on.threads,
        "dtypes": ["float32"], "small": [], "largest": 0,
    }  # fmt: skip
    found = ask("bench.worker.ceilings", job, shape=list[Ceiling], threads=on.threads)
    if found.status is not None:
        raise UsageError(f"the fastest product of {on} could not be measured: {found.reason}")
    return max(one.gflops or 0.0 for one in found.value)


def _row(block: int, job: StepJob, asked: Ask, peak: float, processor: str, version: str) -> Row:
    found, flops = asked(job), flops_of(job.path, job.function, job.batch)
    forward, backward = found.forward_us, found.backward_us
    both = [sum(pair) for pair in zip(forward, backward, strict=True)]
    return Row(
        block, job.function, job.batch, job.on.threads, found.status, found.reason, found.latency_us,
        found.throughput_us, found.noise, found.checked, found.parameters, flops, len(both),
        fmean(forward) if both else None, fmean(backward) if both else None, median(both) if both else None, peak,
        processor, version, job.on.device, job.on.model, job.on.precision,
    )  # fmt: skip


def rows_of(folder: Path) -> list[Row]:
    """The rows of a folder's table, none where there is no table. Raises TableError."""
    return read_as(folder / NETWORKS, Row, NETWORKS_LATER)


def on_cpu(rows: Sequence[Row]) -> list[Row]:
    """Those that were measured on a CPU."""
    return [row for row in rows if row.device == "cpu"]


def step_us(rows: Sequence[Row]) -> Iterator[tuple[str, int, float]]:
    """(network, batch, us a step): the geometric mean over processes, of those that were measured."""
    known_us: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row.status == "ok" and row.latency_us:
            known_us.setdefault((row.network, row.batch), []).append(row.latency_us)
    for (network, batch), times in known_us.items():
        yield network, batch, geometric_mean(times)
