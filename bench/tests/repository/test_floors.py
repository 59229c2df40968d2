"""What the import contracts cannot say: one place that synchronises, rules for styles, lengths, and a light start."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


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


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield str(node.module)


def libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def test_no_package_takes_the_name_of_a_public_function():
    """A package is bound on its parent when it is imported: `bench.measure(plan)` would become a module."""
    packages = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert not packages & {"prepare", "measure", "judge", "load"}


def test_every_package_says_what_it_is_in_one_sentence_and_imports_nothing():
    paths = [path for name, path in BENCH.items() if path.name == "__init__.py" and name != "bench"]
    assert len(paths) > 12
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert len(tree.body) == 1, path
        assert (ast.get_docstring(tree) or "").endswith((".", "?")), path


def test_a_package_holds_at_most_twelve_files_private_ones_and_tests_with_them():
    sizes = {path.parent: len(list(path.parent.glob("*.py"))) for path in (ROOT / "bench").rglob("__init__.py")}
    assert {name: size for name, size in sizes.items() if size > 12} == {}


def test_a_style_imports_its_own_library_numpy_and_the_declaration_alone():
    for name, path in STYLES.items():
        if name.startswith("_") or name == "implementations":
            continue
        others = libraries(path) - set(sys.stdlib_module_names) - {"numpy", "implementations"}
        assert len(others) <= 2, f"{name} imports {others}"
        assert not others & {"pandas", "matplotlib", "typer", "rich"}


def test_only_the_frameworks_synchronise():
    """`program` ends as the tutorial's reader would end it: it waits through the Device that it was given."""
    calling = set()
    for name, path in {**BENCH, **STYLES}.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                if called in ("synchronize", "block_until_ready"):
                    calling.add(name)
    assert calling <= {"machine.frameworks"}


def test_no_style_reads_its_loss_on_the_host():
    for name, path in STYLES.items():
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not calls & {"item", "tolist", "numpy"}, name


def test_files_and_functions_are_short_enough_to_read():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in BENCH.items()}
    assert {name: length for name, length in lengths.items() if length > 250} == {}
    functions = {
        f"{name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, path in BENCH.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in functions.items() if length > 45} == {}


HEAVY = ("torch", "pandas", "matplotlib", "scipy", "jinja2")
ASK = """
import json, sys
import bench.machine.facts
from bench.tests.fakes import PROBE
bench.machine.facts.probe_devices = lambda: dict(PROBE)
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
