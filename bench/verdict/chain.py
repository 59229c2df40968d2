"""The chain of cases from the tutorial's numpy to the fastest, each link one change (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from bench.cases.case import CaseKey

AS_WRITTEN, KEPT, IN_PLACE = "numpy_manual", "numpy_kept", "numpy_in_place"
EAGER = ("torch_tensors", "torch_autograd")  # the GPU as the tutorial writes it
PAGE_FAULTS, TEMPORARIES = "no page faults", "no temporaries"
DTYPE, THREADS = "float64 to float32", "threads"
FRAMEWORK, DEVICE, LAUNCH = "framework", "device", "launch overhead"

Series = dict[int, float]  # us by block
Times = dict[CaseKey, Series]
Link = tuple[str, CaseKey | None]  # None: not measured


def mean_us(by_block: Series) -> float:
    """The geometric mean over blocks, so that factors multiply."""
    return math.exp(fmean(math.log(us) for us in by_block.values()))


def links(times: Times, start: CaseKey) -> list[Link]:
    """The chain from `start`, with None for what was not measured.

    Page faults are what the heap of a script costs over one that gives nothing back, the same code in both. They go
    first, and temporaries after them, if numpy without either was measured in float64, else the dtype does: in any
    case every link compares two measured cases.
    """

    def measured(case: CaseKey) -> CaseKey | None:
        return case if case in times else None

    kept, in_place = (measured(start._replace(style=style)) for style in (KEPT, IN_PLACE))
    single, kept_single, in_place_single = (
        measured(start._replace(style=style, dtype="float32")) for style in (AS_WRITTEN, KEPT, IN_PLACE)
    )
    in_single = in_place_single or kept_single or single
    if kept is None and in_place is None and single is not None:
        chain: list[Link] = [(DTYPE, single), (PAGE_FAULTS, kept_single), (TEMPORARIES, in_place_single)]
    else:
        chain = [(PAGE_FAULTS, kept), (TEMPORARIES, in_place), (DTYPE, in_single)]
    return [*chain, *_beyond(times, in_single)]


def _beyond(times: Times, numpy_case: CaseKey | None) -> list[Link]:
    """From numpy in float32: threads, framework, device, launch overhead."""

    def fastest(cases: Sequence[CaseKey]) -> CaseKey | None:
        return min(cases, key=lambda case: mean_us(times[case]), default=None)

    plain = [case for case in times if case.arithmetic == "float32"]
    on_cpu, on_gpu = [case for case in plain if case.on_cpu], [case for case in plain if not case.on_cpu]
    same_style = [case for case in on_cpu if numpy_case is not None and case.style == numpy_case.style]
    threads = fastest(same_style) if len(same_style) > 1 else None
    if not on_gpu:
        return [(THREADS, threads), (FRAMEWORK, fastest(on_cpu)), (DEVICE, None), (LAUNCH, None)]
    device = min(on_gpu, key=lambda case: mean_us(times[case])).device  # of several, one: another is no factor
    on_gpu = [case for case in on_gpu if case.device == device]
    eager = next((case for style in EAGER for case in on_gpu if case.style == style), None)
    if eager is None:
        return [(THREADS, threads), (FRAMEWORK, None), (DEVICE, fastest(on_gpu)), (LAUNCH, None)]
    on_host = fastest([case for case in on_cpu if case.style == eager.style])
    launch = fastest(on_gpu) if len(on_gpu) > 1 else None
    return [(THREADS, threads), (FRAMEWORK, on_host), (DEVICE, eager), (LAUNCH, launch)]


def merged(chain: Sequence[Link]) -> tuple[list[tuple[str, CaseKey]], tuple[str, ...]]:
    """The measured links, each with the labels of unmeasured ones right before it; and all unmeasured labels."""
    steps: list[tuple[str, CaseKey]] = []
    waiting: list[str] = []
    for label, case in chain:
        waiting.append(label)
        if case is not None:
            steps.append((" + ".join(waiting), case))
            waiting = []
    return steps, tuple(label for label, case in chain if case is None)


def measured_links(chain: Sequence[Link]) -> int:
    """How many of the links were measured."""
    return sum(case is not None for _, case in chain)
