"""How a number stands at a tick or in a title of a chart."""

from __future__ import annotations

from bench.words import times

STEPS = {  # of a tick's unit, large to small
    "us": {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "FLOP": {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0},
}


def quantity(value: float, unit: str) -> str:
    """A tick's text: `50x`, `0.2x`, `20 us`, `3 ms`, `300M` of FLOP, `1,000`."""
    if unit == "x":
        return times(value)
    if unit in STEPS:
        steps = STEPS[unit]
        name = next((name for name, step in steps.items() if value >= step * 0.9999), list(steps)[-1])
        # half a page is too narrow for the FLOP at every tick: the axis names it
        return f"{value / steps[name]:,.4g}{'' if unit == 'FLOP' else ' '}{name}"
    return f"{value:,.10g}" if 1e-4 < value < 1e6 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
