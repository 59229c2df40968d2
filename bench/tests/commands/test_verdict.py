"""Tests of the command verdict: exit codes, what it prints, the same bytes without torch, bad input in one line."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import TUTORIAL_SIZE
from bench.cli import main
from bench.errors import UsageError
from bench.machine.ceilings import peaks
from bench.report.verdict import MORE
from bench.tables.row_checks import check_rows
from bench.tests.planted import MACHINE, SIDES, planted, write_run
from bench.tests.runs import evidence_of
from bench.verdict.claim import at_least
from bench.verdict.judgement import Question, judgement_of

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.usefixtures("handlers")
FEW = [("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1)]
LARGE = SWEEP_SIZES[3:]
NO_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "cupy", "jax"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
from bench.cli import main
first = main(["verdict", *sys.argv[1:]])
print("-" * 8)
sys.exit(100 * (first != main(["verdict", *sys.argv[1:]])) or first)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "planted", planted(FEW, blocks=3))


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


@pytest.mark.parametrize(("threshold", "code"), [("10", 0), ("50", 1), ("0.01", 0)])
def test_the_exit_code_is_the_answer(run, capsys, threshold, code):
    assert main(["verdict", str(run), "--at-least", threshold]) == code
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"planted: {'Yes, often' if code == 0 else 'No, not often'} {threshold}x here")
    assert "at the tutorial's size" in first


def test_a_run_without_a_gpu_is_untested_and_the_first_line_says_so(tmp_path, capsys):
    folder = write_run(tmp_path / "cpu", planted(FEW[:1], [TUTORIAL_SIZE], blocks=2))
    assert main(["verdict", str(folder), "--all"]) == 3
    out = capsys.readouterr().out
    first = " ".join(out.partition("The claim")[0].split())
    assert first.startswith("cpu: Untested: no GPU was measured; at the tutorial's size 64x1000x100x10 the fastest CPU")
    assert "style, numpy_in_place float32, 1 thread" in first
    assert "by published figures a GPU can be at most" in first
    assert "the tutorial's eager code" in first
    assert "asked of best-gpu against best-cpu by iteration" in " ".join(out.split())


def test_the_same_gpu_differs_by_scope(run, capsys):
    assert main(["verdict", str(run), "--scope", "program", "--at-least", "10"]) == 1
    assert main(["verdict", str(run), "--scope", "iteration", "--at-least", "10", "--all"]) == 0
    assert "a whole python" in capsys.readouterr().out


def test_a_cpu_case_is_a_contender_by_its_style_or_in_full(run, capsys):
    for name in ("numpy_in_place", "numpy_in_place cpu float32 1 thread"):
        table = planted([*FEW[:1], ("numpy_manual", "cpu", "float64", 1)], [TUTORIAL_SIZE], blocks=3)
        evidence = evidence_of(table, machine=MACHINE)
        found = judgement_of(evidence, Question(at_least(1.5), baseline="tutorial-1", contender=name)).main[0]
        assert found.speedup is not None
        assert found.speedup.contender.label == "numpy_in_place cpu float32 1 thread"
    itself = judgement_of(evidence, Question(at_least(1.5), contender="numpy_in_place")).main[0].verdict
    assert itself.reason == "numpy_in_place cpu float32 1 thread is the baseline best-cpu itself"
    on_both = evidence_of(
        pd.concat([planted(FEW, LARGE, 2), planted([("torch_tensors", "cpu", "float32", 1)], LARGE, 2)])
    )
    assert {one.contender.device for one in on_both.against(LARGE[0], "best-cpu", "torch_tensors", "iteration")} == {
        "cuda:0"
    }


def test_a_verdict_is_a_row_a_size_and_all_of_it_only_where_asked_for(run, capsys):
    main(["verdict", str(run)])
    short = capsys.readouterr().out
    main(["verdict", str(run), "--all"])
    whole = capsys.readouterr().out
    for size in SWEEP_SIZES:
        assert len(re.findall(f"(?m)^{size} ", short)) == 1
    assert "break-even" not in short.replace(MORE, "")
    assert "break-even" in whole
    assert len(short.splitlines()) < len(whole.splitlines()) / 2


def test_several_runs_follow_one_another_and_one_refuted_refutes(run, tmp_path, capsys):
    other = write_run(tmp_path / "other", planted(FEW[:1], [TUTORIAL_SIZE], 2), {**MACHINE, "cpu_model": "Another"})
    assert main(["verdict", str(run), str(other)]) == 1
    out = capsys.readouterr().out
    assert out.index("Machine: A CPU") < out.index("other: Untested") < out.index("Machine: Another")


def test_json_holds_the_same_and_no_nan(run, capsys):
    assert main(["verdict", str(run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["verdicts"][0]
    assert found["verdict"]["outcome"] == "refuted"
    assert {one["scope"] for one in found["findings"]} == {"iteration", "throughput", "loop", "program"}
    assert {one["target"] for one in found["crossovers"]} == {1, 10, 50}
    assert found["break_even"][0]["warm"]["value"] is None  # the GPU is the slower one there: never


def test_one_baseline_alone_is_shown_and_judged(run, capsys):
    assert main(["verdict", str(run), "--baseline", "numpy-1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["verdicts"][0]
    assert {one["baseline"] for one in found["findings"]} == {"numpy-1"}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_without_torch_the_committed_tables_print_the_same_bytes_twice(run, arguments):
    command = [sys.executable, "-c", NO_TORCH, str(run), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    first, second = done.stdout.split("-" * 8 + "\n")
    assert first == second
    assert "best-gpu" in first


def test_the_published_audit_needs_no_run(capsys):
    assert main(["verdict", "--published"]) == 0
    assert "64.0-77.4x, all 8 networks above 50x" in capsys.readouterr().out
    assert main(["verdict", "--published", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["peak_ratio"] == pytest.approx(8.268, abs=1e-3)


def refused(capsys, *arguments) -> str:
    assert main(["verdict", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return str(captured.err)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--baseline", "bset-cpu"], "--baseline bset-cpu"),
        (["--scope", "loops"], "--scope loops"),
        (["--at-least", "0"], "--at-least 0"),
        (["--contender", "torch_optm"], "torch_optm"),
        (["--published"], "--published"),
    ],
)
def test_bad_options_are_one_line(run, capsys, options, what):
    assert what in refused(capsys, run, *options)


def test_no_folder_is_one_line(capsys, tmp_path):
    assert "name a run folder" in refused(capsys)
    assert "leave out --scope" in refused(capsys, "--published", "--scope", "loop")
    assert "no such run folder" in refused(capsys, tmp_path / "nowhere")


def edit(folder, change) -> None:
    path = folder / "measurements.csv"
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: "", "is empty"),
        (lambda text: text.splitlines(keepends=True)[0], "holds no measurement"),
        (lambda text: text[:-9], "cut off"),
        (lambda text: text.replace("latency_median_us", "latency"), "no column 'latency_median_us'"),
        (lambda text: text + text.splitlines(keepends=True)[-1], "came before"),
        (lambda text: text + text.splitlines(keepends=True)[-1].replace("planted0", "another0"), "rows of 2 runs"),
        (lambda text: text.replace("A GPU", "B GPU", 1), "rows of two machines: cuda:0 is 'B GPU' and 'A GPU'"),
        (lambda text: text.replace("A GPU", "B GPU"), "rows of two machines"),
        (lambda text: text.replace(",clean,ok", ",kept,ok", 1), "rows of two plans: environment"),
        (lambda text: text.replace(",0,clean,", ",7,clean,"), "rows of two plans: seed is 7 and 0"),
        (lambda text: text.replace(",1e-06,", ",2e-06,", 1), "two learning rates"),
        (lambda text: text.replace(",float32,", ",,", 1), "column 'dtype' is empty"),
        (lambda text: text.replace("planted0,", ",", 1), "column 'run_id' is empty"),
        (lambda text: text.replace(",ok,", ",fine,", 1), "unknown status 'fine'"),
        (lambda text: "\0\1\2\n", ""),
    ],
)
def test_a_folder_that_is_not_one_whole_run_is_one_line(copy, capsys, change, what):
    edit(copy, change)
    message = refused(capsys, copy)
    assert what in message
    assert str(copy) in message


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": "another0"}'])
def test_a_machine_that_is_not_the_runs_is_one_line(copy, capsys, content):
    (copy / "machine.json").write_text(content)
    assert str(copy) in refused(capsys, copy)


def test_rows_of_one_run_pass():
    check_rows(ROOT / "measurements.csv", planted(FEW, LARGE, 2), MACHINE)


def test_an_empty_table_is_refused():
    with pytest.raises(UsageError, match="no measurement"):
        judgement_of(evidence_of(planted(FEW, LARGE, 2).iloc[:0], machine=MACHINE), Question(at_least(None)))


def test_a_case_that_is_missing_is_named():
    table = planted(FEW, [TUTORIAL_SIZE], 2)
    table.loc[table["device"] == "cuda:0", ["status", "reason"]] = ["oom", "needs 200 GiB"]
    found = judgement_of(evidence_of(table, machine=MACHINE), Question(at_least(None)))
    assert found.missing == ("oom in 2 of 2 blocks: needs 200 GiB: torch_tensors cuda:0 float32 at 64x1000x100x10",)


def test_the_peaks_are_the_best_products_and_the_copies_of_the_largest_buffers():
    copies = [
        {"kind": "copy", "framework": "numpy", "device": device, "dtype": "float32", "precision": "ieee",
         "threads": 1, "gbytes_per_s": rate, "bytes": size}
        for device, rate, size in [("cpu", 90.0, 2**22), ("cpu", 10.0, 2**30), ("cuda:0", 4000.0, 2**30)]
    ]  # fmt: skip
    found = peaks({"ceilings": [*MACHINE["ceilings"], *copies]})
    assert found is not None
    assert (found.ratio, found.copy_ratio) == (200.0, 400.0)
    assert peaks({}) is None
    assert peaks({"ceilings": MACHINE["ceilings"][:1]}) is None
    with pytest.raises(UsageError, match="ceilings"):
        peaks({"ceilings": [{"kind": "gemm"}]})


def test_a_run_that_looked_several_times_has_wider_intervals_and_says_so(tmp_path, capsys):
    table = planted(FEW, [TUTORIAL_SIZE], 4)
    once = judgement_of(evidence_of(table, machine=MACHINE), Question(at_least(None))).main[0].speedup
    looked = {**MACHINE, "plan": {**MACHINE["plan"], "looks": [10, 20, 30]}}
    thrice = judgement_of(evidence_of(table, machine=looked), Question(at_least(None))).main[0].speedup
    assert once is not None
    assert thrice is not None
    assert thrice.ratio.low < once.ratio.low < once.ratio.high < thrice.ratio.high
    main(["verdict", "--all", str(write_run(tmp_path / "looked", table, looked))])
    assert "Intervals: 98.3%, over processes, paired by block (95% over all" in capsys.readouterr().out


def test_every_planted_side_takes_part():
    found = judgement_of(evidence_of(planted(sizes=LARGE, blocks=2), machine=MACHINE), Question(at_least(None)))
    assert found.evidence.contenders == ("torch_autograd cuda:0 float32", "torch_tensors cuda:0 float32")
    assert not any(math.isnan(one.baseline_us) for one in found.main)
    assert len(found.evidence.rows) == len(SIDES) * len(LARGE) * 2
