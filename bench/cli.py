"""`fiftyx` and `python -m bench`: the commands, and what becomes of errors. Loads them when it is called."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

TRACEBACK = "FIFTYX_TRACEBACK"  # a variable of the shell: show where an error of ours came from
FULL = (errno.ENOSPC, errno.EDQUOT)


def entry() -> None:
    """`fiftyx` on the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # loading takes a moment, in which nothing is lost
    mend_streams()
    code = main()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code. Whatever was asked wrongly is one line on stderr and exit code 2."""
    from bench.commands._common import AFTERWARDS, BROKEN_PIPE, DONE, INTERRUPTED, USAGE
    from bench.errors import UsageError
    from implementations import StyleError

    signal.signal(signal.SIGTERM, _interrupt)
    AFTERWARDS.clear()
    try:
        app = commands()
        if signal.getsignal(signal.SIGINT) is _leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = app(args=arguments, prog_name="fiftyx", standalone_mode=False)
        sys.stdout.flush()
        if code != USAGE:
            sys.stderr.write("".join(f"{line}\n" for line in dict.fromkeys(AFTERWARDS)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (UsageError, StyleError) as error:
        return _refuse(str(error))
    except (BrokenPipeError, SystemExit):  # typer and rich make the one of the other
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to be flushed
        return BROKEN_PIPE
    except OSError as error:  # a full disk, a folder that was taken away: what was written before is whole
        where = f"{error.filename}: " if error.filename else ""
        cure = "make room and continue" if error.errno in FULL else "a run continues"
        return _refuse(f"cannot go on: {where}{error.strerror or error}; {cure} with --resume")
    except Exception as error:
        if hasattr(error, "format_message"):  # a complaint of the command line itself
            return _refuse(error.format_message())
        return _own_fault(error)
    return int(code or DONE)


def commands() -> typer.Typer:
    """Every command under its name."""
    import typer

    from bench.commands._common import top
    from bench.commands.advise import advise
    from bench.commands.chart import chart, share
    from bench.commands.compare import compare
    from bench.commands.doctor import doctor, floors
    from bench.commands.explain import explain
    from bench.commands.list import list_all
    from bench.commands.report import report, table
    from bench.commands.run import run
    from bench.commands.validate import validate
    from bench.commands.verdict import verdict

    app = typer.Typer(
        name="fiftyx",
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(top)
    app.command("list")(list_all)
    for command in (run, table, chart, doctor, floors, compare, report, share, verdict, explain, advise, validate):
        app.command(command.__name__)(command)
    return app


def mend_streams() -> None:
    """Standard streams that take everything: a closed one is nowhere, what an encoding lacks is a question mark."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the next file that is opened must not take its place
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def _refuse(message: str) -> int:
    from bench.commands._common import USAGE
    from bench.words import complaint

    print(f"fiftyx: {complaint(message)}", file=sys.stderr)
    return USAGE


def _own_fault(error: Exception) -> int:
    import traceback
    from pathlib import Path

    from bench.commands._common import FAULT

    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    print(
        f"fiftyx: this is a fault of fiftyx: {what} ({Path(frame.filename).name}:{frame.lineno}); "
        f"please report it where you got fiftyx from, with what the same command prints under {TRACEBACK}=1",
        file=sys.stderr,
    )
    return FAULT


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _leave(_number: int, _frame: Any) -> None:
    os._exit(130)  # INTERRUPTED, before anything is loaded
