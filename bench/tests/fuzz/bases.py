"""What is mutated: small runs of every kind, one of them half done, a pytest-benchmark file, and a run of long ago."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from bench.advice.network.asked import Counted, StepFound
from bench.cases.request import Request
from bench.plain import to_plain
from bench.report.pages.card import PICTURE, Card, write_card
from bench.runner.session import Session, prepare
from bench.tables.columns import ITERATIONS, LOSSES, MACHINE, MEASUREMENTS, SPEEDUPS
from bench.tables.run import read_run
from bench.tables.writer import Writer, measurement_row, write_machine
from bench.tests.fakes import REASON, a_case, a_measurement, an_answer
from bench.tests.runs import MACHINE as FACTS
from bench.tests.runs import around, write_run
from bench.verdict.evidence import Evidence

NETWORK, ANSWER = "network.py", "answer.json"
ROOT = Path(__file__).resolve().parents[3]
TUTORIAL: dict[str, Any] = {"dtype": "float32", "size": (64, 1000, 100, 10)}
VALUES = {
    "first_iteration_seconds": 1e-3, "flops": 26_201_360, "import_seconds": 0.1, "transfer_seconds": 1e-3,
    "setup_seconds": 0.11, "warmup_iterations": 100, "iterations": 2, "latency_mean_us": 101.0, "latency_min_us": 99.0,
    "latency_p95_us": 105.0, "batch_iterations": 50, "bytes_moved": 10**6, "floor_us": 50.0, "floor_share": 0.5,
    "loop_seconds": 0.1, "program_seconds": 0.3, "reference_us": 27.0, "own_effect": 0.01, "latency_per_reference": 3.7,
    "throughput_per_reference": 3.5, "cpu_utilisation": 1.0, "final_loss": 1e-3, "blas": "openblas",
    "minor_faults_per_iteration": 0.0, "involuntary_switches": 2, "checked_iterations": 500, "peak_rss_bytes": 10**8,
}  # fmt: skip
CEILINGS = [
    {"kind": "gemm", "framework": "torch", "dtype": "float32", "precision": "ieee", "gflops": 500.0}
    | {"device": device, "threads": 1}
    for device in ("cpu", "cuda:0")
]
DEVICES: dict[str, Any] = {
    "cpu": {"model": "a processor"},
    "cuda:0": {"model": "a GPU", "memory_bytes": 2**34, "free_bytes": 2**33},
}


def write_bases(place: Path, request: Request) -> dict[str, Path]:
    """Each base in a folder of its own below `place`, by name; `request` is what `half` was begun with."""
    _with_gpu(place / "gpu")
    _on_cpu(place / "cpu")
    _of_long_ago(place / "older")
    _half_done(place / "half", request)
    _of_pytest(place / "pytest", place / "gpu")
    _shelf(place / "shelf", place / "gpu", place / "cpu")
    _of_ones_own(place / "network")
    return {path.name: path for path in sorted(place.iterdir())}


def _with_gpu(folder: Path) -> None:
    torch, gpu = {"framework": "torch", **TUTORIAL}, {"framework": "torch", "device": "cuda:0", **TUTORIAL}
    cases = {
        a_case("numpy_manual", **{**TUTORIAL, "dtype": "float64"}): 600.0,
        a_case("numpy_in_place", **TUTORIAL): 230.0,
        a_case("torch_tensors", threads=2, **torch): 170.0,
        a_case("torch_optim_adam", oracle="adam", **torch): 500.0,
        a_case("torch_tensors", **gpu): 90.0,
        a_case("torch_nn", precision="tf32", **gpu): 80.0,
        a_case("torch_tensors", **{**gpu, "size": (128, 2000, 200, 20)}): 95.0,
        a_case("numpy_in_place", dtype="float32", size=(128, 2000, 200, 20)): 900.0,
    }
    more = [
        a_measurement(
            case, block, us, noisy=block == 1, losses=(3.0, 2.0), warmup_us=(us, us), timed_us=[us] * 40,
            values={**VALUES, "device_model": DEVICES[case.device]["model"], "latency_median_us": us,
                    "throughput_us": 0.9 * us, "flops": case.problem.flops},
        )
        for case, middle in cases.items() for block, us in enumerate(around(middle))
    ]  # fmt: skip
    as_found = replace(next(iter(cases)), as_found=True)
    more += [
        a_measurement(as_found, 0, 700.0),
        a_measurement(a_case("torch_nn", **torch), 0, status="wrong", reason="its loss strays", values={}),
        a_measurement(a_case("torch_module", **gpu), 0, status="skipped", reason=REASON, values={}),
    ]
    write_run(folder, {}, others=more, devices=DEVICES, ceilings=CEILINGS, missing={}, run_id="gpu1")
    (folder / "charts").mkdir()
    (folder / "charts" / "mine.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>\n')


def _on_cpu(folder: Path) -> None:
    cases = {a_case("numpy_manual", **TUTORIAL): around(300), a_case("numpy_in_place", **TUTORIAL): around(200)}
    write_run(folder, cases, environment="kept", run_id="cpu1", distorting_variables={"OPENBLAS_CORETYPE": "Haswell"})


def _of_long_ago(folder: Path) -> None:
    """The start of a run in results/, whose tables lack the later columns."""
    folder.mkdir(parents=True)
    old = ROOT / "results" / "sweep-cpu"
    (folder / MACHINE).write_bytes((old / MACHINE).read_bytes())
    for name, lines in ((MEASUREMENTS, 60), (ITERATIONS, 200), (SPEEDUPS, 30), (LOSSES, 40)):
        with open(old / name, encoding="utf-8") as file:
            (folder / name).write_text("".join(islice(file, lines)), "utf-8")


def _half_done(folder: Path, request: Request) -> None:
    """A run of two styles in three blocks of which one and a half are there."""
    session: Session = prepare(request, folder)
    folder.mkdir(parents=True)
    write_machine(folder, {**session.machine, "ceilings": [], "ceilings_missing": []})
    writer = Writer(folder, session.run_id, str(session.machine["environment"]))
    for block in (0, 1):
        for order, case in enumerate(session.plan.cases):
            if (block, order) != (1, 1):
                found = an_answer()
                writer.append(
                    a_measurement(case, block, order=order, values=found.values, losses=(3.0, 2.0) if not block else ())
                )


def _shelf(folder: Path, *runs: Path) -> None:
    """A folder of runs as results/ is: whole ones, and one of which only the card was shared."""
    for run in runs:
        shutil.copytree(run, folder / run.name)
    card = Card.of(Evidence.of(read_run(runs[0])))
    for name in (runs[0].name, "shared"):
        (folder / name).mkdir(exist_ok=True)
        write_card(card, folder / name)
        (folder / name / PICTURE).write_bytes(b"no picture")
    (folder / "notes").mkdir()
    (folder / "notes" / "README.md").write_text("# Notes\n\nOf somebody.\n")


def _of_ones_own(folder: Path) -> None:
    """A network for advise, and what a process answers about it."""
    folder.mkdir(parents=True)
    (folder / NETWORK).write_text(
        "from implementations import network\n\n\n@network\ndef mine(batch):\n    return model, inputs, loss\n"
    )
    counted = Counted(2.6e7, 0.0, 10**6, 12, 12)
    found = StepFound("ok", "", 250.0, 240.0, "", "its loss is the same twice", 10**5, counted)
    (folder / ANSWER).write_text(json.dumps(to_plain(found)))


def _of_pytest(folder: Path, run: Path) -> None:
    """What `pytest --benchmark-json` writes, of the same measurements."""
    cases = [a_case("numpy_manual", **TUTORIAL), a_case("torch_tensors", "cuda:0", framework="torch", **TUTORIAL)]
    ok = [a_measurement(case, values={**VALUES, "latency_median_us": 90.0, "throughput_us": 80.0}) for case in cases]
    bad = a_measurement(a_case("torch_nn", framework="torch"), status="skipped", reason=REASON, values={})
    whole = {
        "benchmarks": [
            {"extra_info": measurement_row("json1", one), "stats": {"median": 9e-5, "data": [9e-5, 9.1e-5] * 20}}
            for one in ok
        ],
        "fiftyx": {
            "machine": {"run_id": "json1", **FACTS, "devices": DEVICES},
            "without": [measurement_row("json1", bad)],
        },
    }
    folder.mkdir(parents=True)
    (folder / "x.json").write_text(json.dumps(whole), "utf-8")
