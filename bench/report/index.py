"""The list of the committed runs, results/README.md: each with its machine, its verdict and its main chart."""

from __future__ import annotations

import fnmatch
import re
import sys
from pathlib import Path
from urllib.parse import quote

from bench.errors import TableError
from bench.report.page import chart_files
from bench.report.verdict import answer
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS, MACHINE
from bench.tables.csv_files import read_rows
from bench.tables.machine_words import brief_facts
from bench.tables.run import read_run
from bench.verdict.evidence import Evidence

PRIVATE = ("run-*", "validate-*")  # what .gitignore keeps out of the repository
INDEX = "README.md"
HEAD = """\
# Committed runs

Made by `scripts/index` from the tables of each run; a test fails when it is stale. A folder is a run:
`measurements.csv` (a row a case and block), `iterations.csv` (a row a timed iteration), `speedups.csv`,
`machine.json`, `charts/`.
`fiftyx report DIR` makes a page of one, `fiftyx compare A B` holds two against each other.
"""


def run_folders(results: Path) -> list[Path]:
    """Every committed run, by name; a folder without a machine.json is no run, one with ACCEPTANCE a validation."""
    return [path for path in _holding(results, MACHINE) if not (path / ACCEPTANCE).exists()]


def _holding(results: Path, name: str) -> list[Path]:
    folders = sorted(path.parent for path in results.glob(f"*/{name}"))
    return [path for path in folders if not any(fnmatch.fnmatch(path.name, private) for private in PRIVATE)]


def render(results: Path) -> str:
    """The whole index as Markdown. Raises TableError."""
    sections = [_section(folder) for folder in run_folders(results)]
    runs = sections or ["There are none yet: `fiftyx run --out results/NAME` makes one.\n"]
    validations = [_validation(path) for path in _holding(results, ACCEPTANCE)]
    return "\n".join([HEAD, *runs, *validations, *_others(results)])


def _validation(folder: Path) -> str:
    rows = read_rows(folder / ACCEPTANCE, ACCEPTANCE_COLUMNS)
    held = sum(row["met"] == "yes" for row in rows)
    missed = [row["experiment"] for row in rows if row["met"] != "yes"]
    words = f"The harness measured by itself: {held} of {len(rows)} promises held."
    words += f" Missed or untested: {'; '.join(missed)}." if missed else ""
    link = quote(folder.name)
    name = plain(folder.name)
    return f"## [{name}]({link}/)\n\n{plain(words)}\n\n![Experiments of {name}]({link}/validation.png)\n"


def _others(results: Path) -> list[str]:
    """Links to the folders that are no runs and say themselves what they are."""
    others = sorted(path.parent for path in results.glob(f"*/{INDEX}") if not (path.parent / MACHINE).exists())
    links = [f"- [{plain(folder.name)}]({quote(folder.name)}/): {_title(folder / INDEX)}" for folder in others]
    return ["## Simulations, and figures of others\n", "\n".join(links) + "\n"] if links else []


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return plain(lines[0].lstrip("# ")) if lines else "no title"


def _section(folder: Path) -> str:
    evidence = Evidence.of(read_run(folder))
    link = quote(folder.name)
    parts = [
        f"## [{plain(folder.name)}]({link}/)",
        plain(answer(evidence)[1]),
        plain("; ".join(brief_facts(evidence.run.machine))),
    ]
    drawn = chart_files(folder, ".png") or chart_files(folder)
    if drawn:
        parts.append(f"![The main chart of {plain(folder.name)}]({link}/charts/{quote(drawn[0].name)})")
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """`text` with every character that Markdown or HTML reads as more than itself escaped, on one line."""
    return re.sub(r"([\\`*_\[\]<>&#|!~])", r"\\\1", " ".join(text.split()))


def main(arguments: list[str]) -> int:
    """Write the index of the folder named by the only argument; the exit code."""
    results = Path(arguments[0] if arguments else "results")
    try:
        text = render(results)
    except TableError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    (results / INDEX).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
