"""How wide a page is drawn: for a README, or for a phone, whose screen would make the same letters too small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

README_IN = 8.0
"""A README shows a chart about 800 pixels wide: 100 a design inch, so 10 points are 14 pixels."""
PHONE_IN = 4.4  # of 390 pixels: 10 points are 12 pixels
NARROW_IN = 6.0  # panels stand one below the other on less

_WIDTH: ContextVar[float] = ContextVar("width_in", default=README_IN)


def width_in() -> float:
    """Of the page that is being drawn."""
    return _WIDTH.get()


def is_narrow() -> bool:
    """Whether there is no room for two panels in a row."""
    return width_in() < NARROW_IN


@contextmanager
def drawn_at(inches: float) -> Iterator[None]:
    """Pages within are so wide."""
    before = _WIDTH.set(inches)
    try:
        yield
    finally:
        _WIDTH.reset(before)
