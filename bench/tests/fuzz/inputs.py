"""One hostile input at a time through the command line, in this process: what it came to and what was wrong with it."""

from __future__ import annotations

import json
import math
import random
import re
import resource
import signal
import stat
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure

from bench.cases.measurement import Job
from bench.cases.request import Request
from bench.cli import main
from bench.machine.process import Answer
from bench.report.pages.index import INDEX
from bench.report.pages.index import main as index
from bench.report.pages.page import PAGE
from bench.tests.chromium import Browser, browser, find_chromium
from bench.tests.fakes import PROBE, an_answer
from bench.tests.fuzz.bases import ANSWER, NETWORK, write_bases
from bench.tests.fuzz.mutations import CELLS, copy_of, mutate

HANG_S = 60.0  # on a shared machine; the usual input takes less than 0.1 s
CHOSEN = Request(styles=("numpy_manual", "numpy_in_place"), devices=("cpu",), blocks=3)
READING = (
    ("table",), ("table",), ("table",), ("table", "--baseline", "own"), ("verdict", "--json"), ("verdict",), ("chart",),
    ("compare", "--json"), ("compare",), ("report", "--no-charts"), ("report", "--no-charts"), ("share",),
    ("verdict", "--claim"), ("verdict", "--claim", "--json"), ("table", "--scope", "program"),
)  # fmt: skip
CLAIMS = ("50x on a GPU", "GPUs often provide speedups of 50x or greater", "123x on VGG16", "0.5x", "2,5 times as fast")
ADVISING = (("advise", "--blocks", "2"), ("advise", "--json", "--batch", "1", "--batch", "64", "--blocks", "3"))
MOST_BYTES = 8 << 30
RESUMES = (("run", "--resume", "--dry-run", "--out"), ("run", "--resume", "--no-charts", "--out"))
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
TAG = re.compile(r"(?<!\\)<(?!br>)[A-Za-z/!]")

POSITIVE = ("baseline_us", "contender_us", "a_us", "b_us", "ratio", "speedup")


class Hang(BaseException):
    """A command that took longer than HANG_S."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command on a mutated input: its exit code, None where there was none, and what was wrong; empty is well."""

    seed: int
    base: str
    mutation: str
    command: str
    code: int | None
    fault: str


def outcome(seed: int, bases: dict[str, Path], place: Path, tab: Browser | None = None) -> Outcome:
    """Mutate one base by `seed` and run a command over it. Call it within `quiet`."""
    rng = random.Random(seed)
    base = rng.choice([*bases, "gpu", "half"])
    folder = place / "input"
    copy_of(bases[base], folder)
    mutation = mutate(rng, folder)
    target = str(folder / "x.json" if base == "pytest" else folder)
    if base == "network":
        target = str(folder / NETWORK)
    one = rng.choice({"half": RESUMES, "network": ADVISING, "shelf": (("index",),)}.get(base, READING))
    if "--claim" in one:
        at = one.index("--claim") + 1
        one = (*one[:at], rng.choice((*CLAIMS, *CLAIMS, *CELLS))[:300], *one[at:])
    sides = [target, str(bases["gpu"])] if rng.random() < 0.5 else [str(bases["gpu"]), target]
    with patch("bench.machine.process.run_python", lambda *_asked, **_options: _answer_of(folder)):
        code, fault = _run([*one, *(sides if one[0] == "compare" else [target])])
    if not fault and one[0] == "report" and code == 0 and tab is not None:
        fault = _seen(tab, folder / PAGE)
    return Outcome(seed, base, mutation, " ".join(one)[:60], code, fault)


def run_seeds(first: int, count: int, step: int) -> list[Outcome]:
    """Every `step`-th seed from `first` on; faults are printed as they come."""
    found = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(quiet())
        program = find_chromium()
        tab = stack.enter_context(browser(program, place / "profile")) if program else None
        bases = make_bases(place / "bases")
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))  # what takes more is lost, by a MemoryError
        for seed in range(first, first + count, step):
            found.append(one := outcome(seed, bases, place, tab))
            if one.fault:
                print(f"{one.seed} {one.base} [{one.mutation}] {one.command}: {one.fault}", flush=True)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """No process is started, each picture is drawn once, and an alarm ends what hangs."""

    def alarmed(_number: int, _frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, alarmed), signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        for module in ("bench.runner.session", "bench.machine.facts", "bench.advice.processors"):
            stack.enter_context(patch(f"{module}.probe_devices", lambda: dict(PROBE)))
        stack.enter_context(patch("bench.runner.session.process_launcher", lambda _plan: _answered))
        stack.enter_context(patch("bench.runner.floor.measure_ceilings", lambda *_asked: ([], [])))
        stack.enter_context(patch("bench.charts.drawing.style.save", _as_svg))
        stack.enter_context(patch("bench.tables.files.os.fsync", lambda _handle: None))
        yield
    signal.signal(signal.SIGALRM, before[0])
    signal.signal(signal.SIGTERM, before[1])


def make_bases(place: Path) -> dict[str, Path]:
    """See `write_bases`; within `quiet`."""
    return write_bases(place, CHOSEN)


def _as_svg(figure: Figure, stem: Path) -> list[Path]:
    """Half the time: both are drawn from the same figure."""
    path = stem.with_name(f"{stem.name}.svg")
    figure.savefig(path)
    return [path]


def _answered(_job: Job) -> Any:
    return an_answer()


def _answer_of(folder: Path) -> Answer:
    """What the process of a network says."""
    try:
        if stat.S_ISREG((folder / ANSWER).stat().st_mode):
            with open(folder / ANSWER, encoding="utf-8", errors="replace") as file:
                return Answer(file.read(2**20), 1.0)
    except OSError:
        pass
    return Answer(None, 1.0, "crashed", "process ended with exit code 1: no message")


def _run(command: Sequence[str]) -> tuple[int | None, str]:
    """The exit code and the fault of one command."""
    out, errors = StringIO(), StringIO()
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            code = index([*command[1:]]) if command[0] == "index" else main(list(command))
    except Hang:
        return None, "hang"
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/bench/" in frame.filename]
        where = f"{frames[-1].filename.rpartition('/bench/')[2]}:{frames[-1].lineno}" if frames else "?"
        return None, f"traceback {type(error).__name__} at {where}: {str(error)[:150]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return code, _fault(command, code, out.getvalue(), errors.getvalue())


def _fault(command: Sequence[str], code: int, out: str, errors: str) -> str:
    if code not in (0, 1, 2, 3):
        return f"exit code {code}: {errors[-200:]!r}"
    if command[0] == "index":
        return _fault_of_index(code, errors, Path(command[1]) / INDEX)
    said = errors.rstrip("\n").split("\n")[-1]
    lines = errors.count("\n") if command[0] not in ("run", "advise") else 1  # they say first what they do
    if code == 2 and not (said.startswith("fiftyx: ") and lines == 1 and len(said) < 2000):
        return f"not one line: {errors[-200:]!r}"
    if odd := CONTROL.search(out + errors):
        return f"control character {odd.group()!r} printed: {(out + errors)[max(0, odd.start() - 40) :][:80]!r}"
    if "Traceback" in errors:
        return "traceback printed"
    if "--json" in command and code != 2:
        return next(_wrong_facts(json.loads(out)), "")
    return ""


def _fault_of_index(code: int, errors: str, page: Path) -> str:
    """Of Markdown that a browser may show: no tag that it was not given, no control character."""
    if code == 2:
        return "" if errors.count("\n") == 1 and len(errors) < 2000 and not CONTROL.search(errors) else repr(errors)
    text = page.read_text(encoding="utf-8")
    if odd := CONTROL.search(text):
        return f"control character {odd.group()!r} in the index"
    tag = TAG.search(text)
    return f"the index holds {text[max(0, tag.start() - 40) :][:80]!r}" if tag else ""


def _wrong_facts(value: Any, name: str = "") -> Iterator[str]:
    """Times and ratios that cannot be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _wrong_facts(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _wrong_facts(inner, name)
    elif isinstance(value, float) and name in POSITIVE and not (math.isfinite(value) and value > 0):
        yield f"a wrong fact: {name} is {value}"


def _seen(tab: Browser, page: Path) -> str:
    """What a page did in a browser that no page of ours does."""
    tab.complaints.clear()
    tab.open(page.as_uri(), 800, 600)
    time.sleep(0.01)
    if tab.run("document.title") == "ran":
        return "markup ran"
    return f"the browser complains: {tab.complaints[0][:200]}" if tab.complaints else ""
