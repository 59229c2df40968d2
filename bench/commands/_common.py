"""What every command needs: exit codes and a console; and `fiftyx` alone, its help or its version."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from typer import Argument, Option

from bench.errors import UsageError
from bench.status import Say, status_line

if TYPE_CHECKING:
    from rich.console import Console

    from bench.tables.run import Run
    from bench.verdict.evidence import Evidence

DONE, NO, USAGE, OPEN, FAULT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 130, 141
"""Exit codes: done; the answer is no; bad usage or input; undecided or untested; our fault; Ctrl-C; nobody reads."""

AFTERWARDS: list[str] = []  # lines for stderr once the command has done what it was asked for: not beside a complaint
FOLDERS = "run folders, or --benchmark-json files"
Names: TypeAlias = list[str] | None  # of an option that may be given again and again
AsJson: TypeAlias = Annotated[bool, Option("--json", help="as JSON")]
Folders: TypeAlias = Annotated[list[Path], Argument(metavar="DIR...", help=FOLDERS)]
RunFolders: TypeAlias = Annotated[list[Path], Argument(metavar="DIR...", help="run folders")]
PIPE_WIDTH = 200  # a pipe or a file has no edge to wrap at


def console(*, stderr: bool = False) -> Console:
    """Where results go, or with `stderr` progress and warnings."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    odd = [name for name in ("COLUMNS", "LINES") if not re.fullmatch("[1-9][0-9]{0,3}", os.environ.get(name, ""))]
    known = {name: value for name, value in os.environ.items() if name not in odd}
    width = None if stream.isatty() else int(known.get("COLUMNS", PIPE_WIDTH))
    return Console(file=stream, width=width, highlight=False, markup=False, _environ=known)


def status(*, log: bool = False, late: bool = False) -> AbstractContextManager[Say]:
    """The line on stderr that says what is being done, for who watches a terminal; with `log` a file has it too.

    A log wants to know of what takes minutes, and of what takes seconds only where it does (`late`). What is over at
    once leaves stderr to warnings and complaints there.
    """
    watched, width = sys.stderr.isatty(), shutil.get_terminal_size().columns
    if not (watched or log or late):
        return nullcontext(lambda _text: None)
    return status_line(sys.stderr, rewritten=watched, width=width, patient=not log)


def evidence_of(folder: Path) -> Evidence:
    """What a run's tables testify to, read while a line says so. Raises TableError."""
    with status() as say:
        say(f"reading {folder}")
        from bench.tables.run import read_run
        from bench.verdict.evidence import Evidence

        evidence = Evidence.of(read_run(folder))
    tell_unfinished(evidence.run)
    return evidence


def alone(others: Mapping[str, object], why: str) -> None:
    """Raises UsageError for the first of other options, by name, that was given."""
    if given := [name for name, value in others.items() if value is not None]:
        raise UsageError(f"{why}: leave out {given[0]}")


def tell_unfinished(run: Run) -> None:
    """Of a run that was cut off or still goes on."""
    if unfinished := run.unfinished:
        command = go_on(run.folder, (run.machine.get("plan") or {}).get("style_files") or ())
        AFTERWARDS.append(f"fiftyx: {run.folder}: {unfinished}; go on with: {command}")


def go_on(folder: Path, style_files: Iterable[str | Path]) -> str:
    """The command that finishes a run."""
    files = [word for file in style_files for word in ("--style-file", shlex.quote(str(file)))]
    return " ".join([own_name(), "run --resume --out", shlex.quote(str(folder)), *files])


def own_name() -> str:
    """How a person who has not activated an environment reaches this program: its name, or its path."""
    if shutil.which("fiftyx"):
        return "fiftyx"
    script = Path(sys.executable).with_name("fiftyx")
    if not script.exists():
        return "python -m bench"
    inside = script.is_relative_to(Path.cwd())
    return shlex.quote(str(script.relative_to(Path.cwd()) if inside else script))


def _version_here() -> str:
    """Of the installed package; of a checkout that is used as it lies, what its pyproject.toml says."""
    try:
        return metadata.version("fiftyx")
    except metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return f"{tomllib.loads(project.read_text('utf-8'))['project']['version']} (not installed)"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fiftyx {_version_here()}")
        raise typer.Exit


def top(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Is it really 50x on a GPU? One training loop, measured under every style and device."""
    if context.invoked_subcommand is None:
        print(context.get_help())
