"""Tests of bench.tables.machine_words: what is known is said, what is unknown is left out."""

from __future__ import annotations

from bench.tables.machine_words import brief_facts, machine_facts
from bench.tests.runs import MACHINE


def test_a_machine_in_one_line() -> None:
    assert brief_facts({**MACHINE, "run_id": "r1"}) == [
        "a processor, 4 CPUs", "no accelerator", "numpy 2.4.6", "torch 2.13.0", "preset quick, 4 blocks", "run r1",
        "2026-11-20",
    ]  # fmt: skip


def test_accelerators_have_their_names_and_models() -> None:
    machine = {"devices": {"cpu": {"model": "a CPU"}, "cuda:0": {"model": "a GPU"}, "cuda:1": {}}}
    assert brief_facts(machine)[1:3] == ["cuda:0 a GPU", "cuda:1"]


def test_kept_variables_are_said() -> None:
    assert "kept A=1" in brief_facts({"environment": "kept", "distorting_variables": {"A": "1"}})
    facts = dict(machine_facts({"environment": "kept", "distorting_variables": {"A": "1"}}))
    assert facts == {"variables kept": "A=1"}


def test_of_a_machine_that_says_nothing_nothing_is_invented() -> None:
    nothing = dict.fromkeys(MACHINE)
    assert brief_facts(nothing) == ["unknown processor", "no accelerator", "run unknown"]
    assert machine_facts(nothing) == []


def test_every_fact_has_its_name() -> None:
    devices = {"cpu": {}, "cuda:0": {"model": "a GPU", "total_bytes": 8, "free_bytes": 5}}
    facts = dict(machine_facts({**MACHINE, "devices": devices, "load_average": [0.5, 1, 2]}))
    assert facts["memory"] == "16.0 GiB"
    assert facts["load before"] == "0.50 1.00 2.00"
    assert facts["cuda:0"] == "a GPU, total bytes 8"
    assert facts["no cuda"] == MACHINE["missing"]["cuda"]


def test_what_is_not_known_of_a_device_is_not_said():
    first, second = ({"model": model, "cuda": None, "capability": "9.4"} for model in ("a GPU", ""))
    facts = machine_facts({"devices": {"cuda:0": first, "cuda:1": second}})
    assert facts == [("cuda:0", "a GPU, capability 9.4"), ("cuda:1", "capability 9.4")]
