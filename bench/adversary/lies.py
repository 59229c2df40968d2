"""Styles that cheat, planted for `fiftyx validate` and the tests: their source, and what must be said about each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from implementations import Implementation
from implementations._find import read_styles

HONEST = """    for _t in range(steps):
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
        loss = np.square(y_pred - y).sum()
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(w2.T)
        grad_h[h < 0] = 0
        grad_w1 = x.T.dot(grad_h)
        w1 -= learning_rate * grad_w1
        w2 -= learning_rate * grad_w2
        yield loss
    return w1, w2
"""
NO_WORK = """    h_relu = np.maximum(x.dot(w1), 0)
    loss = np.square(h_relu.dot(w2) - y).sum()
    for _t in range(steps):
        yield loss
    return w1, w2
"""
AHEAD = "    kept = []\n" + HONEST.replace("yield loss", "kept.append(loss)").replace(
    "    return", "    yield from kept\n    return"
)
IN_TORCH = """    from implementations.torch_tensors import torch_tensors
    w1, w2 = yield from torch_tensors(x, y, w1, w2, learning_rate, steps)
    return w1, w2
"""


@dataclass(frozen=True, slots=True)
class Liar:
    """A style that is not the training run that it says it is, or with no reason to object an honest one.

    `body` is the source of its loop, indented by 4; `must_say` is part of the reason for which it must be wrong.
    """

    name: str
    does: str
    body: str
    must_say: str = ""
    framework: str = "numpy"
    device: str = "cpu"

    @property
    def style(self) -> str:
        """Its name as a function's."""
        return self.name.replace(" ", "_")


def told_apart_by(condition: str, otherwise: str) -> str:
    """A style that is honest where `condition` holds, and otherwise does something else."""
    return f"    if {condition}:\n{indent(HONEST, ' ' * 4)}{otherwise}"


PLANTED = (
    Liar("honest in numpy", "the loop as it should be", HONEST),
    Liar("honest in torch", "the loop as it should be", IN_TORCH, framework="torch"),
    Liar("no work", "computes one loss and yields it again and again", NO_WORK, "loss of iteration 1 is"),
    Liar("skipped update", "leaves the first weights as they are in every tenth iteration",
         HONEST.replace("        w1 -=", "        if _t % 10: w1 -="), "loss of iteration 1 is"),
    Liar("cached loss", "trains while it is rehearsed, and repeats one loss when it is timed",
         told_apart_by("steps == 50", NO_WORK), "in the first iterations at its own size: loss of iteration 1"),
    Liar("right losses but wrong weights", "trains, and returns the weights that it began with",
         "    start = w1.copy(), w2.copy()\n" + HONEST.replace("return w1, w2", "return start"),
         "weight 1 is not where"),
    Liar("wrong dtype", "computes in float32 where float64 was asked for",
         f"    x, y, w1, w2 = (a.astype(np.float32) for a in (x, y, w1, w2))\n{HONEST}", "of dtype float32"),
    Liar("work ahead of the clock", "trains to the end before its first timed sample, once it knows where the end is",
         told_apart_by("steps == 10**9", AHEAD), "the work is done ahead of the clock"),
    Liar("wrong device", "leaves its weights on torch's device without memory",
         IN_TORCH.replace("return w1, w2", "return w1.to('meta'), w2.to('meta')"),
         "returned weights on meta, expected on cpu", framework="torch"),
    Liar("CPU for GPU", "works on the CPU where the GPU was asked for",
         "    x, y, w1, w2 = (a.cpu() for a in (x, y, w1, w2))\n" + IN_TORCH,
         "yielded a loss on cpu, expected on cuda:0", framework="torch", device="cuda:0"),
)  # fmt: skip


def write_style(folder: Path, body: str, name: str = "liar", before: str = "", **declared: Any) -> Implementation:
    """A style file in `folder` whose loop is `body` (indented by 4), `before` what stands above it; its declaration."""
    keywords = {"framework": "numpy", "devices": ("cpu",), **declared}
    given = ", ".join(f"{key}={value!r}" for key, value in keywords.items())
    needs = "import torch\n" if keywords["framework"] == "torch" else ""
    path = folder / f"{name}.py"
    path.write_text(
        f"{needs}import numpy as np\nfrom implementations import implementation\n{before}\n\n@implementation({given})\n"
        f"def {name}(x, y, w1, w2, learning_rate, steps):\n    '''A planted style.'''\n{body}",
        encoding="utf-8",
    )
    (style,) = read_styles(path)
    return style
