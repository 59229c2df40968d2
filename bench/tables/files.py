"""Text onto the disk so that a kill at any moment leaves a whole file, or one whose last line is cut."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

TAIL = 1 << 20


def read_file(path: Path) -> bytes:
    """All of a file. Raises OSError, see open_file."""
    with open_file(path) as file:
        return file.read()


def open_file(path: Path, *, changing: bool = False) -> BinaryIO:
    """To read bytes, or to change them. Raises OSError, also for what is no file: a folder, a pipe, a device."""
    flags = os.O_RDWR if changing else os.O_RDONLY  # without waiting for somebody at a pipe's other end
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(handle, "r+b" if changing else "rb")


def append_text(path: Path, text: str) -> None:
    """At the end of `path`, on the disk when this returns."""
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_text(path: Path, text: str) -> None:
    """All of `path`, whole or not at all; what is on its way stands in a `.part` file next to it."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # of a killed run, or no file at all
    with open(part, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def has_rows(path: Path) -> bool:
    """Whether a table is there and holds more than its header."""
    if not path.exists():
        return False
    with open_file(path) as file:
        return bool(file.readline() and file.readline())


def drop_cut_line(path: Path) -> None:
    """Take away a last line that has no end; a file that had no other is removed."""
    if not path.exists():
        return
    with open_file(path, changing=True) as file:
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole:  # backwards, since the last line end is near
            start = max(0, whole - TAIL)
            file.seek(start)
            last = file.read(whole - start).rfind(b"\n")
            whole = start + last + 1 if last >= 0 else start
            if last >= 0:
                break
        if 0 < whole < end:
            file.truncate(whole)
            os.fsync(file.fileno())
    if not whole and end:
        path.unlink()
