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


def read_networks(path: Path) -> list[str]:
    """The names of the functions that `path` declares with @network, without importing it. Raises StyleError."""
    found = []
    for node in _parse(path).body:
        if not isinstance(node, ast.FunctionDef) or not any(map(_declares, node.decorator_list)):
            continue
        if len(node.args.args) - len(node.args.defaults) != 1:
            raise StyleError(f"{path}:{node.lineno}: {node.name} must take one argument, the batch")
        found.append(node.name)
    return found


def _declares(decorator: ast.expr) -> bool:
    return _last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) == "network"


def read_network(path: Path, name: str | None = None) -> str:
    """The one function that `path` declares with @network, or of several the one of this name. Raises StyleError."""
    found = read_networks(path)
    if name is not None and name not in found:
        raise StyleError(f"{path}: declares no {name!r} with @network; there are: {', '.join(found) or 'none'}")
    if name is None and len(found) != 1:
        what = f"{len(found)} functions" if found else "no function"
        cure = f"; say which: {', '.join(found)}" if found else ""
        raise StyleError(
            f"{path}: declares {what} with @network; decorate one that takes the batch and returns model, inputs, loss"
            f"{cure}"
        )
    return name or found[0]


def import_network(path: Path, name: str) -> Any:
    """The function that `read_network` found; imports its file."""
    return getattr(_import_file(path), name)
