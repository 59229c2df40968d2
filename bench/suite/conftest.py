"""How pytest meets the suite: options, parameters, and what the JSON files of pytest-benchmark carry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cases.measurement import Measurement
from bench.cases.plan import dump_plan
from bench.cases.request import Request, check, check_cores
from bench.errors import UsageError
from bench.machine.environment import available_cpus
from bench.suite import options
from bench.suite.grid import PARAMETERS, thread_count
from bench.suite.process import prepare_process
from bench.suite.state import Suite
from implementations import StyleError

HERE = Path(__file__).parent
# Any of these asks for times; without one, `pytest` checks each benchmark once.
ASKS_FOR_TIMES = ("only", "enable", "save", "autosave", "json", "compare", "compare_fail", "histogram", "cprofile")
UNSTABLE = ("load_average",)  # else no two files of one machine would compare without a warning


KEY = pytest.StashKey[Suite]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.is_registered(options):
        options.pytest_addoption(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if not hasattr(option, "benchmark_only"):
        raise pytest.UsageError("bench/suite needs the plugin pytest-benchmark; install it, or leave bench/suite out")
    if not any(getattr(option, f"benchmark_{name}") for name in ASKS_FOR_TIMES):
        option.benchmark_disable = True
    if option.benchmark_only and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.args = [str(HERE)]  # the other tests would load pandas and matplotlib into the process that is timed
    request = Request(
        preset=option.fiftyx_preset,
        styles=tuple(option.fiftyx_style),
        devices=tuple(option.fiftyx_device),
        sizes=tuple(option.fiftyx_size),
        dtypes=tuple(option.fiftyx_dtype),
        style_files=tuple(option.fiftyx_style_file),
    )
    try:
        check(replace(request, threads=(option.fiftyx_threads,)))
        check_cores([option.fiftyx_threads], available_cpus())
    except (UsageError, StyleError) as error:
        raise pytest.UsageError(options.named(error)) from None
    config.stash[KEY] = Suite(request, prepare_process(thread_count(option.fiftyx_threads)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "entry_name" not in metafunc.fixturenames:
        return
    whole = metafunc.function.__name__ == "test_tutorial_loop"
    try:
        grid = metafunc.config.stash[KEY].grid
    except UsageError as error:  # no probe could be started, no such device is here
        raise pytest.UsageError(options.named(error)) from None
    chosen = [entry for entry in grid.entries.values() if entry.loops or not whole]
    marks = [pytest.mark.skip(reason=entry.reason) if entry.reason else () for entry in chosen]
    each = [pytest.param(*one.parameters, id=one.name, marks=mark) for one, mark in zip(chosen, marks, strict=True)]
    metafunc.parametrize(PARAMETERS, each)


@pytest.fixture
def entry_name(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.id)


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config) -> Suite:
    return pytestconfig.stash[KEY]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Our columns next to theirs; without the host's name and the clock of the moment, which differ in every file."""
    machine_info.pop("node", None)
    for name in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(name, None)
    machine = config.stash[KEY].machine
    devices = {name: {"model": device["model"]} for name, device in machine["devices"].items()}
    stable = {name: value for name, value in machine.items() if name not in UNSTABLE}
    machine_info["fiftyx"] = {**stable, "devices": devices}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """All that measurements.csv and machine.json hold: see bench/tables/pytest_json.py, which reads it."""
    from bench.tables.writer import measurement_row

    suite, plan = config.stash[KEY], config.stash[KEY].grid.plan

    def row(measurement: Measurement) -> Mapping[str, Any]:
        return measurement_row(suite.run_id, measurement, suite.environment.name)

    for entry in output_json["benchmarks"]:
        if entry["fullname"] in suite.found:
            entry["extra_info"] = {**entry["extra_info"], **row(suite.found[entry["fullname"]])}
    skipped = [Measurement(skip.case, 0, -1, "skipped", skip.reason) for skip in plan.skips]
    output_json["fiftyx"] = {
        "machine": {
            "run_id": suite.run_id,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **suite.machine,
            "plan": dump_plan(plan, suite.request.style_files),
        },
        "without": [row(one) for one in [*skipped, *suite.without]],
    }
