"""The table of the gate's evidence: what is counted of each subject, in parts put together, and what it comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.errors import TableError
from bench.machine.device import cpu_model
from bench.simulation.subjects import Subject, late, late_unchanging
from bench.simulation.trials import OPENING, PACES, REHEARSAL, TIMED, Trial
from bench.tables.csv_files import read_rows, write_rows
from bench.verification import deviation
from bench.words import markdown

TABLE = "gate.csv"
WHOSE = ("phase", "oracle", "size", "group", "dtype", "precision", "style", "lie")
BOUNDS = ("first", "loss", "root", "weights", "unit", "still")
MACHINE, AND = "cpu_model", "; "  # on which it was tried, or on which ones
COLUMNS = (
    *WHOSE[:4], "steps", "checked", *WHOSE[4:], "seeds", "strayed", "wrong", "least_excess", "most_excess", *BOUNDS,
    "first_seed", "last_seed", MACHINE,
)  # fmt: skip
Row = Mapping[str, str]


def row_of(whose: Mapping[str, str], steps: tuple[int, int], subject: Subject, seed: int, trial: Trial) -> Row:
    """The row of one seed; what strays beyond a tolerance is not wrong yet."""
    found, wrong = trial
    case, excess = subject.case, deviation.worst(found)
    errors = {
        bound: max(math.inf if math.isnan(one.error) else one.error for one in found if one.bound == bound)
        for bound in {one.bound for one in found if one.bound and math.isfinite(one.allowed)}
    }
    cells = {
        **whose, "steps": steps[0], "checked": steps[1],
        "dtype": case.problem.dtype, "precision": case.precision, "style": case.style, "lie": subject.lie,
        "seeds": 1, "strayed": int(excess > 1), "wrong": int(wrong),
        "least_excess": f"{excess:.3g}", "most_excess": f"{excess:.3g}",
        **{bound: f"{errors[bound]:.2g}" if bound in errors else "" for bound in BOUNDS},
        "first_seed": seed, "last_seed": seed, MACHINE: cpu_model(),
    }  # fmt: skip
    return {name: str(cell) for name, cell in cells.items()}


def done_seeds(path: Path) -> Callable[[Mapping[str, str], range], bool]:
    """Whether the table at `path` holds a group's seeds already. Raises TableError where it holds a part of them."""
    known: dict[tuple[str, ...], list[range]] = {}
    for one in read_rows(path, COLUMNS) if path.exists() else []:
        span = range(int(one["first_seed"]), int(one["last_seed"]) + 1)
        known.setdefault(tuple(one[name] for name in WHOSE[:4]), []).append(span)

    def done(whose: Mapping[str, str], seeds: range) -> bool:
        held = [len(range(max(one.start, seeds.start), min(one.stop, seeds.stop))) for one in
                known.get(tuple(whose[name] for name in WHOSE[:4]), [])]  # fmt: skip
        if any(0 < one < len(seeds) for one in held):
            raise TableError(f"{path}: holds some of the seeds from {seeds.start} on; choose another --out")
        return any(held)

    return done


def merge(path: Path) -> list[Row]:
    """The table with one row a subject, phase and size: what was tried in parts is put together."""
    merged = together(read_rows(path, COLUMNS))
    write_rows(path, COLUMNS, merged)
    return merged


def together(rows: Iterable[Row]) -> list[Row]:
    """One row a subject, phase and size: counts are sums, errors the largest of honest ones and the least of lies."""
    return [_merged(same) for _, same in grouped(rows, WHOSE)]


def grouped(rows: Iterable[Row], names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Rows that agree in `names`, in the order of the first of each, after these cells."""
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for one in rows:
        kinds.setdefault(tuple(one[name] for name in names), []).append(one)
    yield from kinds.items()


def _merged(same: Sequence[Row]) -> Row:
    largest = min if same[0]["lie"] else max
    found = dict(same[0])
    for name in ("seeds", "strayed", "wrong"):
        found[name] = str(sum(int(one[name]) for one in same))
    found[MACHINE] = AND.join(_machines(same))
    for end, names in (
        (min, ("least_excess", "first_seed")), (max, ("most_excess", "last_seed")), (largest, BOUNDS),
    ):  # fmt: skip
        for name in names:
            found[name] = end((one[name] for one in same if one[name]), key=float, default="")
    return found


def _machines(rows: Iterable[Row]) -> Iterable[str]:
    return dict.fromkeys(model for one in rows for model in one[MACHINE].split(AND))


PHASES = (REHEARSAL, OPENING, TIMED)
LATE = (late.__name__, late_unchanging.__name__)
ALLOWED = {REHEARSAL: deviation.REHEARSAL, OPENING: deviation.OPENING, **dict.fromkeys(PACES, deviation.TIMED)}
README = """\
# Evidence for the gate: honest arithmetic let through, lies caught

{wrong} of {trials:,} honest trials were called wrong, {passed} of {lies} lies got past the whole gate on any seed;
{model}, one thread a process, made by `{command}`{left}.

A trial is one phase of the gate on data of its own. The *rehearsal* is 50 iterations at the tutorial's size; who
strays by little is judged by most of five seeds. The *opening* is the first four iterations at the case's own size.
The *timed* run is as long as a real one; x changes in it as in a run (a part of it before about every 16th iteration,
in a batch every 36th). Who strays in these two is held against honest twins, then tried on other data or runs twice
more with other changes: wrong is who always strays. Where the oracle affords only the start, the rest is not run. A
*long* run is one of an iteration that takes 5 us and its products on one thread; *on a GPU* it is as long, and x
changes between batches alone, as it does on an accelerator. Tried are the styles that run on this CPU and emulated
arithmetic: other orders of summation, TF32 rounded and truncated, bfloat16 (`bench/simulation/arithmetic.py`). Where
the oracle follows to the end some are also tried with an x that stays (`unchanging` of `gate.csv`), on other data where
they stray. Dear stages have fewer seeds than cheap ones: n stands in every row.

{honest_table}

A lie is wrong where any one phase catches it: past the whole gate get at most those that its best phase lets pass, at
that size where they are most. Lies are in float32 unless they say otherwise; *least* is the least that one strayed on
any seed, over what is allowed.

{lies_table}

A lie that begins after 100 iterations is seen by the timed run alone: caught there, of so many, with x changing or not.
Where a run has converged by then, or comes to the same end, there may be nothing to see; a rate off by 1% leads there.

{late_table}

What honest trials strayed by at most, over all sizes and seeds, and what is allowed (`bench/verification/deviation.py`
says what each is). What is beyond it are flips of the ReLU mask, for which the gate asks again, and in timed runs what
honest twins stray by too.

{bounds_table}

A row of `gate.csv` is a style and dtype in one phase at one size: `seeds` were tried, on `strayed` of them something
was beyond its tolerance, `wrong` is the verdict, `least_excess` and `most_excess` are the smallest and the largest
error over what is allowed. The columns from `first` to `still` are errors, of honest ones the largest, of lies the
smallest; empty where that phase has no such bound. `checked` of `steps` iterations were run and compared.
"""


def summary(rows: Sequence[Row], command: str, left: int = 0) -> str:
    """The folder's README; `left` parts of what the command runs were not run."""
    honest = [one for one in rows if not one["lie"]]
    every = list(lie_rows([one for one in rows if one["lie"] and one["group"] not in LATE]))
    return README.format(
        wrong=_sum(honest, "wrong"), trials=_sum(honest, "seeds"), model=" and ".join(_machines(rows)), command=command,
        left=f" ({left} of its parts are not run yet: the same command goes on)" if left else "",
        passed=sum(not one[-1].startswith("0 ") for one in every), lies=len(every),
        honest_table=markdown(("phase", "net", "size", "subjects", "trials", "strayed", "wrong"), honest_rows(honest)),
        lies_table=markdown(
            ("lie", "net", *(f"{phase}: caught (least)" for phase in PHASES), "past the whole gate"), every
        ),
        late_table=markdown(("lie", "net", *PACES), late_rows([one for one in rows if one["group"] in LATE])),
        bounds_table=markdown(("phase", "dtype", "net", "trials", *BOUNDS), bound_rows(honest)),
    )  # fmt: skip


def honest_rows(rows: Sequence[Row]) -> Iterator[list[str]]:
    """A line a phase, net and size."""
    for key, same in grouped(rows, ("phase", "oracle", "size")):
        counts = (len(same), *(_sum(same, name) for name in ("seeds", "strayed", "wrong")))
        yield [*key, *(f"{count:,}" for count in counts)]


def lie_rows(rows: Sequence[Row]) -> Iterator[list[str]]:
    """A line a lie and net: how often each phase caught it, and how often its best phase did not, at the worst size."""
    for (lie, oracle, dtype), same in grouped(rows, ("lie", "oracle", "dtype")):
        phases = {phase: [one for one in same if one["phase"] == phase] for phase in PHASES}
        cells = [
            f"{_sum(of, 'wrong'):,} of {_sum(of, 'seeds'):,} ({min(float(one['least_excess']) for one in of):.3g})"
            if of else ""
            for of in phases.values()
        ]  # fmt: skip
        sizes = {one["size"] for phase in (OPENING, TIMED) for one in phases[phase]} or {""}
        missed, tried = max(
            (_best([*phases[REHEARSAL], *(one for one in same if one["size"] == size)]) for size in sizes),
            key=lambda one: (one[0], -one[1]),
        )
        yield [_named(lie, dtype), oracle, *cells, f"{missed} of {tried:,}"]


def late_rows(rows: Sequence[Row]) -> Iterator[list[str]]:
    """A line a lie that begins late and net: how often the timed runs of each pace caught it."""
    for (lie, oracle, dtype), same in grouped(rows, ("lie", "oracle", "dtype")):
        of = [[one for one in same if one["phase"] == phase] for phase in PACES]
        cells = [f"{_sum(some, 'wrong'):,} of {_sum(some, 'seeds'):,}" if some else "" for some in of]
        yield [_named(lie.removeprefix("late: "), dtype), oracle, *cells]


def bound_rows(rows: Sequence[Row]) -> Iterator[list[str]]:
    """A line a phase, dtype, and net where that has tolerances of its own: the largest error of what is allowed."""
    for (phase, dtype, precision), same in grouped(rows, ("phase", "dtype", "precision")):
        nets = [key[2] for key in ALLOWED[phase] if key[:2] == (dtype, precision) and len(key) > 2]
        for net in ("", *nets):
            mine = [one for one in same if (one["oracle"] if one["oracle"] in nets else "") == net]
            if not mine:
                continue
            allowed = deviation.tolerance(ALLOWED[phase], dtype, precision, net)
            cells = [
                f"{max(seen, key=float)} of {getattr(allowed, bound):g}"
                if (seen := [one[bound] for one in mine if one[bound]]) else ""
                for bound in BOUNDS
            ]  # fmt: skip
            name = dtype if precision == "ieee" else f"{dtype} {precision}"
            yield [phase, name, net or "others" if nets else "all", f"{_sum(mine, 'seeds'):,}", *cells]


def _named(lie: str, dtype: str) -> str:
    return lie if dtype == "float32" else f"{lie}, {dtype}"


def _best(rows: Iterable[Row]) -> tuple[int, int]:
    """Of the row that missed fewest, how many that is and of how many; of equals that which tried most."""
    counts = [(int(one["seeds"]) - int(one["wrong"]), int(one["seeds"])) for one in rows]
    return min(counts, key=lambda one: (one[0], -one[1]))


def _sum(rows: Iterable[Row], name: str) -> int:
    return sum(int(one[name]) for one in rows)
