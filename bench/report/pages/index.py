"""The list of the committed runs, results/README.md: machines by sizes, then each run with its card's picture."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from bench.errors import TableError
from bench.report.pages.card import CARD, PICTURE, AtSize, Card, read_card
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS, MACHINE
from bench.tables.csv_files import read_rows
from bench.tables.run import read_run
from bench.verdict.evidence import Evidence
from bench.words import complaint, engineering, harmless, number

MOST_TITLE = 500  # letters
PRIVATE = ("run-*", "validate-*")  # what .gitignore keeps out of the repository
INDEX, DRAWN = "README.md", "validation.png"
HEAD = """\
# Committed runs

Made by `scripts/index` from the tables of each run; a test fails when it is stale. A folder is a run:
`measurements.csv` (a row a case and block), `iterations.csv` (a row a timed iteration), `speedups.csv`,
`machine.json`, `charts/`, and what `fiftyx share DIR` wrote: `share.png`, `share.json`. A folder with these two
alone is listed too: a machine that somebody shares.
`fiftyx report DIR` makes a page of a run, `fiftyx compare A B` holds two against each other.
"""


def run_folders(results: Path) -> list[Path]:
    """Every committed run or card, by name; a folder with neither is none, and one with ACCEPTANCE a validation."""
    folders = sorted({*_holding(results, MACHINE), *_holding(results, CARD)})
    return [path for path in folders if not (path / ACCEPTANCE).exists()]


def _holding(results: Path, name: str) -> list[Path]:
    folders = sorted(path.parent for path in results.glob(f"*/{name}"))
    return [path for path in folders if not any(fnmatch.fnmatch(path.name, private) for private in PRIVATE)]


def render(results: Path) -> str:
    """The whole index as Markdown. Raises TableError."""
    cards = {folder: card_of(folder) for folder in run_folders(results)}
    runs = [machines_by_sizes(cards), *(_section(folder, card) for folder, card in cards.items())]
    none = ["There are none yet: `fiftyx run --out results/NAME` makes one.\n"]
    validations = [_validation(path) for path in _holding(results, ACCEPTANCE)]
    return "\n".join([HEAD, *(runs if cards else none), *validations, *_others(results)])


def card_of(folder: Path) -> Card:
    """The card of a run from its tables, or where it has none the one that was shared. Raises TableError."""
    if (folder / MACHINE).exists():
        run = read_run(folder)
        if run.measurements.empty:
            raise TableError(f"{folder}: the run holds no measurement; finish it with --resume, or take it away")
        return Card.of(Evidence.of(run))
    return read_card(folder / CARD)


def machines_by_sizes(cards: Mapping[Path, Card]) -> str:
    """A row a run, a column a size: how many times as fast the fastest GPU style, or on a CPU the fastest style, is."""
    sizes = sorted({one.size for card in cards.values() for one in card.sizes}, key=lambda size: size.flops)
    heads = ["machine", "speedup over", *(f"{size.short}<br>{engineering(size.flops, 'FLOP')}" for size in sizes)]
    lines = [_row(heads), _row(["---"] * 2 + ["---:"] * len(sizes))]
    for folder, card in cards.items():
        at = {one.size: one for one in card.sizes}
        what = " and ".join(dict.fromkeys(plain(one.over) for one in card.sizes))
        who = plain("; ".join((card.processor, *card.accelerators)))
        named = f"[{plain(folder.name)}]({quote(folder.name)}/): {who}, {plain(card.date)}"
        lines.append(_row([named, what, *(_cell(at.get(size)) for size in sizes)]))
    return "\n".join(["## Machines by sizes\n", *lines, ""])


def _cell(one: AtSize | None) -> str:
    if one is None or one.speedup is None:
        return ""
    low, high = ("?" if end is None else number(end) for end in (one.low, one.high))
    interval = "" if one.low is None else plain(f"[{low}, {high}]")
    return f"**{number(one.speedup)}x** {interval}<br>{plain(one.contender)}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _validation(folder: Path) -> str:
    rows = read_rows(folder / ACCEPTANCE, ACCEPTANCE_COLUMNS)
    held = sum(row["met"] == "yes" for row in rows)
    missed = [row["experiment"] for row in rows if row["met"] != "yes"]
    words = f"The harness measured by itself: {held} of {len(rows)} promises held."
    words += f" Missed or untested: {'; '.join(missed)}." if missed else ""
    link = quote(folder.name)
    name = plain(folder.name)
    picture = f"\n![Experiments of {name}]({link}/{DRAWN})\n" if (folder / DRAWN).exists() else ""
    return f"## [{name}]({link}/)\n\n{plain(words)}\n{picture}"


def _others(results: Path) -> list[str]:
    """Links to the folders that are no runs and say themselves what they are."""
    others = sorted(path.parent for path in results.glob(f"*/{INDEX}") if not (path.parent / MACHINE).exists())
    links = [f"- [{plain(folder.name)}]({quote(folder.name)}/): {_title(folder / INDEX)}" for folder in others]
    return ["## Attacks, simulations, and figures of others\n", "\n".join(links) + "\n"] if links else []


def _title(path: Path) -> str:
    if not path.is_file():
        return "no title"
    with path.open(encoding="utf-8", errors="replace") as lines:
        return plain(lines.readline(MOST_TITLE).strip().lstrip("# ")) or "no title"


def _section(folder: Path, card: Card) -> str:
    name, link = plain(folder.name), quote(folder.name)
    parts = [f"## [{name}]({link}/)", plain(card.headline), plain("; ".join(card.facts))]
    if (folder / PICTURE).exists():
        parts.append(f"![The answer of {name} in one picture]({link}/{PICTURE})")
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """`text` with every character that Markdown or HTML reads as more than itself escaped, harmless and on one line."""
    return re.sub(r"([\\`*_\[\]<>&#|!~])", r"\\\1", harmless(" ".join(text.split())))


def main(arguments: list[str]) -> int:
    """Write the index of the folder named by the only argument; the exit code."""
    results = Path(arguments[0] if arguments else "results")
    try:
        text = render(results)
    except TableError as error:
        sys.stderr.write(f"{complaint(str(error))}\n")
        return 2
    (results / INDEX).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
