"""Styles: one file each, found without being imported, and nothing else to edit."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from bench.adversary.lies import HONEST, write_style
from bench.cases.grid import expand
from bench.cases.measurement import Job
from bench.cases.presets import PRESETS, Leg
from bench.cases.request import Request, make_plan
from bench.commands.list import listing
from bench.plain import from_plain, to_plain
from bench.tests.fakes import CPU_ONLY, PROBE, a_job
from implementations import DEVICES, Implementation, StyleError, find_implementations, implementation
from implementations._find import HERE

STYLES = find_implementations()


def test_the_tutorials_styles_are_there():
    assert set(STYLES) >= {
        "numpy_manual", "torch_tensors", "torch_autograd", "torch_function", "torch_nn", "torch_optim_sgd",
        "torch_optim_adam", "torch_module", "torch_dynamic", "numpy_in_place",
    }  # fmt: skip


def test_a_file_is_a_style_and_its_name(tmp_path):
    for style in STYLES.values():
        assert style.source.stem == style.name
        assert style.summary
        assert style.framework
        assert style.devices


@pytest.fixture
def another(tmp_path, monkeypatch) -> dict[str, Implementation]:
    """The styles of a copy of the folder into which somebody has put one more file."""
    folder = tmp_path / "implementations"
    folder.mkdir()
    for path in HERE.glob("*.py"):
        shutil.copy(path, folder)
    write_style(folder, HONEST, name="brand_new")
    monkeypatch.setattr("implementations._find.HERE", folder)
    return find_implementations()


def test_a_new_file_is_a_new_style_everywhere_and_nothing_else_is_edited(another):
    assert set(another) - set(STYLES) == {"brand_new"}
    names = [style["name"] for style in listing(another, PROBE)["styles"]]
    assert "brand_new" in names
    grid = expand([Leg(devices=("cpu",))], another, CPU_ONLY, blocks=1, seed=0)
    assert "brand_new" in {case.style for case in grid.cases}
    plan = make_plan(Request(preset="tutorial"), another, CPU_ONLY)
    assert "brand_new" in plan.styles


def test_no_file_of_the_harness_knows_a_style_but_the_presets_and_baselines():
    """A style's name in another file would be a second place to edit."""
    bench = Path(__file__).resolve().parents[2]
    knowing = {
        path.relative_to(bench).parts[0]
        for package in ("machine", "worker", "tables", "runner", "doctor", "commands")
        for path in (bench / package).glob("*.py")
        if any(f'"{name}"' in path.read_text(encoding="utf-8") for name in STYLES)
    }
    assert knowing == set()


def test_a_style_file_from_outside_joins_every_preset(tmp_path):
    style = write_style(tmp_path, HONEST, name="mine")
    styles = find_implementations([style.source])
    for preset in PRESETS:
        plan = make_plan(Request(preset=preset, style_files=(str(style.source),), anyway=True), styles, CPU_ONLY)
        assert "mine" in plan.styles


def test_finding_styles_runs_none_of_them(tmp_path):
    path = tmp_path / "loud.py"
    path.write_text(
        "import a_library_nobody_has\nraise SystemExit('was run')\n\n\n"
        "@implementation(framework='numpy', devices=('cpu',))\ndef loud(*arguments):\n    yield\n"
    )
    style = find_implementations([path])["loud"]
    assert style.missing == "a_library_nobody_has is not installed"
    assert listing({"loud": style}, PROBE)["styles"][0]["unavailable"] == style.missing


def test_a_style_that_breaks_while_it_is_imported_leaves_nothing_behind(tmp_path):
    style = write_style(tmp_path, HONEST, name="late")
    style.source.write_text("1 / 0\n" + style.source.read_text())
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _ = style.train
    assert set(sys.modules) == before


def test_two_files_of_one_name_are_two_styles(tmp_path):
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        found.append(write_style(tmp_path / folder, f"    {folder} = 1\n{HONEST}", name="same"))
    assert found[0].train is not found[1].train


def test_the_decorator_leaves_the_function_alone_and_refuses_what_never_yields():
    def train(x, y, w1, w2, learning_rate, steps):
        yield 1.0

    declare = implementation(framework="numpy", devices=("cpu",))
    assert declare(train) is train
    with pytest.raises(StyleError, match="'hello' is not a generator: it must `yield loss`"):
        declare(hello)


def hello():
    return 1


@pytest.mark.parametrize("heap", ["cold", "", None, ("kept",)])
def test_a_heap_that_nobody_knows_is_refused(heap, tmp_path):
    with pytest.raises(StyleError, match=r"no heap '.*'; there are warm, script, kept"):
        write_style(tmp_path, HONEST, heap=heap)


@pytest.mark.parametrize("ahead", [0, True, 101, "2"])
def test_a_style_starts_one_iteration_or_a_few_at_once(ahead, tmp_path):
    with pytest.raises(StyleError, match="ahead must be a whole number from 1 to 100"):
        write_style(tmp_path, HONEST, devices=("cuda",), ahead=ahead)


def test_what_compiles_says_so_and_only_quick_leaves_it_out_unless_it_is_asked_for(tmp_path):
    mine = write_style(tmp_path, HONEST, name="mine", compiled=True)
    given, styles = str(mine.source), {**STYLES, "mine": mine}
    compiled = {name for name, style in STYLES.items() if style.compiled}
    assert compiled >= {"torch_compile", "jax_jit", "jax_scan", "torch_triton", "numba_manual"}

    def planned(**asked) -> set[str]:
        plan = make_plan(Request(anyway=True, **asked), styles, CPU_ONLY)
        return {case.style for case in (*plan.cases, *(skip.case for skip in plan.skips)) if case.device == "cpu"}

    assert not planned(preset="quick") & {*compiled, "mine"}
    assert planned(preset="quick", style_files=(given,)) & {*compiled, "mine"} == {"mine"}
    assert planned(preset="quick", styles=("torch_compile",)) == {"torch_compile"}
    assert planned(preset="tutorial") >= {"torch_compile", "jax_jit", "numba_manual"}


@pytest.mark.parametrize("compiled", [1, "yes", None])
def test_a_style_is_compiled_or_it_is_not(compiled, tmp_path):
    with pytest.raises(StyleError, match="compiled must be True or False"):
        write_style(tmp_path, HONEST, compiled=compiled)


def test_on_the_cpu_an_iteration_is_over_when_it_is_yielded_so_that_none_starts_several(tmp_path):
    style = write_style(tmp_path, HONEST, devices=("cuda",), ahead=50, cycle=4)
    assert (style.ahead, style.period) == (50, 100)
    with pytest.raises(StyleError, match="ahead= is for accelerators"):
        write_style(tmp_path, HONEST, devices=("cpu", "cuda"), ahead=50)


def test_a_style_may_name_every_accelerator_at_once(tmp_path):
    path = tmp_path / "mine.py"
    devices = "('cpu', 'cuda', 'accelerator')"
    path.write_text(f"@implementation(framework='torch', devices={devices})\ndef mine(*_):\n    yield 1.0\n")
    assert find_implementations([path])["mine"].devices == DEVICES


def test_the_tutorials_numpy_runs_on_a_scripts_heap_and_the_same_code_on_one_that_is_kept():
    heaps = {name: style.heap for name, style in STYLES.items() if style.heap != "warm"}
    assert heaps == {"numpy_manual": "script", "numpy_kept": "kept"}
    loops = [
        STYLES[name].source.read_text(encoding="utf-8").partition("    for _t in")[2]
        for name in ("numpy_manual", "numpy_kept")
    ]
    assert loops[0] == loops[1]


def test_a_style_travels_to_its_process_as_text():
    for style in STYLES.values():
        assert from_plain(Job, json.loads(json.dumps(to_plain(a_job(style))))) == a_job(style)


def test_a_style_finds_the_declaration_wherever_this_package_lies(tmp_path, monkeypatch):
    """In a wheel it is fiftyx.implementations; a style file says `implementations` all the same."""
    monkeypatch.setitem(sys.modules, "elsewhere", sys.modules["implementations"])
    monkeypatch.setattr("implementations._contract.__package__", "elsewhere")
    monkeypatch.delitem(sys.modules, "implementations")
    style = write_style(tmp_path, HONEST, name="from_elsewhere")
    assert style.train.__name__ == "from_elsewhere"
    assert sys.modules["implementations"].implementation is implementation
