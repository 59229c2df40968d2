"""How a number is written for people, and a text so that a terminal only shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
MOST_WORDS = 1000  # characters of a complaint


def harmless(text: str) -> str:
    """`text` with a question mark for what a terminal would obey, or turn around, instead of showing it.

    Control characters but the line feed, overrides of the writing direction, halves of surrogate pairs.
    """
    return CONTROL.sub("?", text)


def complaint(message: str) -> str:
    """`message` on one harmless line of MOST_WORDS characters; a value of a file may be as long as it likes."""
    words = harmless(" ".join(message.split()))
    half = MOST_WORDS // 2  # the cure stands at the end
    return words if len(words) <= MOST_WORDS else f"{words[:half]} ... {words[-half:]}"


def number(value: float) -> str:
    """A ratio with three figures: 0.0421, 1.23, 12.3, 123; beyond what anybody compares only its side."""
    if not math.isfinite(value) or value == 0:
        return str(value)
    if not 1e-3 <= abs(value) < 99_999.5:
        return "<0.001" if abs(value) < 1 else ">99,999"
    digits = max(0, 2 - math.floor(math.log10(abs(float(f"{value:.3g}")))))  # 9.996 is 10.0
    return f"{value:.{digits}f}"


def beside(value: float, threshold: float) -> str:
    """`number`, with more figures where fewer would make it the threshold itself: 49.96, not 50.0, is below 50."""
    text, digits = number(value), 1
    while math.isfinite(value) and digits < 8 and float(text.strip("<>").replace(",", "")) == threshold != value:
        digits += 1
        text = f"{value:.{digits}f}"
    return text


def times(value: float) -> str:
    """A speedup that is no measurement, such as a threshold or a tick, in full: `50x`, `1.5x`, `1,000,000x`."""
    return f"{value:,.10g}x"


def microseconds(value: float) -> str:
    """Microseconds with about three figures and thousands separated."""
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float) -> str:
    """`95%`, `98.3%`."""
    return f"{100 * value:.3g}%"


def share(value: float) -> str:
    """`62%`, and `<1%` rather than 0%."""
    return "<1%" if value < 0.01 else f"{value:.0%}"


def counted(count: int, noun: str) -> str:
    """`1 block`, `10 blocks`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def several(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 5 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def grouped(reasons: Iterable[tuple[str, str]], noun: str = "case") -> list[str]:
    """A line a reason, from (reason, case): `no CUDA device: 8 cases: a, b, c and 5 more`."""
    alike: dict[str, dict[str, None]] = {}
    for reason, case in reasons:
        alike.setdefault(reason, {})[case] = None
    return [f"{reason}: {counted(len(cases), noun)}: {several(list(cases))}" for reason, cases in alike.items()]


def thread_count(threads: int) -> str:
    """`1 thread`, `2 threads`."""
    return counted(threads, "thread")


def engineering(value: float, unit: str) -> str:
    """26.2 MFLOP."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{number(value / factor)} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 1 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
