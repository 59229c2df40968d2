"""Keeps the README true: what its commands print and its tables hold, put between its marks."""

from __future__ import annotations

import ast
import csv
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from bench.machine.environment import ROOT

BLOCK = re.compile(r"(?m)^<!-- output: (?P<command>[^\n]+?) -->\n(?P<body>.*?)^<!-- end -->$", re.DOTALL)
TABLE = re.compile(r"(?m)^<!-- csv: (?P<path>\S+) -->\n(?P<body>.*?)^<!-- end -->$", re.DOTALL)
PACKAGES = re.compile(r"(?m)^<!-- packages -->\n(?P<body>.*?)^<!-- end -->$", re.DOTALL)
COLUMNS = "128"


def render(text: str, output_of: Callable[[str], str], root: Path = ROOT) -> str:
    """`text` with what stands between `<!-- output: COMMAND -->` or `<!-- csv: PATH -->` and its end made anew.

    What stands after `<!-- packages -->` is the list of bench's packages with the sentence of each.
    """

    def block(match: re.Match[str]) -> str:
        command = match["command"]
        lines = "\n".join(line.rstrip() for line in output_of(command).strip("\n").split("\n"))
        return f"<!-- output: {command} -->\n```text\n$ fiftyx {command}\n{lines}\n```\n<!-- end -->"

    def table(match: re.Match[str]) -> str:
        return f"<!-- csv: {match['path']} -->\n{markdown(root / match['path'])}\n<!-- end -->"

    def listed(_match: re.Match[str]) -> str:
        return f"<!-- packages -->\n{packages(root)}\n<!-- end -->"

    return PACKAGES.sub(listed, TABLE.sub(table, BLOCK.sub(block, text)))


def packages(root: Path) -> str:
    """Each package of bench and its sentence, in the order in which they build on each other."""
    layers = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    names = [name.strip() for layer in reversed(layers) for name in layer.split("|")]
    there = {name: root / "bench" / name / "__init__.py" for name in names}
    return "\n".join(
        f"- `{name}/` {ast.get_docstring(ast.parse(path.read_text('utf-8')))}"
        for name, path in there.items()
        if path.exists()
    )


def markdown(path: Path) -> str:
    """A CSV file as a Markdown table."""
    with open(path, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def output_of(command: str) -> str:
    """What `fiftyx COMMAND` prints on stdout in the repository's root, at a README's width.

    Raises RuntimeError when the command is used wrongly; any answer, be it a no, is output.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "bench", *shlex.split(command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": COLUMNS},
        check=False,
    )
    if ended.returncode == 2 or ended.stderr:
        raise RuntimeError(f"fiftyx {command}: {ended.stderr.strip()}")
    return ended.stdout


def main() -> None:
    """Rewrite README.md in place."""
    readme = ROOT / "README.md"
    readme.write_text(render(readme.read_text("utf-8"), output_of), "utf-8")


if __name__ == "__main__":
    main()
