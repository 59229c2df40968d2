"""Errors that are the user's to mend: one line that says what, where and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = ("style", "preset", "device")


class UsageError(ValueError):
    """A request that cannot be met, or input that cannot be read; ends a command with exit code 2."""


def known(what: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raises UsageError for the first of `names` that is not in `there`, with the nearest that is."""
    choices = list(there)
    for name in names:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, 1, 0.5)
            hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(choices)}."
            see = " See: fiftyx list" if what in LISTED else ""
            raise UsageError(f"no {what} '{name}'{hint}{see}")


class TableError(UsageError):
    """A run folder that cannot be read; the message says which file, where, and the cure."""
