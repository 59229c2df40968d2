"""The suite's options: an installed fiftyx registers them early (pytest11), a mere checkout through its conftest."""

from __future__ import annotations

import pytest

from bench.cases.presets import PRESETS


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fiftyx", "which cases `pytest --benchmark-only` times")
    group.addoption("--fiftyx-preset", choices=list(PRESETS), help="the cases of this preset (default: every style)")
    for name, metavar, text in (
        ("style", "STYLE", "only this style (repeatable, as all below)"),
        ("device", "DEVICE", "cpu, cuda, cuda:1, mps, xpu"),
        ("size", "N,D_in,H,D_out", "such as 64,1000,100,10"),
        ("dtype", "DTYPE", "float32, float64, bfloat16"),
        ("style-file", "FILE", "measure the styles of this file too"),
    ):
        group.addoption(f"--fiftyx-{name}", metavar=metavar, action="append", default=[], help=text)
    group.addoption("--fiftyx-threads", metavar="1|all|K", default="1", help="threads of this process (default: 1)")
