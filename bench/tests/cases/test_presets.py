"""What the presets rest on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.cases.phases import Rule
from bench.cases.presets import PRESETS
from bench.machine.environment import ROOT

CASE = ["style", "dtype"]


@pytest.mark.parametrize("run", ["tutorial-cpu", "tutorial-epyc"])
def test_as_many_samples_as_quick_takes_move_a_median_far_less_than_the_next_process_does(run):
    rows = pd.read_csv(
        ROOT / "results" / run / "iterations.csv", usecols=[*CASE, "block", "phase", "threads", "elapsed_us"]
    )
    rows = rows[(rows["phase"] == "timed") & (rows["threads"] == 1)]
    samples = rows.groupby([*CASE, "block"])["elapsed_us"]
    all_of_them, first = samples.median(), samples.head(PRESETS["quick"].rule.latency_most)
    few = rows.loc[first.index].groupby([*CASE, "block"])["elapsed_us"].median()
    moved = (few / all_of_them).map(np.log).abs().median()
    between_blocks = all_of_them.map(np.log).groupby(CASE).std().median()
    assert moved < 0.006
    assert moved < between_blocks / 6


def test_quick_alone_takes_no_turn_again_and_times_less():
    assert [preset.name for preset in PRESETS.values() if not preset.retried] == ["quick"]
    brief, usual = PRESETS["quick"].rule, Rule()
    assert brief.latency_most < usual.latency_most
    assert brief.floor_iterations == usual.floor_iterations
