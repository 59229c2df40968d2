"""Keeps this repository's pages true: what their commands print and their tables hold, put between their marks."""

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
from functools import cache
from pathlib import Path

from bench.machine.environment import ROOT
from bench.report.pages.card import CARD, read_card
from bench.report.pages.index import plain
from bench.words import markdown

PAGES = (
    "README.md",
    ".github/README.zh-CN.md",
    "bench/METHOD.md",
    "bench/DEVELOP.md",
    "results/validation-cpu/README.md",
    "results/validation-quiet/README.md",
    "results/cnn-cpu/README.md",
    "results/tuning.md",
)
MARK = re.compile(
    r"(?m)^<!-- (?P<kind>output|csv|packages|headline)(?: (?P<columns>\d+))?(?:: (?P<what>[^\n]+?))? -->\n"
    r"(?P<body>.*?)^<!-- end -->$",
    re.DOTALL,
)
COLUMNS = 80


def render(text: str, output_of: Callable[[str, int], str], root: Path = ROOT) -> str:
    """`text` with what stands between each mark and its `<!-- end -->` made anew.

    `<!-- output: COMMAND -->` is what `fiftyx COMMAND` prints at 80 columns, `output 128` at 128; `csv: PATH` a file as
    a table; `headline: RUN` the answer of a run with a card; `packages` bench's packages with the sentence of each.
    """

    def made(match: re.Match[str]) -> str:
        kind, what = match["kind"], match["what"] or ""
        if kind == "output":
            printed = output_of(what, int(match["columns"] or COLUMNS)).strip("\n").split("\n")
            body = "\n".join(["```text", f"$ fiftyx {what}", *(line.rstrip() for line in printed), "```"])
        elif kind == "csv":
            with open(root / what, encoding="utf-8", newline="") as file:
                head, *rows = csv.reader(file)
            body = markdown(head, rows)
        elif kind == "headline":
            body = f"**{plain(read_card(root / what / CARD).headline)}**"
        else:
            body = packages(root)
        return f"{match[0].partition(chr(10))[0]}\n{body}\n<!-- end -->"

    return MARK.sub(made, text)


def packages(root: Path) -> str:
    """Each package of bench and its sentence, in the order in which they build on each other."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    names = [name.strip() for layer in reversed(contracts[0]["layers"]) for name in layer.split("|")]
    there = {name: path for name in names if (path := root / "bench" / name / "__init__.py").exists()}
    said = {name: ast.get_docstring(ast.parse(path.read_text("utf-8"))) for name, path in there.items()}
    return "\n".join(f"- `{name}/` {words}" for name, words in said.items())


@cache
def output_of(command: str, columns: int = COLUMNS) -> str:
    """What `fiftyx COMMAND` prints on stdout in the repository's root, so many columns wide.

    Raises RuntimeError when the command is used wrongly; any answer, be it a no, is output.
    """
    line, variables = [sys.executable, "-m", "bench", *shlex.split(command)], {**os.environ, "COLUMNS": str(columns)}
    ended = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=variables, check=False)
    if ended.returncode == 2 or ended.stderr:
        raise RuntimeError(f"fiftyx {command}: {ended.stderr.strip()}")
    return ended.stdout


def main() -> None:
    """Rewrite every page in place."""
    for name in PAGES:
        page = ROOT / name
        page.write_text(render(page.read_text("utf-8"), output_of), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
