"""What a file declares whose own network is to be measured: one function that makes model, inputs and loss."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from implementations._contract import StyleError, _import_file
from implementations._find import _last_name, _parse

Make = TypeVar("Make", bound=Callable[[int], tuple[Any, ...]])


def network(make: Make) -> Make:
    """Declare a function of the batch that returns `model, inputs, loss`; the function itself stays as it is.

    `model` is a torch.nn.Module, `inputs` a tuple of tensors; `loss(model(*inputs))` is what is trained.
    """
    return make


def read_network(path: Path) -> str:
    """The name of the one function that `path` declares with @network, without importing it. Raises StyleError."""
    found = [
        node
        for node in _parse(path).body
        if isinstance(node, ast.FunctionDef)
        and any(_last_name(one.func if isinstance(one, ast.Call) else one) == "network" for one in node.decorator_list)
    ]
    if len(found) != 1:
        what = "no function" if not found else f"{len(found)} functions"
        raise StyleError(
            f"{path}: declares {what} with @network; decorate one that takes the batch and returns model, inputs, loss"
        )
    function = found[0]
    if len(function.args.args) != 1:
        raise StyleError(f"{path}:{function.lineno}: {function.name} must take one argument, the batch")
    return function.name


def import_network(path: Path, name: str) -> Any:
    """The function that `read_network` found; imports its file."""
    return getattr(_import_file(path), name)
