"""The suite's options: an installed fiftyx registers them early (pytest11), a mere checkout through its conftest."""

from __future__ import annotations

import re

import pytest

from bench.cases.presets import PRESETS
from bench.machine.environment import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fiftyx", "which cases `pytest --benchmark-only` times")
    group.addoption("--fiftyx-preset", choices=list(PRESETS), help="the cases of this preset (default: every style)")
    for name, metavar, text in (
        ("style", "STYLE", "only this style (repeatable, as all below)"),
        ("device", "DEVICE", "cpu, cuda, cuda:1, mps, xpu, gpu"),
        ("size", "N,D_in,H,D_out", "such as 64,1000,100,10"),
        ("dtype", "DTYPE", "float32, float64, bfloat16"),
        ("style-file", "FILE", "measure the styles of this file too; give it with ="),
    ):
        group.addoption(f"--fiftyx-{name}", metavar=metavar, action="append", default=[], help=text)
    group.addoption("--fiftyx-threads", metavar="1|all|K", default="1", help="threads of this process (default: 1)")


def pytest_configure(config: pytest.Config) -> None:
    """Raises UsageError where pytest took a style file's folder for its root, so that it read no settings of ours."""
    alone = config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR and config.invocation_params.dir == ROOT
    if alone and config.option.fiftyx_style_file and config.rootpath != ROOT:
        raise pytest.UsageError(
            f"--fiftyx-style-file={config.option.fiftyx_style_file[0]}: give it with =, or pytest takes the folder of "
            f"the file for its root, {config.rootpath}"
        )


def named(error: Exception) -> str:
    """The words of a complaint about an option of `run`, with the name that pytest knows."""
    return re.sub(r"^--(?!fiftyx-)", "--fiftyx-", str(error))
