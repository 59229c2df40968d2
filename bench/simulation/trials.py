"""One subject before one phase of the gate, on the data of one seed: what strayed, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain

import numpy as np

from bench.cases.case import Case
from bench.cases.challenge import Flip, timed_flips
from bench.cases.measurement import ANEW
from bench.cases.phases import REHEARSAL_STEPS, Counts, Rule, affordable_steps, plan_counts
from bench.cases.problem import Problem, Size, stable_learning_rate, work_flops
from bench.simulation.drift import Floats
from bench.simulation.subjects import Subject
from bench.timing.given import Trained
from bench.verification import gate
from bench.verification.deviation import Deviation, reason
from bench.verification.expected import Expected
from bench.verification.oracle import Reference

MOST_SHARED = 10**6  # numbers of a run whose twins are kept for the next subject: 50 MB then
HELD = 12  # a seed's four arithmetics in three turns
REHEARSAL, OPENING, TIMED, LONG, ON_GPU = "rehearsal", "opening", "timed", "long", "on a GPU"


@dataclass(frozen=True, slots=True)
class Pace:
    """What decides how many iterations a timed run has and where x changes in it: a nominal device."""

    device: str
    framework: str
    overhead_ns: float
    flops_per_ns: float


PACES = {
    TIMED: Pace("cpu", "numpy", 20e3, 100.0),  # a fast CPU
    LONG: Pace("cpu", "numpy", 5e3, 100.0),  # one without overhead
    ON_GPU: Pace("cuda:0", "torch", 5e3, 10e3),  # a captured graph; x changes between batches alone
}
Trial = tuple[Sequence[Deviation], bool]  # how far it strays the first time, and whether it is wrong


def try_subject(phase: str, subject: Subject, size: Size, seed: int) -> Trial:
    """`subject` before the gate; the rehearsal has a size of its own."""
    if phase == REHEARSAL:
        return rehearse(subject, seed)
    return open_run(subject, size, seed) if phase == OPENING else follow_run(phase, subject, size, seed)


def steps_of(phase: str, size: Size, oracle: str) -> tuple[int, int]:
    """How many iterations a phase has, and how many of them the oracle follows."""
    if phase in PACES:
        counts, checked = plan(phase, size, oracle)
        return counts.steps, checked
    steps = REHEARSAL_STEPS if phase == REHEARSAL else gate.opening_steps(of_oracle(oracle, size))
    return steps, steps


def rehearse(subject: Subject, seed: int) -> Trial:
    """A rehearsal by the gate itself, further seeds and all."""
    case = replace(subject.case, problem=replace(subject.case.problem, seed=seed))
    train = subject.make(seed)
    first = gate.rehearse_seed(case, train, subject.device, seed)
    return first.deviations, gate.confirmed(case, train, subject.device, first) is not None


def open_run(subject: Subject, size: Size, seed: int) -> Trial:
    """The first iterations at the case's own size, by the gate itself, other data and all."""
    case, train = at(subject, size, seed), subject.make(seed)
    expected = opened(case.oracle, size, seed, case.problem.dtype, case.precision)
    first = gate.opening_deviations(case, train, subject.device, expected)
    return first, gate.opening_confirmed(case, train, subject.device, first) is not None


def follow_run(phase: str, subject: Subject, size: Size, seed: int) -> Trial:
    """A timed run in which x changes; who strays runs anew, and is wrong who always does.

    Anew with other changes of x, and on other data where nobody can change it. Where the oracle follows only the start,
    the run ends there too: what comes after is compared with nothing.
    """
    first = run_once(phase, subject, size, seed, 0)
    anew = (run_once(phase, subject, size, seed, turn) for turn in range(1, 1 + ANEW))
    return first, all(reason(one) is not None for one in chain([first], anew))


def run_once(phase: str, subject: Subject, size: Size, seed: int, turn: int) -> list[Deviation]:
    """One timed run against the oracle, as the judge compares it."""
    oracle = subject.case.oracle
    counts, checked = plan(phase, size, oracle)
    changes = subject.device.negate is not None  # an array that nobody can write to stays as it is, in a run too
    data, drawn = (seed, turn) if changes else (seed + turn, None)
    case = at(subject, size, data)
    expected = followed(phase, oracle, size, data, case.problem.dtype, case.precision, drawn)
    trained = gate.run(
        case, subject.make(seed), subject.device, case.problem, expected.arrays, checked, expected.flips
    )  # fmt: skip
    read = {t: trained.losses[t] for one in counts.stretches for t in one.read if t < checked}
    return gate.timed_deviations(expected, Trained(read, trained.weights), counts.steps)


def at(subject: Subject, size: Size, seed: int) -> Case:
    """The subject's case at a size and the stable rate, with the data of a seed."""
    rate = stable_learning_rate(size, subject.case.oracle)
    return replace(subject.case, problem=Problem(*size, subject.case.problem.dtype, rate, seed))


def of_oracle(oracle: str, size: Size, seed: int = 0, dtype: str = "float32") -> Case:
    """A case of no style at a size and the stable rate."""
    problem = Problem(*size, dtype, learning_rate=stable_learning_rate(size, oracle), seed=seed)
    return Case("", "cpu", problem, framework="numpy", oracle=oracle)


@lru_cache
def plan(phase: str, size: Size, oracle: str) -> tuple[Counts, int]:
    """The counts of a timed run at the nominal speed of its device, and how many iterations the oracle follows."""
    flops, pace = work_flops(Problem(*size), oracle), PACES[phase]
    cycle = 4 if oracle == "dynamic" else 1
    on_cpu = pace.device == "cpu"
    counts = plan_counts(Rule(), pace.overhead_ns + flops / pace.flops_per_ns, cycle, referenced=on_cpu)
    return counts, affordable_steps(flops, counts.steps)


def draw_flips(phase: str, size: Size, oracle: str, seed: int, turn: int | None) -> list[Flip]:
    """How x changes in a timed run, as far as the oracle follows: as in a real one, but drawn by seed and turn.

    Not at all in a turn that is None.
    """
    if turn is None:
        return []
    counts, checked = plan(phase, size, oracle)
    seeds = np.random.default_rng([seed, turn]).integers(2**48, size=len(counts.stretches)).tolist()
    case = replace(of_oracle(oracle, size), device=PACES[phase].device, framework=PACES[phase].framework)
    return [flip for flip in timed_flips(case, counts, seeds) if flip.step < checked]


class Shared(Expected):
    """Its twins are made once for all subjects, or anew for each where they are large."""

    def twins(self, *, wide: bool = False) -> Iterator[Reference]:
        """As a run of its own would make them."""
        if sum(one.size for one in self.arrays) > MOST_SHARED:
            return super().twins(wide=wide)
        if wide not in self.made:
            self.made[wide] = tuple(super().twins(wide=wide))
        return iter(self.made[wide])

    @cached_property
    def made(self) -> dict[bool, tuple[Reference, ...]]:
        """Those that were asked for, wide and not."""
        return {}


@lru_cache(maxsize=2)
def arrays_of(size: Size, seed: int) -> tuple[Floats, ...]:
    """The data of a seed; nobody writes into them."""
    return Problem(*size, seed=seed).arrays()


@lru_cache(maxsize=HELD)
def opened(oracle: str, size: Size, seed: int, dtype: str, precision: str) -> Expected:
    """What the opening comes to."""
    case = replace(of_oracle(oracle, size, seed, dtype), precision=precision)
    return shared(gate.opening(case, arrays_of(size, seed)))


@lru_cache(maxsize=HELD)
def followed(phase: str, oracle: str, size: Size, seed: int, dtype: str, precision: str, turn: int | None) -> Expected:
    """What a timed run comes to on the data of a seed, x changing as in that `turn`, as far as the oracle affords."""
    counts, _checked = plan(phase, size, oracle)
    case = replace(of_oracle(oracle, size, seed, dtype), precision=precision)
    return shared(gate.followed(case, arrays_of(size, seed), counts.steps, draw_flips(phase, size, oracle, seed, turn)))


def shared(one: Expected) -> Shared:
    """The same for many subjects."""
    return Shared(one.case, one.arrays, one.steps, one.flips)
