"""The layers: a file imports only files above it in the list, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def words(text: str) -> list[str]:
    return text.split()


# Every module of bench; each imports only what stands before it. A new file is written down here.
ORDER = words("""
errors student problem device environment case columns measurement noise rows plan
layout reference oracle rule clock counters inline_svg energy estimate machine probe doctor_probe
floor ceiling gate steady worker program files runner request core_speed speedup pytest_json table resume session
welch difference comparison evidence claim crossover breakeven decomposition peaks judgement published doctor
doctor_gpu doctor_readings
validation validation_plant validation_probe validation_table validation_tools validation_cost validation_slow
validation_kill validation_accept validation_lies validation_liars validation_session
chart_style chart_legend compare_chart validation_chart
report chart_data chart_process chart_work chart_cost chart_total charts drawing preview progress
comparison_report published_text verdict_parts verdict_text headline page_tables page index readme
suite suite.grid suite.agreement suite.options suite.process suite.state suite.conftest suite.timing
suite.test_loop
api
commands commands.common commands.chart commands.compare commands.doctor commands.list commands.report
commands.run commands.table commands.validate commands.verdict
cli bench __main__
""")

PANDAS = set(
    words("""
rows core_speed speedup pytest_json table session comparison evidence breakeven decomposition judgement published
validation validation_table validation_kill report chart_data chart_process chart_work chart_cost chart_total headline
page_tables api
""")
)
MATPLOTLIB = set(
    words("""
chart_style chart_legend compare_chart chart_process chart_work chart_cost chart_total charts
""")
)


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its name below it, tests left out; the package itself is its own name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        below = path.relative_to(ROOT / package).with_suffix("").parts
        if "tests" in below:
            continue
        name = ".".join(below).removesuffix("__init__").removesuffix(".")
        found[name or package] = path
    return found


BENCH, STYLES = modules("bench"), modules("implementations")


def imported(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Every module that a file imports anywhere, `from package import module` as package.module too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set() if for_types else {id(inner) for node in type_checking(tree) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def type_checking(tree: ast.Module) -> Iterator[ast.stmt]:
    """What is imported for annotations alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from node.body


def libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path, for_types=False)}


def neighbours(path: Path) -> set[str]:
    """The modules of bench that a file imports."""
    names = {name.removeprefix("bench.") for name in imported(path) if name.startswith("bench.")}
    return names & set(BENCH)


def test_the_order_names_every_module_once():
    assert len(ORDER) == len(set(ORDER))
    assert set(ORDER) == set(BENCH), "write new files down in ORDER, above whatever imports them"


@pytest.mark.parametrize("name", BENCH)
def test_a_file_imports_only_files_above_it(name):
    above = set(ORDER[: ORDER.index(name)])
    assert neighbours(BENCH[name]) - {name} <= above


def test_implementations_never_import_bench():
    assert {name for name, path in STYLES.items() if "bench" in libraries(path)} == set()


def test_a_style_imports_its_own_library_numpy_and_the_declaration_alone():
    for name, path in STYLES.items():
        if name.startswith("_") or name == "implementations":
            continue
        others = libraries(path) - set(sys.stdlib_module_names) - {"numpy", "implementations"}
        assert len(others) <= 2, f"{name} imports {others}"
        assert not others & {"pandas", "matplotlib", "typer", "rich"}


def test_pandas_and_matplotlib_stay_where_they_belong():
    using = {name: libraries(path) for name, path in BENCH.items()}
    assert {name for name, found in using.items() if "pandas" in found} <= PANDAS
    assert {name for name, found in using.items() if "matplotlib" in found} <= MATPLOTLIB


def test_only_the_device_synchronises():
    """`program` ends as the tutorial's reader would end it: it waits through the Device that it was given."""
    calling = set()
    for name, path in {**BENCH, **STYLES}.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                if called in ("synchronize", "block_until_ready"):
                    calling.add(name)
    assert calling <= {"device"}


def test_no_style_reads_its_loss_on_the_host():
    for name, path in STYLES.items():
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not calls & {"item", "tolist", "numpy"}, name


def test_files_are_short_enough_to_read():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in BENCH.items()}
    assert {name: length for name, length in lengths.items() if length > 250} == {}


HEAVY = ("torch", "pandas", "matplotlib", "scipy", "jinja2")
ASK = """
import json, sys
import bench.machine
from bench.tests.fakes import PROBE
bench.machine.probe_devices = lambda: dict(PROBE)
import io, contextlib
from bench.cli import main
found = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main(arguments)
    found.append([code, len(out.getvalue()), sorted(sys.modules)])
print(json.dumps(found))
"""


def test_help_and_list_import_nothing_heavy():
    asked = [["--help"], ["run", "--help"], ["list", "--json"], ["list"]]
    ended = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(asked)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for arguments, (code, length, loaded) in zip(asked, json.loads(ended.stdout), strict=True):
        assert code == 0
        assert length > 100
        assert not set(HEAVY) & set(loaded), arguments


def test_python_m_bench_help_imports_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-m", "bench", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:")}
    assert "bench.cli" in loaded
    assert not {*HEAVY, "numpy", "rich"} & loaded
    assert "Usage: fiftyx" in ended.stdout
