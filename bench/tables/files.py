"""Text onto the disk so that a kill at any moment leaves a whole file, or one whose last line is cut."""

from __future__ import annotations

import os
from pathlib import Path


def append_text(path: Path, text: str) -> None:
    """At the end of `path`, on the disk when this returns."""
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_text(path: Path, text: str) -> None:
    """All of `path`, whole or not at all; what is on its way stands in a `.part` file beside it."""
    beside = path.with_name(path.name + ".part")
    with open(beside, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def has_rows(path: Path) -> bool:
    """Whether a table is there and holds more than its header."""
    return path.exists() and path.read_bytes().count(b"\n") > 1


def drop_cut_line(path: Path) -> None:
    """Take away a last line that has no end; a file that had no other is removed."""
    content = path.read_bytes() if path.exists() else b"\n"
    if not content.endswith(b"\n"):
        whole = content[: content.rfind(b"\n") + 1]
        if whole:
            replace_text(path, whole.decode("utf-8"))
        else:
            path.unlink()
