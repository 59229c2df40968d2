from __future__ import annotations

import numpy as np
import pandas as pd

from bench.charts import losses, style
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page


def test_losses_of_all_styles_are_drawn_thinner_in_turn():
    frame = pd.DataFrame({"style": ["a"] * 3 + ["b"] * 3, "iteration": [0, 1, 2] * 2, "loss": [9.0, 3.0, 1.0] * 2})
    with style.applied():
        figure = losses.losses(frame, WORDS)
        assert_nothing_leaves_the_page(figure)
    lines = figure.axes[0].get_lines()
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[9.0, 3.0, 1.0]] * 2
    assert lines[0].get_linewidth() > lines[1].get_linewidth()
