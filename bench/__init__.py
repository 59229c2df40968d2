"""fiftyx: is it really 50x on a GPU? One training loop, measured under every style and device.

From Python (`import fiftyx`, which in a clone is another name of bench): `prepare` plans, `measure` runs, `judge`
answers, `load` reads what was measured before, `advise` measures a network of one's own. See bench/api.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Measured, Planned, advise, judge, load, measure, prepare


__all__ = ["Measured", "Planned", "advise", "judge", "load", "measure", "prepare"]


if not TYPE_CHECKING:  # or every misspelt name would pass for one of these

    def __getattr__(name: str) -> Any:
        # pandas loads when somebody asks for it: `python -m bench --help` and every worker import this package too
        if name not in __all__:
            raise AttributeError(f"module 'bench' has no attribute {name!r}")
        from bench import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
