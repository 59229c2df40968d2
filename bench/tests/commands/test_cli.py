"""The command line: what is asked wrongly is one line with the cure, exit code 2, and nothing written."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.adversary.lies import HONEST, write_style
from bench.cases.plan import dump_plan, load_plan, same_plan
from bench.cases.problem import TUTORIAL_SIZE
from bench.cases.request import Request, check, make_plan, parse_size
from bench.cli import main
from bench.commands._common import go_on
from bench.errors import UsageError
from bench.machine.environment import ROOT
from bench.runner.session import prepare
from bench.tables.run import read_run
from bench.tables.writer import write_machine
from bench.tests.fakes import CPU_ONLY, WITH_CUDA
from implementations import find_implementations

STYLES = find_implementations()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, probed, handlers):
    """An empty folder, in which a command must leave nothing."""
    monkeypatch.chdir(tmp_path)


def refused(capsys, tmp_path, *arguments: str) -> str:
    """The one line that `fiftyx` answers with; checks that it is one, on stderr, with exit code 2."""
    before = {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")}
    assert main(list(arguments)) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("fiftyx: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert {path: path.read_bytes() if path.is_file() else None for path in tmp_path.rglob("*")} == before
    return str(errors)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--style torch_optm_sgd", "no style 'torch_optm_sgd'; did you mean 'torch_optim_sgd'? See: fiftyx list"),
        ("--style zzz", "no style 'zzz'; there are cupy_manual, jax_jit, jax_scan, numba_manual, "),
        ("--style numpy_manual --style nupy_manual", "did you mean 'numpy_manual'?"),
        ("--preset tutrial", "no preset 'tutrial'; did you mean 'tutorial'? See: fiftyx list"),
        ("--preset cnn", "--preset cnn measures networks: fiftyx advise --preset cnn --out DIR"),
        ("--device cud", "no device 'cud'; did you mean 'cuda'?"),
        ("--device gpu", "--device gpu: no accelerator here: no CUDA device (torch "),
        ("--preset gpu", "--preset gpu: no accelerator here: no CUDA device (torch "),
        ("--threads 8000", "--threads 8000: only "),
        ("--device cpu:0", "--device cpu:0: give cpu"),
        ("--device cuda:x", "--device cuda:x: give cuda or cuda:0"),
        ("--dtype float23", "no dtype 'float23'; did you mean 'float32'?"),
        ("--dtype int8", "no dtype 'int8'"),
        ("--precision tf23", "no precision 'tf23'; did you mean 'tf32'?"),
        ("--size 64,1000,100", "--size 64,1000,100: give four whole numbers N,D_in,H,D_out, such as 64,1000,100,10"),
        ("--size 64,1000,100,ten", "give four whole numbers"),
        ("--size 64,1000,100,1.5", "give four whole numbers"),
        ("--size 64,1000,100,-10", "give four whole numbers"),
        ("--size=", "give four whole numbers"),
        ("--size 0,1,1,1", "--size 0,1,1,1: each of N,D_in,H,D_out must be at least 1"),
        ("--threads 0", "--threads 0: give a number from 1 up, or all"),
        ("--threads -1", "--threads -1: give a number from 1 up, or all"),
        ("--threads many", "--threads many: give a number from 1 up, or all"),
        ("--threads ²", "give a number from 1 up, or all"),
        ("--blocks 0", "--blocks 0: give 1 to 1,000,000"),
        ("--blocks few", "Invalid value for '--blocks': "),
        ("--timeout 0", "--timeout 0: give seconds above 0"),
        ("--timeout nan", "--timeout nan: give seconds above 0"),
        ("--seed -1", "--seed -1: give a whole number from 0 up"),
        ("--resume", "--resume: say which run with --out DIR"),
        ("--style-file missing.py", "missing.py: cannot be read: No such file or directory"),
        ("--no-such-option", "No such option: --no-such-option"),
        ("--style numpy_manual --device cuda", "the options leave no case: no chosen style runs on a chosen device"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_cure(capsys, tmp_path, arguments, complaint):
    assert complaint in refused(capsys, tmp_path, "run", *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--style numpy_manual --dtype bfloat16", "numpy has no bfloat16"),
        ("--style torch_nn --device cuda", "no CUDA device (torch "),
        ("--style numpy_manual --size 100000000,1000000,10,1", "needs about "),
    ],
)
def test_where_nothing_can_be_measured_the_rows_say_why_and_the_answer_is_open(
    capsys, tmp_path, probed, handlers, arguments, reason
):
    folder = tmp_path / "run"
    assert main(["run", *arguments.split(), "--out", str(folder)]) == 3
    rows = read_run(folder).measurements
    assert set(rows["status"]) == {"skipped"}
    assert rows["reason"].str.startswith(reason).all()
    out = capsys.readouterr().out
    assert "Untested: no case of this run could be measured." in out
    assert reason in out
    assert "verdict" not in out  # there is nothing to judge
    assert "list  # what is missing, and why" in out
    assert main(["verdict", str(folder)]) == 3
    assert "no case of this run could be measured" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_is_readable_on_stdout(capsys, arguments):
    assert main(arguments) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    assert out.startswith("Usage: fiftyx [OPTIONS] COMMAND")
    assert "..." not in out.partition("\n")[2]  # every command's sentence is whole
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["list", "run", "table", "chart", "doctor", "compare", "report", "verdict"])
def test_every_command_has_its_short_help_without_names_of_types(capsys, command):
    assert main([command, "-h"]) == 0
    options = capsys.readouterr().out.partition("Options:")[2]
    assert "-h, --help" in options
    assert not re.search(r"<(str|int|float|path|list)", options)


@pytest.mark.parametrize("installed", [True, False])
def test_the_version_is_told_also_of_a_checkout_that_is_not_installed(capsys, monkeypatch, installed):
    def version(name):
        if not installed:
            raise metadata.PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(metadata, "version", version)
    assert main(["--version"]) == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = "1.2.3" if installed else f"{project['version']} (not installed)"
    assert capsys.readouterr().out == f"fiftyx {told}\n"


def test_a_gpu_is_the_accelerator_that_is_there():
    plan = make_plan(Request(styles=("torch_nn",), devices=("gpu",)), STYLES, WITH_CUDA)
    assert {case.device for case in plan.cases} == {"cuda:0"}
    on_a_mac = replace(CPU_ONLY, devices=frozenset({"cpu", "mps"}), missing={"cuda": "no CUDA device"})
    plan = make_plan(Request(styles=("torch_nn",), devices=("gpu",), dtypes=("float32",)), STYLES, on_a_mac)
    assert {case.device for case in plan.cases} == {"mps"}


def test_a_preset_for_a_gpu_without_one_is_measured_only_anyway():
    with pytest.raises(UsageError, match="--anyway"):
        make_plan(Request(preset="gpu"), STYLES, CPU_ONLY)
    assert make_plan(Request(preset="gpu", anyway=True), STYLES, CPU_ONLY).cases
    assert make_plan(Request(preset="gpu"), STYLES, WITH_CUDA).cases


@given(st.integers(1, 64), st.integers(1, 64))
def test_more_threads_than_cores_are_refused(cores, threads):
    request_ = Request(styles=("numpy_manual",), threads=(str(threads),))
    if threads <= cores:
        assert make_plan(request_, STYLES, replace(CPU_ONLY, cpus=cores)).cases
        return
    with pytest.raises(UsageError, match=f"--threads {threads}: only {cores} core"):
        make_plan(request_, STYLES, replace(CPU_ONLY, cpus=cores))


def test_quick_holds_every_sgd_style_that_starts_at_once_here_at_the_tutorials_size_alone():
    plan = make_plan(Request(), STYLES, CPU_ONLY)
    here = [one for one in STYLES.values() if "cpu" in one.devices and not one.missing and not one.compiled]
    assert {case.style for case in plan.cases} == {one.name for one in here if one.oracle == "sgd"}
    assert {case.problem.size for case in plan.cases} == {TUTORIAL_SIZE}
    adam = make_plan(Request(styles=("torch_optim_adam",)), STYLES, CPU_ONLY)
    assert {case.style for case in adam.cases} == {"torch_optim_adam"}


def test_an_unknown_command_is_refused(capsys, tmp_path):
    assert "No such command 'rnu'" in refused(capsys, tmp_path, "rnu")


DECLARED = "@implementation(framework='numpy', devices=('cpu',)"
TRAIN = "\ndef train():\n    yield\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def broken(:\n", "style.py:1: does not parse: "),
        ("x = 1\n\0", "style.py: does not parse: "),
        ("", "style.py: holds no style; decorate a generator function with @implementation(...)"),
        ("def train():\n    yield\n", "style.py: holds no style"),
        (f"{DECLARED})\ndef train():\n    return 1\n", "style.py:2: style 'train': is not a generator"),
        (f"@implementation(framework='numpy'){TRAIN}", 'needs framework="..." and devices=("cpu", ...)'),
        (f"@implementation(framework=f(), devices=('cpu',)){TRAIN}", "framework= must be written out, not computed"),
        (
            f"{DECLARED}, colour=1){TRAIN}",
            "@implementation takes only framework=, devices=, oracle=, cycle=, heap=, ahead=",
        ),
        (
            f"@implementation(framework='tensorflow', devices=('cpu',)){TRAIN}",
            "no framework 'tensorflow'; give",
        ),
        (
            f"@implementation(framework='torch', devices=('cpu', 'gpu')){TRAIN}",
            "no device 'gpu'; give some of cpu",
        ),
        (f"{DECLARED}, oracle='x'){TRAIN}", "no oracle 'x'; there are sgd, adam, dynamic"),
        (f"{DECLARED}, cycle=0){TRAIN}", "cycle must be a whole number from 1 to 100"),
        (f"{DECLARED}){TRAIN.replace('train', 'numpy_manual')}", "style 'numpy_manual' is already defined in"),
    ],
)
@pytest.mark.parametrize("command", ["run", "list"])
def test_a_style_file_that_is_none_is_refused_with_its_place(capsys, tmp_path, command, text, complaint):
    (tmp_path / "style.py").write_text(text)
    assert complaint in refused(capsys, tmp_path, command, "--style-file", "style.py")


def test_a_style_file_that_is_a_folder_is_refused(capsys, tmp_path):
    assert "cannot be read: Is a directory" in refused(capsys, tmp_path, "run", "--style-file", str(tmp_path))


def test_the_same_style_file_twice_reuses_a_name(capsys, tmp_path):
    write_style(tmp_path, HONEST, name="mine")
    twice = ("--style-file", "mine.py", "--style-file", "mine.py")
    assert "style 'mine' is already defined in" in refused(capsys, tmp_path, "run", *twice)


def test_a_folder_that_holds_something_is_not_written_to(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("dear")
    assert "--out run: exists already; choose another" in refused(capsys, tmp_path, "run", "--out", "run")
    assert "--out run: holds no run to resume" in refused(capsys, tmp_path, "run", "--resume", "--out", "run")


def test_a_file_is_no_folder_and_nothing_lies_under_one(capsys, tmp_path):
    (tmp_path / "file").write_text("dear")
    assert "--out file: is a file; give a folder" in refused(capsys, tmp_path, "run", "--out", "file")
    assert "cannot be written: " in refused(capsys, tmp_path, "run", "--out", "file/run")
    assert "cannot be written: " in refused(capsys, tmp_path, "run", "--out", "file/deep/run")


ONE = ("--style", "numpy_manual", "--size", "8,5,4,3")


def test_another_plan_is_not_resumed(capsys, tmp_path):
    found = prepare(Request(styles=("numpy_manual",), sizes=("8,5,4,3",)), tmp_path / "run")
    (tmp_path / "run").mkdir()
    write_machine(tmp_path / "run", found.machine)
    resume = ("run", "--resume", "--out", "run")
    assert main([*resume, "--dry-run"]) == 0
    assert main([*resume, *ONE, "--dry-run"]) == 0
    capsys.readouterr()
    assert "run was made with another plan (preset quick, 3 blocks, seed 0)" in refused(
        capsys, tmp_path, *resume, *ONE, "--blocks", "4"
    )
    (tmp_path / "run" / "machine.json").write_text("{}")
    assert "machine.json: has no run_id" in refused(capsys, tmp_path, *resume)
    (tmp_path / "run" / "machine.json").write_text('{"run_id": "x"}')
    assert "is not of this version" in refused(capsys, tmp_path, *resume)


def test_a_run_that_nobody_began_is_said_to_be_new_where_it_should_be_finished(capsys, tmp_path):
    assert main(["run", *ONE, "--resume", "--out", "mistyped", "--dry-run"]) == 0
    assert "mistyped: nothing there to finish, so this is a new run" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "said"), [([], "30, where 50x stays open"), (["--blocks", "30"], "30 blocks, ")])
def test_a_plan_that_may_take_more_blocks_says_up_to_how_many(capsys, tmp_path, options, said):
    assert main(["run", *ONE, "--decide", *options, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert said in out
    assert ("more of them, up to 30" in out) == (not options)


def test_the_command_that_finishes_a_run_names_the_files_of_its_styles(capsys, tmp_path):
    style = write_style(tmp_path, HONEST, name="mine")
    request = Request(styles=("mine",), sizes=("8,5,4,3",), style_files=(str(style.source),))
    session = prepare(request, tmp_path / "run")
    assert session.style_files == [style.source]
    assert go_on(session.folder, session.style_files).endswith(f"--out {tmp_path}/run --style-file {style.source}")
    assert prepare(Request(styles=("numpy_manual",)), tmp_path / "other").style_files == []


def test_a_dry_run_of_nothing_that_could_be_measured_says_so_by_its_exit_code(capsys):
    assert main(["run", "--style", "torch_tensors", "--device", "cuda:7", "--dry-run"]) == 3
    assert "0 cases" in capsys.readouterr().out


def test_a_dry_run_prints_the_plan_and_its_skips_and_writes_nothing(capsys, tmp_path):
    assert main(["run", *ONE, "--style", "torch_nn", "--dry-run"]) == 0
    out, _errors = capsys.readouterr()
    assert "numpy_manual" in out
    assert "8x5x4x3" in out
    assert re.search(r"skipped: no CUDA device .*: 1 case: torch_nn cuda:0 float32 8x5x4x3", out)
    assert "processes" in out
    assert list(tmp_path.iterdir()) == []


def test_list_says_what_is_unavailable_and_why(capsys, tmp_path):
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [style["name"] for style in listed["styles"]] == list(STYLES)
    assert all(style["summary"] for style in listed["styles"])
    reasons = {device["name"]: device["unavailable"] for device in listed["devices"]}
    assert reasons["cpu"] is None
    assert reasons["cuda"].startswith("no CUDA device (torch ")
    assert {preset["name"] for preset in listed["presets"]} == {
        "quick",
        "tutorial",
        "sweep",
        "claim",
        "gpu",
        "gpu-sweep",
    }
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in STYLES)


SIDES = st.tuples(*[st.integers(1, 10**6)] * 4)


@given(SIDES, st.sampled_from([",", "x", ", "]))
def test_a_size_is_read_as_it_is_written(size, between):
    assert parse_size(between.join(map(str, size))) == size


@given(st.text(max_size=20))
def test_any_text_is_a_size_of_four_numbers_or_refused(text):
    try:
        size = parse_size(text)
    except UsageError as error:
        refusal = str(error)
    else:
        assert len(size) == 4
        assert min(size) >= 1
        return
    assert refusal.startswith(f"--size {text}: ")


REQUESTS = st.builds(
    Request,
    preset=st.none() | st.sampled_from(["quick", "tutorial", "sweep", "claim", "gpu"]),
    anyway=st.just(True),
    styles=st.lists(st.sampled_from(sorted(STYLES)), max_size=3, unique=True).map(tuple),
    devices=st.lists(st.sampled_from(["cpu", "cuda", "cuda:1", "mps"]), max_size=2).map(tuple),
    sizes=st.lists(st.sampled_from(["8,5,4,3", "64x1000x100x10"]), max_size=2).map(tuple),
    dtypes=st.lists(st.sampled_from(["float32", "float64", "bfloat16"]), max_size=2).map(tuple),
    threads=st.lists(st.sampled_from(["1", "3", "all"]), max_size=2).map(tuple),
    blocks=st.none() | st.integers(1, 30),
    seed=st.none() | st.integers(0, 2**31),
)


@given(REQUESTS, st.sampled_from([CPU_ONLY, WITH_CUDA]))
def test_a_plan_comes_out_of_its_json_as_it_went_in(request_, machine):
    plan = make_plan(request_, check(request_), machine)
    raw = json.loads(json.dumps(dump_plan(plan)))
    assert load_plan(raw, STYLES) == plan
    assert same_plan(raw, dump_plan(plan))
    assert not same_plan(raw, dump_plan(replace(plan, seed=plan.seed + 1)))
    assert same_plan(raw, dump_plan(replace(plan, timeout_s=1.0)))


@given(REQUESTS)
def test_what_is_asked_for_is_what_is_planned(request_):
    plan = make_plan(request_, STYLES, WITH_CUDA)
    cases = [*plan.cases, *(skip.case for skip in plan.skips)]
    if request_.styles:
        assert {case.style for case in cases} <= set(request_.styles)
    if request_.sizes:
        assert {case.problem.size for case in cases} <= {parse_size(size) for size in request_.sizes}
    if request_.dtypes:
        assert {case.problem.dtype for case in cases} <= set(request_.dtypes)
    if request_.blocks:
        assert plan.blocks == request_.blocks
        assert set(plan.cases.values()) <= {request_.blocks}
    assert {case.problem.seed for case in cases} <= {request_.seed or 0}


def test_a_full_disk_is_one_line_with_the_cure(capsys, tmp_path, probed, handlers, monkeypatch):
    def full(*_anything):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.tables.csv_files.append_text", full)
    arguments = ["run", "--style", "numpy_manual", "--dtype", "bfloat16", "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    complaint = capsys.readouterr().err
    assert "fiftyx: cannot go on: No space left on device; make room and continue with --resume" in complaint
    assert "Traceback" not in complaint


def command(*arguments: str, **options):
    """`python -m bench` as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("variables", {})}
    return subprocess.Popen([sys.executable, "-m", "bench", *arguments], env=environment, text=True, **options)


@pytest.mark.parametrize("error", [ValueError("a\n fault"), KeyError(3), MemoryError(), RecursionError("x" * 10**5)])
def test_a_fault_of_our_own_is_one_line_with_a_code_of_its_own_and_where_to_report_it(capsys, monkeypatch, error):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr("bench.commands.list.listing", fail)
    monkeypatch.delenv("FIFTYX_TRACEBACK", raising=False)
    assert main(["list", "--json"]) == 4
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert re.match(r"fiftyx: this is a fault of fiftyx: \w+: .*\(test_cli\.py:\d+\); please report it", errors)
    assert "FIFTYX_TRACEBACK=1" in errors
    assert len(errors) < 700
    monkeypatch.setenv("FIFTYX_TRACEBACK", "1")
    assert main(["list", "--json"]) == 4
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "room"), [(errno.ENOSPC, True), (errno.EACCES, False), (errno.EIO, False)])
def test_make_room_is_said_of_a_full_disk_alone(capsys, monkeypatch, number, room):
    def fail(*_arguments):
        raise OSError(number, os.strerror(number), "some.csv")

    monkeypatch.setattr("bench.commands.list.listing", fail)
    assert main(["list", "--json"]) == 2
    errors = capsys.readouterr().err
    assert f"some.csv: {os.strerror(number)}" in errors
    assert ("make room" in errors) is room


@pytest.mark.parametrize("arguments", [["--help"], ["verdict", "--published"]])
def test_nobody_reads_is_141_and_silent(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = command(*arguments, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert process.communicate()[1] == ""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stream_is_no_fault(closed):
    shell = f'"{sys.executable}" -m bench verdict --published {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        *({"COLUMNS": text} for text in ("abc", "-5", "0", "\u00b2", "9" * 400, " 80")),
    ],
)
def test_a_table_is_printed_whatever_the_encoding_and_the_width(variables):
    run = ROOT / "results" / "tutorial-cpu"
    out, errors = command(
        "table", str(run), variables=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ).communicate()
    assert errors == ""
    assert "numpy_in_place" in out


def test_an_interrupt_while_the_commands_are_loaded_is_quiet(tmp_path):
    """The first line of ours is long before them; the interpreter's own start is not ours."""
    (tmp_path / "typer.py").write_text("import sys, time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    process = command(
        "list", variables={"PYTHONPATH": path}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
