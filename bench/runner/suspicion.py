"""Lines of a style's source by which styles have cheated: worth a look, and no proof (pure)."""

from __future__ import annotations

import re

WORDS = re.compile(
    r"_getframe|currentframe|\bgc\.|\bctypes\b|/proc/self|\bos\.fork|\b(?:from|import) bench\b|\bexec\(|\beval\("
    r"|__code__|__defaults__|__globals__|\bsys\.modules\b"
)


def suspicious(source: str) -> str | None:
    """The first line that reaches for the frames, the memory or the code of others, with its number; or None."""
    for number, line in enumerate(source.splitlines(), 1):
        if WORDS.search(line.partition("#")[0]):
            return f"line {number}: {line.strip()[:80]}"
    return None
