"""How often the interval of a crossover holds the truth, on simulated machines whose crossover is known."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bench.cases.case import CaseKey
from bench.cases.presets import PRESETS, scaled
from bench.cases.problem import Problem, Size
from bench.simulation.crossover_words import tables
from bench.simulation.drift import Floats, autoregressive
from bench.tables.csv_files import write_rows
from bench.verdict.crossover import TARGETS, Crossover, crossover, sizes_at
from bench.verdict.ratios.intervals import paired_ratio
from bench.verdict.ratios.speedup import Speedup

Curve: TypeAlias = Callable[[Floats], Floats]  # ln FLOP an iteration -> ln speedup
TABLE, TABLE_COLUMNS = (
    "crossovers.csv",
    ("machines_of", "preset", "sd", "drift", "blocks", "sizes", "target", "machines", "coverage", "median_width",
     "closed", "median_error", "bumpy_machines", "bumpy_coverage", "called_not_reached", "wrongly", "ratio_coverage"),
)  # fmt: skip
NOISE, BLOCKS = (0.01, 0.03), (3, 10)
FINE = 3000  # places at which the true curve is held against a target
MOST_DRAWN = 40  # machines for each that has to cross: a preset may span no crossover at all
CASE = CaseKey("simulated", "cuda:0", "float32", "ieee", 1, 1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a row is about: sizes of a preset, noise of a process, drift of the CPU and whether it is read."""

    preset: str
    sd: float
    drift: bool
    blocks: int
    machines_of: str = "parts"  # of MACHINES
    read: bool = True


@dataclass(slots=True)
class Tally:
    """What came of the machines that cross one target; `widths` are factors, infinite where an end is open."""

    held: list[bool] = field(default_factory=list)
    bumpy: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    not_reached: list[bool] = field(default_factory=list)  # the calls, and whether each is wrong
    ratios: list[bool] = field(default_factory=list)  # whether the interval of each measured speedup holds the truth


def machine(random: np.random.Generator) -> Curve:
    """The speedup over the best CPU of a machine drawn at random; times in us, rates in operations or bytes a us.

    CPU: a fixed cost, one thread or 1-24 cores whichever is faster (a kink), two cache edges of 5-50%, soft or
    sharp. GPU: a launch floor under which the work hides more or less (a kink or a bend), a peak reached slowly
    with the work, a cache edge, bandwidth; on three of ten a dip, after which the speedup may fall again.
    """

    def log_uniform(low: float, high: float) -> float:
        return math.exp(random.uniform(math.log(low), math.log(high)))

    core, cores, fixed, wake = log_uniform(6e4, 2.5e5), log_uniform(1, 24), random.uniform(3, 30), random.uniform(5, 40)
    edges = [
        (random.uniform(0.05, 0.5), log_uniform(*where), random.uniform(1, 8)) for where in ((1e6, 4e6), (1.5e7, 2e8))
    ]
    launch, hides, peak, filled = (log_uniform(*span) for span in ((20, 400), (1, 8), (4e6, 6e7), (1e8, 5e9)))
    empty, bandwidth = random.uniform(0.05, 0.3), log_uniform(3e5, 3e6)
    gpu_edge = (random.uniform(0, 0.3), log_uniform(2e7, 8e7), random.uniform(1, 8))
    dip = random.uniform(0.1, 0.5) if random.random() < 0.3 else 0.0
    dip_at, dip_width = math.log(log_uniform(1e6, 1e10)), random.uniform(0.3, 1.2)

    def log_speedup(log_flops: Floats) -> Floats:
        flops, moved = np.exp(log_flops), bytes_moved(log_flops)
        kept = _kept(edges[0], moved) * _kept(edges[1], moved)
        one = fixed + flops / (core * kept)
        cpu = np.minimum(one, fixed + wake + flops / (core * cores * kept))
        rate = peak * _kept(gpu_edge, moved) * (empty + (1 - empty) * flops / (flops + filled))
        rate = rate * np.exp(-dip * np.exp(-0.5 * ((log_flops - dip_at) / dip_width) ** 2))
        work = flops / rate + moved / bandwidth
        return np.asarray(np.log(cpu) - np.log(launch**hides + work**hides) / hides)

    return log_speedup


def waves(random: np.random.Generator) -> Curve:
    """No machine but a smooth curve: ln speedup rises, bends to an end, and three waves of ln FLOP lie over it."""
    start, slope = random.uniform(-4, 0), random.uniform(0.3, 1.0)  # at 1 MFLOP; an accelerator that waits has 1
    end, bend = random.uniform(2.5, 6), random.uniform(1, 4)
    bumps = [(random.uniform(0, 0.15), random.uniform(4, 16), random.uniform(0, 2 * math.pi)) for _ in range(3)]

    def log_speedup(log_flops: Floats) -> Floats:
        risen = -np.logaddexp(-bend * (start + slope * (log_flops - math.log(1e6))), -bend * end) / bend
        return np.asarray(risen + sum(high * np.sin(2 * math.pi * log_flops / long + at) for high, long, at in bumps))

    return log_speedup


def kinks(random: np.random.Generator) -> Curve:
    """No machine but a broken line: ln speedup over ln FLOP has another slope every 1 to 4, some of them falling."""
    gaps, slopes = random.uniform(1, 4, 40), random.uniform(-0.2, 1.0, 40)
    places = math.log(1e4) + np.cumsum(gaps)
    heights = random.uniform(-6, -2) + np.cumsum(gaps * slopes)
    return lambda log_flops: np.interp(log_flops, places, heights)


def _kept(edge: tuple[float, float, float], moved: Floats) -> Floats:
    """The share of the rate that is left beyond a cache: (what is lost, bytes, sharpness)."""
    lost, size, sharp = edge
    return np.asarray(1 - lost / (1 + (size / moved) ** sharp))


MACHINES = {"parts": machine, "waves": waves, "kinks": kinks}  # nothing was chosen on the last two


def bytes_moved(log_flops: Floats) -> Floats:
    """Of the tutorial's size at the scale that has so much work: products grow with its cube, all else its square."""
    one = Problem()
    log_scales = np.linspace(math.log(0.05), math.log(50), 2000)
    scales = np.exp(log_scales)
    work = np.log(one.product_flops * scales**3 + (one.flops - one.product_flops) * scales**2)
    return np.asarray(one.bytes_moved * np.exp(2 * np.interp(log_flops, work, log_scales)))


def sizes_of(preset: str) -> tuple[Size, ...]:
    """The sizes at which a preset measures both sides; `gpu` is what it was before its sweep became one of its own."""
    legs = PRESETS[preset].legs
    cpu, accelerator = ({size for leg in legs if name in leg.devices for size in leg.sizes} for name in ("cpu", "cuda"))
    both = scaled(0.5, 1, 2, 4, 8, 16) if preset == "gpu" else sorted(cpu & accelerator, key=lambda size: size.flops)
    return tuple(both)


def measured(random: np.random.Generator, curve: Curve, sizes: Sequence[Size], setting: Setting) -> list[Speedup]:
    """What a run would find: each process off by a normal factor, a block's CPU by one that all sizes share."""
    truth = curve(np.log([float(size.flops) for size in sizes]))
    shape = (len(sizes), setting.blocks)
    drift = setting.sd * autoregressive(random, setting.blocks) if setting.drift else np.zeros(setting.blocks)
    baseline = np.exp(truth[:, None] + drift + setting.sd * random.standard_normal(shape))
    contender = np.exp(setting.sd * random.standard_normal(shape))
    read = drift if setting.read else np.full(setting.blocks, math.nan)
    ratios = [paired_ratio(one, other, drift=read) for one, other in zip(baseline, contender, strict=True)]
    return [Speedup(CASE, "best-cpu", CASE, "iteration", one, 1.0, 1.0, False, "") for one in ratios]


def holds(found: Crossover, truth: float) -> bool:
    """Whether the interval holds the place; `not reached`, with nothing said of where it might be, holds none."""
    if found.flops is None and found.low is None:
        return False
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


def simulate(setting: Setting, machines: int, random: np.random.Generator) -> dict[tuple[str, float], Tally]:
    """Tallies by sizes (`preset`, `preset + 2`) and target, over machines drawn until `machines` cross each target."""
    sizes = sizes_of(setting.preset)
    tallies = {key: Tally() for key in product(("preset", "preset + 2"), TARGETS)}
    places = np.linspace(math.log(sizes[0].flops), math.log(sizes[-1].flops), FINE)
    for _ in range(MOST_DRAWN * machines):
        wanted = [target for target in TARGETS if len(tallies["preset", target].held) < machines]
        if not wanted:
            break
        curve = MACHINES[setting.machines_of](random)
        true_curve, found = curve(places), measured(random, curve, sizes, setting)
        bumpy = bool((np.diff(true_curve) < 0).any())
        for target in wanted:
            truth = reached(places, true_curve - math.log(target))
            one = crossover("gpu", "best-cpu", target, found, [size.flops for size in sizes])
            more = [size for size in sizes_at(one) if size not in sizes]
            both = (*sizes, *more)
            added = [*found, *measured(random, curve, more, setting)] if more else found
            two = crossover("gpu", "best-cpu", target, added, [size.flops for size in both])
            for kind, each, ratios, at in (("preset", one, found, sizes), ("preset + 2", two, added, both)):
                tally = tallies[kind, target]
                count(tally, each, truth, bumpy)
                truths = np.exp(curve(np.log([float(size.flops) for size in at])))
                tally.ratios += [s.ratio.low <= true <= s.ratio.high for s, true in zip(ratios, truths, strict=True)]
    return tallies


def reached(places: Floats, above: Floats) -> float | None:
    """The first FLOP at which the true curve reaches the target; 0 if it begins there, None if it never does."""
    over = np.flatnonzero(above >= 0)
    if not len(over):
        return None
    return math.exp(places[over[0]]) if over[0] else 0.0


def count(tally: Tally, found: Crossover, truth: float | None, bumpy: bool) -> None:
    """Add a machine. Only where the truth lies between the sizes is there an interval to hold it."""
    if found.flops is None:
        tally.not_reached.append(truth is not None)
    if not truth:
        return
    tally.held.append(holds(found, truth))
    tally.bumpy.append(bumpy)
    tally.widths.append(found.high / found.low if found.low and found.high else math.inf)
    tally.errors.append(math.inf if found.flops is None else math.exp(abs(math.log(found.flops / truth))))


def row(setting: Setting, sizes: str, target: float, tally: Tally) -> dict[str, Any]:
    """A row of the table; widths and errors are factors of FLOP."""

    def share(of: Sequence[bool]) -> str:
        return f"{np.mean(of):.3f}" if of else ""

    return {
        "machines_of": setting.machines_of, "preset": setting.preset, "sd": setting.sd, "drift": setting.drift,
        "blocks": setting.blocks, "sizes": sizes, "target": f"{target:g}", "machines": len(tally.held),
        "coverage": share(tally.held),
        "median_width": f"{np.median(tally.widths):.3f}" if tally.widths else "",
        "closed": share(list(map(math.isfinite, tally.widths))),
        "median_error": f"{np.median(tally.errors):.3f}" if tally.errors else "",
        "bumpy_machines": sum(tally.bumpy),
        "bumpy_coverage": share([held for held, bumpy in zip(tally.held, tally.bumpy, strict=True) if bumpy]),
        "called_not_reached": len(tally.not_reached), "wrongly": share(tally.not_reached),
        "ratio_coverage": share(tally.ratios),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate every setting, write the table, and print what it comes to."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulation.crossovers", description=__doc__)
    parser.add_argument("--machines", type=int, default=500, help="that cross each target, a row of the table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unread", action="store_true", help="nobody reads what drifts")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the table")
    chosen = parser.parse_args(arguments)
    grid = product(MACHINES, ("sweep", "gpu"), NOISE, (False, True), BLOCKS)  # `claim` has the sizes of `sweep`
    settings = [Setting(p, sd, drift, k, kind, read=not chosen.unread) for kind, p, sd, drift, k in grid]
    rows: list[dict[str, Any]] = []
    for number, setting in enumerate(settings):
        found = simulate(setting, chosen.machines, np.random.default_rng([chosen.seed, number]))
        rows += [row(setting, *key, tally) for key, tally in found.items()]
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_rows(chosen.out / TABLE, TABLE_COLUMNS, rows)
    sys.stdout.write(f"{tables(rows)}\n")


if __name__ == "__main__":
    main()
