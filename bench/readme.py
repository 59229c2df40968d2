"""Keeps the README true: the output of each command that it names, put between its marks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

BLOCK = re.compile(r"(?m)^<!-- output: (?P<command>[^\n]+?) -->\n(?P<body>.*?)^<!-- end -->$", re.DOTALL)
COLUMNS = "118"
ROOT = Path(__file__).resolve().parent.parent


def render(text: str, output_of: Callable[[str], str]) -> str:
    """`text` with what stands between each `<!-- output: COMMAND -->` and `<!-- end -->` made anew."""

    def block(match: re.Match[str]) -> str:
        command = match["command"]
        lines = "\n".join(line.rstrip() for line in output_of(command).strip("\n").split("\n"))
        return f"<!-- output: {command} -->\n```text\n$ fiftyx {command}\n{lines}\n```\n<!-- end -->"

    return BLOCK.sub(block, text)


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
