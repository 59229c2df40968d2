"""`fiftyx` and `python -m bench`: the commands, and what becomes of errors."""

from __future__ import annotations

import errno
import signal
import sys
from typing import Any

import typer

from bench.commands.chart import chart
from bench.commands.common import DONE, INTERRUPTED, USAGE
from bench.commands.compare import compare
from bench.commands.doctor import doctor
from bench.commands.list import list_all
from bench.commands.report import report
from bench.commands.run import run
from bench.commands.table import table
from bench.commands.validate import validate
from bench.commands.verdict import verdict
from bench.errors import UsageError
from bench.words import harmless
from implementations import StyleError

MOST_WORDS = 1000  # characters of a complaint

app = typer.Typer(
    name="fiftyx",
    help="Is it really 50x on a GPU? One training loop, measured under every style and device.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("list")(list_all)
app.command("run")(run)
app.command("table")(table)
app.command("chart")(chart)
app.command("doctor")(doctor)
app.command("compare")(compare)
app.command("report")(report)
app.command("verdict")(verdict)
app.command("validate")(validate)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code. Whatever was asked wrongly is one line on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(args=arguments, prog_name="fiftyx", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (UsageError, StyleError) as error:
        return _refuse(str(error))
    except OSError as error:  # a full disk, a folder that was taken away: what was written before is whole
        where = f"{error.filename}: " if error.filename else ""
        cure = "make room and" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that and, if it was a run,"
        return _refuse(f"cannot go on: {where}{error.strerror or error}; {cure} continue with --resume")
    except Exception as error:
        if hasattr(error, "format_message"):  # a complaint of the command line itself
            return _refuse(error.format_message())
        raise
    return int(code or DONE)


def entry() -> None:
    """`fiftyx` on the command line."""
    sys.exit(main())


def _refuse(message: str) -> int:
    words = harmless(" ".join(message.split()))
    if len(words) > MOST_WORDS:  # a value of a file may be as long as it likes; the cure stands at the end
        words = f"{words[: MOST_WORDS // 2]} ... {words[-MOST_WORDS // 2 :]}"
    print(f"fiftyx: {words}", file=sys.stderr)
    return USAGE


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
