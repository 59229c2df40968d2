"""A network's function of the loss with other tensors and modules in place of those that it holds."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

Change = Callable[[Any], Any]


def holding(value: Any, change: Change, known: dict[int, Any]) -> Any:
    """`value` with `change` made of each tensor and module in it.

    In tuples, lists, dictionaries, partial functions, methods, and in what functions close over or have by default.
    What is in `known` by its id already is that, and what was changed once is the same everywhere.
    """

    def one(leaf: Any) -> Any:
        if id(leaf) not in known:
            known[id(leaf)] = _changed(leaf, change, known)
        return known[id(leaf)]

    return tree_map(one, value)


def _changed(leaf: Any, change: Change, known: dict[int, Any]) -> Any:
    if isinstance(leaf, torch.Tensor | nn.Module):
        return change(leaf)
    if isinstance(leaf, types.MethodType):
        return types.MethodType(leaf.__func__, holding(leaf.__self__, change, known))
    if isinstance(leaf, partial):
        return partial(*holding((leaf.func, *leaf.args), change, known), **holding(leaf.keywords, change, known))
    if not isinstance(leaf, types.FunctionType):
        return leaf
    cells = tuple(types.CellType() for _ in leaf.__closure__ or ())
    found = types.FunctionType(leaf.__code__, leaf.__globals__, leaf.__name__, None, cells)
    known[id(leaf)] = found  # first: it may hold itself
    for cell, old in zip(cells, leaf.__closure__ or (), strict=True):
        cell.cell_contents = holding(old.cell_contents, change, known)
    found.__defaults__ = holding(leaf.__defaults__, change, known)
    found.__kwdefaults__ = holding(leaf.__kwdefaults__, change, known)
    return found
