"""What is suspicious in a style's source: said with its line, and never of a style of this repository."""

from __future__ import annotations

import pytest

from bench.adversary.cheating import CHEATS
from bench.runner.suspicion import suspicious
from implementations import find_implementations


@pytest.mark.parametrize("style", find_implementations().values(), ids=lambda style: style.name)
def test_no_style_of_ours_is_suspicious(style):
    assert suspicious(style.source.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize(
    "line",
    [
        "frame = sys._getframe(1)", "for one in gc.get_objects():", "import ctypes", "open('/proc/self/mem', 'r+b')",
        "os.fork()", "from bench.timing import clock", "import bench", "exec(built)", "train.__code__ = other",
        "clock.time_latency.__defaults__ = (half,)",
    ],
)  # fmt: skip
def test_the_line_is_said_with_its_number(line):
    assert suspicious(f"import numpy as np\n\n    {line}\n") == f"line 3: {line}"
    assert suspicious(f"import numpy as np  # {line}\n") is None


def test_a_cheat_that_reaches_for_the_harness_is_suspicious_and_many_are_not():
    found = {one.name for one in CHEATS if suspicious(one.before + one.body)}
    assert {"frame_reader", "frame_writer", "half_clock", "half_answer", "gate_replaced", "obfuscated"} <= found
    assert "gram" not in found
