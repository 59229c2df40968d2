"""The build backend: setuptools, whose wheel then holds the one top-level name `fiftyx`.

In the repository the packages are called `bench` and `implementations`, names that other projects have too. In a wheel
they are `fiftyx` and `fiftyx.implementations`, in the files' places and in every import, with the published figures
below them. An editable install keeps the repository's names and adds `fiftyx` as another name of `bench`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable", "build_sdist", "build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist",
    "get_requires_for_build_wheel", "prepare_metadata_for_build_editable",
]  # fmt: skip

NEW_NAMES = {"bench": "fiftyx", "implementations": "fiftyx.implementations"}
OLD = "|".join(NEW_NAMES)
# bench.worker, implementations.{style}; from bench import, import bench; python -m bench; module 'bench'
NAMED = re.compile(
    rf"(?<![\w./])(?:{OLD})(?=\.[A-Za-z_{{])"
    rf"|(?<=\bfrom )(?:{OLD})(?= import\b)|(?<=\bimport )(?:{OLD})\b"
    r"|(?<=-m )bench\b|(?<=\"-m\", \")bench(?=\")|(?<=module ')bench(?=')"
)
PUBLISHED = ("cnn_benchmarks_2017.csv", "deepbench_gemm_train.csv", "pyhpc_benchmarks.csv", "README.md")
DATA = tuple(f"results/published/{name}" for name in PUBLISHED)
ALSO_IN_SDIST = (*DATA, "scripts/one_package.py", "scripts/constraints.txt")
ALIAS = """\
\"\"\"Another name of `bench`, the one that an installed copy has.\"\"\"

import sys

import bench

if __name__ == "__main__":
    from bench.cli import entry

    entry()
sys.modules[__name__] = bench
"""
Files = dict[str, bytes]
Settings = Mapping[str, Any] | None


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """The wheel, with one top-level package; the name of its file."""
    shutil.rmtree("build/lib", ignore_errors=True)  # setuptools would pack what an earlier build left there
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    path = Path(wheel_directory, name)
    files = {placed(file): content_of(file, content) for file, content in _read(path).items()}
    _write(path, files | {f"fiftyx/{file}": Path(file).read_bytes() for file in DATA})
    return name


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """An editable wheel, with `fiftyx` next to the repository's own names; the name of its file."""
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    path = Path(wheel_directory, name)
    _write(path, _read(path) | {"fiftyx.py": ALIAS.encode()})
    return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """The source distribution, with what building a wheel from it needs; the name of its file."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    path, inside = Path(sdist_directory, name), name.removesuffix(".tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as packed:
            packed.extractall(folder, filter="data")
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as packed:
            packed.add(Path(folder, inside), inside)
            for file in ALSO_IN_SDIST:
                packed.add(file, f"{inside}/{file}")
    return name


def placed(file: str) -> str:
    """Where a file of the repository's packages lies in the wheel."""
    top, slash, below = file.partition("/")
    return f"{NEW_NAMES[top].replace('.', '/')}/{below}" if slash and top in NEW_NAMES else file


def content_of(file: str, content: bytes) -> bytes:
    """What the file holds in the wheel: code and entry points by the new names."""
    if file.endswith("top_level.txt"):
        return b"fiftyx\n"
    if file.endswith((".py", "entry_points.txt")):
        return renamed(content.decode("utf-8")).encode("utf-8")
    return content


def renamed(text: str) -> str:
    """`text` with every mention of our modules by their new names."""
    return NAMED.sub(lambda match: NEW_NAMES[match[0]], text)


def _read(wheel: Path) -> Files:
    """Every file of a wheel but the list of them."""
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if not name.endswith(("/", ".dist-info/RECORD"))]
        return {name: packed.read(name) for name in names}


def _write(wheel: Path, files: Files) -> None:
    """A wheel of these files and the list of them; the same files give the same bytes."""
    record = next(name for name in files if name.endswith(".dist-info/WHEEL")).replace("WHEEL", "RECORD")
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(files.items())]
    listed = "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in [*sorted(files.items()), (record, listed)]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
