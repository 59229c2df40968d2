"""Styles that break their process, its pipes or its helpers: what each does, and the row that it must become."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.adversary.kills import Life, left_behind
from bench.adversary.lies import HONEST, write_style
from bench.cases.measurement import REASON_LENGTH
from bench.tables.run import read_run

SAY = """    import os, stat, subprocess, sys, time
    def say(text):  # into the pipe of the answer
        for fd in range(3, 64):
            try:
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, text)
            except OSError:
                pass
"""
HONEST_STYLE = "numpy_in_place"
FORKED_TWICE = """    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()
"""
LATE = "took longer than"
TIMES = '"latency_median_us": 1.0, "throughput_us": 1.0'


@dataclass(frozen=True, slots=True)
class Fault:
    """A style: its body, the status of its row, and what the reason says."""

    name: str
    body: str
    status: str = "crashed"
    says: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault in `tried` blocks of a run with an honest style: rows that say what happened, and rows that are lost."""

    fault: str
    tried: int
    survived: int
    lost: int
    status: str
    reason: str


def forged(name: str, answer: str, says: str, status: str = "crashed") -> Fault:
    """A style that writes its own answer, an expression of bytes, and ends."""
    return Fault(name, f"    say({answer})\n    os._exit(0)\n    yield\n", status, says)


FAULTS = (
    Fault("text before the answer", "    say(b'garbage\\n')\n" + HONEST, says="its answer is no JSON: garbage"),
    Fault("bytes that are no text", "    say(bytes(range(128, 256)))\n" + HONEST, says="its answer is no JSON"),
    forged("brackets without end", "b'[' * 50_000", "its answer is no JSON"),
    forged("no status", "b'{}'", "it has no 'status'"),
    forged("unknown status", 'b\'{"status": "fine"}\'', "unknown status 'fine'"),
    forged("a status of the runner", 'b\'{"status": "skipped"}\'', "unknown status 'skipped'"),
    forged("a list", "b'[1, 2]'", "it is [1, 2], expected names and values"),
    forged("text for a time", 'b\'{"status": "ok", "timed_us": ["x"]}\'', "timed_us[0] is 'x', expected float"),
    forged("NaN for a time", 'b\'{"status": "ok", "timed_us": [NaN]}\'', "timed_us[0] is nan, expected float"),
    forged("a time of 0", f'b\'{{"status": "ok", "values": {{{TIMES}}}, "timed_us": [0]}}\'', "a time of 0.0"),
    forged("no times", 'b\'{"status": "ok"}\'', "a time of None"),
    forged(
        "a number of 400 digits", "b'{\"status\": \"ok\", \"timed_us\": [1' + b'0' * 400 + b']}'", "more than 64 bits"
    ),
    forged("a column of the run", 'b\'{"status": "ok", "values": {"status": "fine"}}\'', "values.status is 'fine'"),
    forged("text for a number", 'b\'{"status": "ok", "values": {"flops": "many"}}\'', "values.flops is 'many'"),
    forged("a reason of 60 kB", 'b\'{"status": "failed", "reason": "\' + b\'x\' * 60_000 + b\'"}\'', "xxx", "failed"),
    Fault("no answer", "    os._exit(0)\n    yield\n", says="process ended with exit code 0"),
    Fault("a closed pipe", "    os.closerange(3, 64)\n" + HONEST, says="process ended with exit code"),
    Fault("an exit", "    sys.exit('gone')\n    yield\n", says="process ended with exit code 1: gone"),
    Fault("SIGKILL", "    os.kill(os.getpid(), 9)\n    yield\n", says="process killed by SIGKILL"),
    Fault("SIGSEGV", "    import ctypes\n    ctypes.string_at(0)\n    yield\n", says="process killed by SIGSEGV"),
    Fault("a child goes on and answers too", "    os.fork()\n" + HONEST, says="a child that it forked went on"),
    Fault("a child goes on alone", "    if os.fork():\n        os._exit(0)\n" + HONEST),
    Fault("a helper holds stderr", "    subprocess.Popen(['sleep', '600'])\n" + HONEST, "ok"),
    Fault("a helper is detached", "    subprocess.Popen(['sleep', '600'], start_new_session=True)\n" + HONEST, "ok"),
    Fault("a helper is forked twice", FORKED_TWICE + HONEST, "ok"),
    Fault("prints without end", "    while True:\n        print('x' * 10**5)\n    yield\n", "timeout", LATE),
    Fault("never ends", "    while True:\n        time.sleep(1)\n    yield\n", "timeout", LATE),
)


def try_faults(folder: Path, blocks: int, timeout_s: float) -> list[Outcome]:
    """All of FAULTS and an honest style in one run, then resumed; last the commands themselves and what they left."""
    names = {fault.name: f"fault_{number}" for number, fault in enumerate(FAULTS)} | {HONEST_STYLE: HONEST_STYLE}
    options = ["--blocks", str(blocks), "--timeout", str(timeout_s), "--size", "16,250,25,5", "--dtype", "float64"]
    for name in names.values():
        options += ["--style", name]
    for fault in FAULTS:
        options += ["--style-file", str(write_style(folder, SAY + fault.body, names[fault.name]).source)]
    codes, left = [], 0
    for _ in range(2):
        life = Life.begin(folder / "run", [*options, "--threads", "1", "--seed", "0"])
        codes.append(life.ended())
        left += left_behind(life.token)
    rows = read_run(folder / "run").measurements
    found = [
        outcome(fault, rows[rows["style"] == names[fault.name]], blocks)
        for fault in (*FAULTS, Fault(HONEST_STYLE, "", "ok"))
    ]
    whole = codes == [1, 1] and left == 0
    said = f"exit codes {codes[0]} and {codes[1]}, {left} processes left 2 s later"
    return [*found, Outcome("run, then --resume", 2, 2 * whole, 0, "", said)]


def outcome(fault: Fault, rows: pd.DataFrame, blocks: int) -> Outcome:
    """What the `rows` of its style say about it."""
    right = [
        row["status"] == fault.status
        and (fault.says in str(row["reason"]))
        and len(str(row["reason"])) <= REASON_LENGTH
        for row in rows.to_dict("records")
    ]
    reason = "" if fault.status == "ok" else str(rows["reason"].iloc[0])[:60]
    return Outcome(fault.name, blocks, sum(right), blocks - len(rows), "/".join(sorted(set(rows["status"]))), reason)
