"""Who is tried by the gate: styles of implementations/, emulated arithmetic, and lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.cases.case import Case
from bench.cases.problem import Problem, Size
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.simulation import arithmetic as emulation
from bench.simulation.arithmetic import (
    BEGUN_LATE,
    LIES,
    SKIPS_FIRST,
    STOPS,
    Arithmetic,
    Lie,
    of_rounded,
)
from bench.verification.storage import BFLOAT16, TF32, TF32_TRUNCATED
from implementations import Implementation, Train, find_implementations

BLAS = Arithmetic("blas")
SLOW = ("one by one",)
ALIKE = ("rounded, permuted", "truncated, permuted", "rounded where aligned", "float32 sums, permuted")
TELLING_STYLES = (
    "numpy_in_place", "numba_manual", "torch_tensors", "torch_in_place", "torch_nn", "torch_optim_adam",
    "torch_dynamic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """A style under trial: real or emulated, honest or lying."""

    case: Case
    device: Device
    make: Callable[[int], Train]  # by seed: an order of summation is drawn
    lie: str = ""

    @property
    def honest(self) -> bool:
        """Whether the gate must let it through."""
        return not self.lie


def emulated(arithmetic: Arithmetic, oracle: str, make: Callable[[int], Arithmetic], lie: Lie | None = None) -> Subject:
    """An emulated style; `make` draws its arithmetic by seed."""
    problem = Problem(dtype=arithmetic.dtype)
    case = Case(arithmetic.name, "cpu", problem, precision=arithmetic.precision, framework="emulated", oracle=oracle)
    return Subject(
        case, arithmetic.device(), lambda seed: emulation.emulated(make(seed), oracle, lie), lie.name if lie else ""
    )


def orders(seed: int) -> list[Arithmetic]:
    """Every arithmetic that is honest, the drawn orders of summation by `seed`."""
    permuted = emulation.permuted(seed)
    tf32 = partial(Arithmetic, precision="tf32")
    bfloat16 = partial(Arithmetic, stored=BFLOAT16, dtype="bfloat16")
    return [
        Arithmetic("permuted", permuted),
        Arithmetic("split in 8", emulation.split(8)),
        Arithmetic("one by one", emulation.one_by_one),
        Arithmetic("permuted", permuted, dtype="float64"),
        tf32("rounded", of_rounded(TF32)),
        tf32("rounded, permuted", of_rounded(TF32, permuted)),
        tf32("truncated", of_rounded(TF32_TRUNCATED)),
        tf32("truncated, permuted", of_rounded(TF32_TRUNCATED, permuted)),
        tf32("rounded where aligned", emulation.where_aligned(of_rounded(TF32))),
        Arithmetic("float64 masters", permuted, masters="float64"),
        bfloat16("float32 masters", emulation.bfloat16_product(permuted), masters="float32"),
        bfloat16("float32 sums", emulation.bfloat16_product()),
        bfloat16("float32 sums, permuted", emulation.bfloat16_product(permuted)),
    ]


def honest_emulations(oracle: str) -> list[Subject]:
    """Every honest arithmetic that trains the net of `oracle`."""
    return [emulated(one, oracle, partial(_drawn, index)) for index, one in enumerate(orders(0))]


def _drawn(index: int, seed: int) -> Arithmetic:
    return orders(seed)[index]


def lying(oracle: str) -> list[Subject]:
    """Every lie in float32 as numpy's BLAS sums; in bfloat16 only coarse ones."""
    return [*_liars(oracle, LIES), *_liars(oracle, (STOPS, SKIPS_FIRST, *LIES[:2]), _bfloat16())]


def _liars(oracle: str, lies: Sequence[Lie], arithmetic: Arithmetic = BLAS) -> Iterator[Subject]:
    return (emulated(arithmetic, oracle, lambda _seed: arithmetic, lie) for lie in lies)


def _bfloat16() -> Arithmetic:
    return next(one for one in orders(0) if one.name == "float32 sums")


def late(oracle: str) -> list[Subject]:
    """Lies that begin when rehearsal and opening are over."""
    return [*_liars(oracle, BEGUN_LATE), *_liars(oracle, BEGUN_LATE[:4], _bfloat16())]


def late_unchanging(oracle: str) -> list[Subject]:
    """The same where nobody can write to x."""
    return [_staying(one) for one in late(oracle)]


def _staying(one: Subject) -> Subject:
    """The same, its x as if nobody could write to it."""
    return replace(one, device=replace(one.device, negate=None))


def real(style: Implementation, dtype: str) -> Subject:
    """A style of implementations/ on the CPU."""
    case = Case(style.name, "cpu", Problem(dtype=dtype), framework=style.framework, oracle=style.oracle)
    return Subject(case, open_device(style.framework, "cpu"), lambda _seed: style.train)


def reals(oracle: str) -> Iterator[Subject]:
    """Every style of implementations/ that can run here, in float32 and what else its library has."""
    for style in find_implementations().values():
        if style.oracle == oracle and style.missing is None and "cpu" in style.devices:
            yield real(style, "float32")
            yield real(style, "bfloat16" if style.framework == "torch" else "float64")


def telling(oracle: str) -> list[Subject]:
    """One honest subject of each kind."""
    return [one for one in _honest(oracle) if _tells(one)]


def unchanging(oracle: str) -> list[Subject]:
    """The telling ones in float32 as if nobody could write to their x, and those whose x nobody can write to."""
    kept = [one for one in _honest(oracle) if (one.case.problem.dtype, one.case.precision) == ("float32", "ieee")]
    return [_staying(one) for one in kept if _tells(one) or one.device.negate is None]


def others(oracle: str) -> list[Subject]:
    """The honest ones that are much like one that is telling."""
    return [one for one in _honest(oracle) if not _tells(one) and one.case.style not in SLOW]


def slow(oracle: str) -> list[Subject]:
    """The honest ones that take a second where others take some hundredths."""
    return [one for one in honest_emulations(oracle) if one.case.style in SLOW]


def fewest_honest(oracle: str) -> list[Subject]:
    """For the largest sizes, where a trial takes seconds: another order of summation, and a real style."""
    kept = [one for one in telling(oracle) if one.case.style in ("permuted", "torch_tensors")]
    return [one for one in kept if one.case.problem.dtype == "float32"]


def fewest_lies(oracle: str) -> list[Subject]:
    """For the largest sizes: TF32 posing as float32, which is hardest to tell there."""
    return [one for one in lying(oracle) if one.lie in ("TF32 rounded", "TF32 truncated")]


def _honest(oracle: str) -> list[Subject]:
    return [*honest_emulations(oracle), *reals(oracle)]


def _tells(one: Subject) -> bool:
    if one.case.framework == "emulated":
        return one.case.style not in (*SLOW, *ALIKE)
    return one.case.style in TELLING_STYLES and one.case.problem.dtype == "float32"


def is_lie_at(subject: Subject, size: Size) -> bool:
    """TF32 where rows are aligned is no lie at a size without an aligned product."""
    _n, d_in, hidden, d_out = size
    return subject.lie != "TF32 where aligned" or d_in % 4 == 0 == hidden % 4 or hidden % 4 == 0 == d_out % 4
