"""The tables of a run: their files, and their columns in order."""

from __future__ import annotations

from bench.cases.case import CASE_COLUMNS

MEASUREMENT_COLUMNS = (
    "run_id", "block", "order", "style", "framework", "oracle", "device", "device_model", "dtype", "precision",
    "threads", "n", "d_in", "hidden", "d_out", "learning_rate", "seed", "environment", "status", "reason", "attempts",
    "noisy", "import_seconds", "transfer_seconds", "setup_seconds", "first_iteration_seconds", "warmup_iterations",
    "iterations", "latency_median_us", "latency_mean_us", "latency_min_us", "latency_p95_us", "batch_iterations",
    "throughput_us", "event_us", "synchronize_floor_us", "loop_seconds", "program_seconds", "flops", "bytes_moved",
    "reference_us", "own_effect", "latency_per_reference", "throughput_per_reference",
    "floor_us", "floor_share", "minor_faults_per_iteration", "involuntary_switches", "cpu_utilisation",
    "peak_rss_bytes", "peak_device_bytes", "gpu_energy_mj", "gpu_energy_resolution_mj",
    "sm_clock_warm_mhz", "sm_clock_timed_mhz", "checked_iterations", "final_loss", "blas", "heap",
    "data_seed", "challenges", "iterations_per_launch", "launched_us", "first_loss_us", "enqueue_us",
    "calls_us", "products_us", "passes_us", "passes_bytes", "fault_us",
)  # fmt: skip
# Columns that came after the first version: a table without them is read with these empty.
LATER_COLUMNS = ("reference_us", "own_effect", "latency_per_reference", "throughput_per_reference", "floor_us",
                 "floor_share", "gpu_energy_mj", "gpu_energy_resolution_mj", "sm_clock_warm_mhz",
                 "sm_clock_timed_mhz", "peak_rss_bytes",
                 "peak_device_bytes", "loop_seconds", "program_seconds", "checked_iterations", "blas", "heap",
                 "data_seed", "challenges", "iterations_per_launch", "launched_us", "first_loss_us",
                 "enqueue_us", "calls_us", "products_us", "passes_us", "passes_bytes", "fault_us")  # fmt: skip
ITERATION_COLUMNS = ("run_id", "block", *CASE_COLUMNS, "phase", "iteration", "elapsed_us")
LOSS_KEYS = CASE_COLUMNS[:5]  # a rehearsal is at the tutorial's size whatever the case's
LOSS_COLUMNS = ("run_id", "style", "oracle", *LOSS_KEYS[1:], "iteration", "loss")
SPEEDUP_COLUMNS = (
    *CASE_COLUMNS, "baseline", "baseline_style", "baseline_device", "baseline_dtype", "baseline_precision",
    "baseline_threads", "scope", "blocks", "baseline_us", "contender_us", "speedup", "low", "high", "noisy",
    "environment",
)  # fmt: skip
TEXT_COLUMNS = ("run_id", "style", "framework", "oracle", "device", "device_model", "dtype", "precision",
                "environment", "status", "reason", "blas", "heap", "phase", "baseline", "baseline_style",
                "baseline_device", "baseline_dtype", "baseline_precision", "scope")  # fmt: skip

MEASUREMENTS, ITERATIONS, SPEEDUPS = "measurements.csv", "iterations.csv", "speedups.csv"
LOSSES, MACHINE = "losses.csv", "machine.json"
MEASURED_AS_FOUND = "as_found.csv"  # as measurements.csv; a file of its own: nobody takes it for the clean case
NETWORKS = "networks.csv"  # networks other than the tutorial's, a row a process
NETWORKS_LATER = {"device": "cpu", "device_model": "", "precision": "ieee"}  # a table from before a GPU has none of it
EXPERIMENTS, ACCEPTANCE = "experiments.csv", "acceptance.csv"
ACCEPTANCE_COLUMNS = ("experiment", "must_reach", "got", "met", "n", "note")
