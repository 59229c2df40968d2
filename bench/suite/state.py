"""What one session of pytest is asked to measure, and what it found."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from bench.cases.measurement import Measurement
from bench.cases.request import Request
from bench.machine.facts import describe
from bench.suite.grid import Grid, make_grid
from bench.suite.process import Environment


@dataclass(slots=True)
class Suite:
    """The grid that was asked for, the process it runs in, and its measurements so far."""

    request: Request
    environment: Environment
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    found: dict[str, Measurement] = field(default_factory=dict)  # by the benchmark's full name
    without: list[Measurement] = field(default_factory=list)  # cases that have no benchmark to hang on
    made: Grid | None = None

    @property
    def grid(self) -> Grid:
        """The cases, found once and only when somebody asks: `pytest --help` need not wait for a probe."""
        if self.made is None:
            self.made = make_grid(self.request, self.environment.threads)
        return self.made

    def keep(self, benchmark: Any, name: str, measurement: Measurement | None) -> None:
        """Remember what a benchmark found, for the JSON file."""
        benchmark.extra_info["case"] = name
        if measurement is not None:
            self.found[benchmark.fullname] = replace(measurement, order=len(self.found))

    def unfit(self, name: str, status: str, reason: str) -> None:
        """Remember why a case has no time, once."""
        case = self.grid.entries[name].case
        if all(one.case.key != case.key for one in self.without):
            self.without.append(Measurement(case, 0, -1, status, reason))

    @property
    def machine(self) -> dict[str, Any]:
        """As in machine.json."""
        own = {"environment": self.environment.name, "distorting_variables": dict(self.environment.found)}
        return {**describe(self.grid.probe), **own}
