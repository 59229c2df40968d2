"""What a number of a measurement can be, by column: a worker's answer and a table's cell are held to the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Limits = tuple[float, float]
MOST_SIDE = 10**9  # of a problem; its work still is a number that a table holds
MOST_THREADS = MOST_BLOCKS = 10**6
MOST_SEED = 2**63 - 1
MOST_SECONDS = 1e9
MOST_TIMEOUT_S = 1e6  # eleven days; the system counts a wait in milliseconds, 31 bits of them

COUNT: Limits = (0, 2**63 - 1)
ABOVE_0: Limits = (1e-300, 1e300)
US: Limits = (1e-6, 1e15)  # a picosecond to thirty years: what is shorter no clock gives
SECONDS: Limits = (1e-12, MOST_SECONDS)


def _each(limits: Limits, names: str) -> dict[str, Limits]:
    return dict.fromkeys(names.split(), limits)


WHOLE: Mapping[str, Limits] = {
    **_each((1, MOST_SIDE), "n d_in hidden d_out"),
    **_each((1, MOST_THREADS), "threads baseline_threads attempts blocks"),
    **_each((0, MOST_BLOCKS), "block"),
    **_each((-1, 2**62), "order"),
    **_each((0, MOST_SEED), "seed"),
    **_each((0, 10**12), "iteration"),
}
"""Numbers without a fraction that no row may lack."""
LIMITS: Mapping[str, Limits] = {
    **WHOLE,
    **_each(US, "latency_median_us latency_mean_us latency_min_us latency_p95_us throughput_us reference_us floor_us"),
    **_each(US, "launched_us first_loss_us"),
    **_each(US, "elapsed_us baseline_us contender_us latency_us forward_us backward_us"),
    **_each(SECONDS, "first_iteration_seconds loop_seconds program_seconds"),
    **_each((0, MOST_SECONDS), "import_seconds transfer_seconds setup_seconds"),
    **_each((0, US[1]), "event_us enqueue_us synchronize_floor_us"),
    **_each((1e-12, 1e15), "latency_per_reference throughput_per_reference floor_share speedup low high"),
    **_each(COUNT, "warmup_iterations iterations batch_iterations minor_faults_per_iteration involuntary_switches"),
    **_each(COUNT, "cpu_utilisation peak_rss_bytes peak_device_bytes gpu_energy_mj gpu_energy_resolution_mj"),
    **_each(COUNT, "checked_iterations data_seed challenges iterations_per_launch passes_bytes"),
    **_each((0, US[1]), "calls_us products_us passes_us fault_us"),
    **_each(ABOVE_0, "learning_rate flops bytes_moved peak_gflops batch"),
    **_each((-1, 1e15), "own_effect"),
    **_each((0, 1e300), "loss"),
}
TIMES = ("latency_median_us", "throughput_us", "loop_seconds", "program_seconds")  # an `ok` row has one of them


def words_of(limits: Limits) -> str:
    """`from 1 to 1e+09`."""
    return "from {:g} to {:g}".format(*limits)


def beyond(values: Mapping[str, Any]) -> Iterable[str]:
    """What each of `values` that cannot be is and what it should be; None is unknown, which may be."""
    for name, value in values.items():
        limits = LIMITS.get(name)
        if limits is None or value is None:
            continue
        if isinstance(value, bool | str) or not (math.isfinite(value) and limits[0] <= value <= limits[1]):
            yield f"{name} is {str(value)[:40]}, expected a number {words_of(limits)}"
