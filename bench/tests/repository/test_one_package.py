"""The wheel holds one top-level name: what becomes of the repository's own names in it."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from types import ModuleType

import pytest

from bench.machine.environment import ROOT

MODULES = [
    path.relative_to(ROOT).as_posix()
    for top in ("bench", "implementations")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "tests" not in path.parts
]


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    pytest.importorskip("setuptools")
    spec = importlib.util.spec_from_file_location("one_package", ROOT / "scripts" / "one_package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def texts(tree: ast.AST) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_in_the_wheel_nothing_imports_or_starts_a_module_by_its_old_name(backend):
    for file in MODULES:
        tree = ast.parse(backend.renamed((ROOT / file).read_text("utf-8")))
        roots = {name.partition(".")[0] for name in imported(tree)}
        assert not roots & {"bench", "implementations"}, file
        for text in texts(tree):
            assert not text.startswith(("bench.", "implementations.")), f"{file}: {text}"
            assert "from bench" not in text, file
            assert text != "bench" or file == "bench/report/pages/readme.py", file


def test_the_modules_that_processes_are_started_by_are_there_under_their_new_names(backend):
    there = {backend.placed(file).removesuffix(".py").replace("/", ".") for file in MODULES}
    there |= {name.removesuffix(".__init__") for name in there}
    started = {
        text
        for file in MODULES
        for text in texts(ast.parse(backend.renamed((ROOT / file).read_text("utf-8"))))
        if text.startswith("fiftyx.") and all(map(str.isidentifier, text.split(".")))
    }
    assert {"fiftyx.worker", "fiftyx.worker.ceilings", "fiftyx.machine.probe", "fiftyx.doctor.libraries"} <= started
    assert started <= there


def test_every_module_is_below_fiftyx_and_none_takes_anothers_place(backend):
    places = [backend.placed(file) for file in MODULES]
    assert all(place.startswith("fiftyx/") for place in places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from bench.cases import x", "from fiftyx.cases import x"),
        ("from bench import api", "from fiftyx import api"),
        ("import bench", "import fiftyx"),
        ("from implementations import implementation", "from fiftyx.implementations import implementation"),
        ("fiftyx = bench.cli:entry", "fiftyx = fiftyx.cli:entry"),
        ('[python, "-m", "bench", "run"]', '[python, "-m", "fiftyx", "run"]'),
        ("python -m bench run", "python -m fiftyx run"),
        ("workbench.x", "workbench.x"),
        ("styles of implementations/ on a bench. Then", "styles of implementations/ on a bench. Then"),
        ("self.bench.worker", "self.bench.worker"),
        ("import benchmark", "import benchmark"),
    ],
)
def test_a_name_is_changed_where_it_is_a_modules(backend, before, after):
    assert backend.renamed(before) == after


def test_a_wheel_that_is_written_lists_what_it_holds(backend, tmp_path):
    wheel = tmp_path / "x.whl"
    files = {"fiftyx/a.py": b"1\n", "x.dist-info/WHEEL": b"w"}
    backend._write(wheel, files)
    with zipfile.ZipFile(wheel) as packed:
        listed = packed.read("x.dist-info/RECORD").decode().splitlines()
        assert {name: packed.read(name) for name in packed.namelist() if "RECORD" not in name} == files
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"1\n").digest()).decode().rstrip("=")
    assert listed == [f"fiftyx/a.py,sha256={digest},2", listed[1], "x.dist-info/RECORD,,"]
    assert backend._read(wheel) == files


def test_the_published_figures_are_where_the_wheel_takes_them_from(backend):
    assert all((ROOT / file).exists() for file in backend.ALSO_IN_SDIST)


def test_a_library_that_an_extra_brings_is_the_one_that_a_missing_style_names():
    import tomllib

    from implementations._contract import EXTRAS

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for name, brought in EXTRAS.items():
        assert [one.partition(">")[0] for one in extras[name]] == [brought]
