"""A network that is in memory, handed on to fresh processes: saved with its example, and loaded for any batch."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import UsageError

MODEL, PATHS = "model.pt", "paths.json"


def mean_square(out: Any) -> Any:
    """A loss for whoever gives none: of the output, or of the first of several."""
    return (out if isinstance(out, torch.Tensor) else out[0]).square().mean()


def save(folder: Path, model: nn.Module, example: Any, loss: Callable[[Any], Any] | None) -> None:
    """Everything that `load` needs. Raises UsageError for what a fresh process could not load."""
    inputs = tuple(example) if isinstance(example, tuple | list) else (example,)
    sizes = {len(one) for one in inputs if isinstance(one, torch.Tensor) and one.dim()}
    if len(sizes) != 1 or 0 in sizes:
        raise UsageError(
            "advise: the example must be a tensor, or several, whose first side is the batch, alike in all"
        )
    for one in (*model.modules(), loss):
        kind = one if callable(one) and hasattr(one, "__qualname__") else type(one)
        if one is not None and (kind.__module__ == "__main__" or "<" in kind.__qualname__):
            raise UsageError(
                f"advise: {kind.__qualname__} is defined in a notebook, a script or a function, where the fresh "
                "processes that measure cannot find it; put it into a file of its own and import it from there"
            )
    try:
        torch.save((model, inputs, loss or mean_square), folder / MODEL)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise UsageError(f"advise: the model cannot be handed to a fresh process: {error}") from error
    (folder / PATHS).write_text(json.dumps(sys.path), encoding="utf-8")


def load(folder: Path, batch: int) -> tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]:
    """Model, inputs and loss; the example's rows come again and again until there are `batch` of them."""
    sys.path += [one for one in json.loads((folder / PATHS).read_text("utf-8")) if one not in sys.path]
    model, inputs, loss = torch.load(folder / MODEL, map_location="cpu", weights_only=False)
    rows = torch.arange(batch)
    return (
        model,
        tuple(one[rows % len(one)] if isinstance(one, torch.Tensor) and one.dim() else one for one in inputs),
        loss,
    )
