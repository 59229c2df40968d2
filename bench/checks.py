"""One line of what must be reached and what was, see `fiftyx validate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the acceptance table; `met` is None where nothing could be tested, and the note says why."""

    experiment: str
    must_reach: str
    got: str
    met: bool | None
    n: int
    note: str = ""

    def row(self) -> dict[str, Any]:
        """One row of acceptance.csv."""
        return {**asdict(self), "met": "untested" if self.met is None else "yes" if self.met else "no"}
