"""What an iteration does, seen as it runs once: its products of matrices, and all of its operations on arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from unittest.mock import patch

from bench.worker.again import SILENT, Again, Lives, Look, Operation

Put: TypeAlias = Callable[[Any, str], Any]
PRODUCTS = {"dot", "matmul", "mm", "addmm", "addmm_", "bmm", "linear"}


@dataclass(slots=True)
class Seen:
    """An iteration: both sides of each product of matrices, each operation, products too, as a call that does it again.

    `passed_bytes` are what all but the products read and write: an array counts once for each operation that it goes
    into or comes out of, a view moves nothing. `results` are the arrays that its operations made, by what they share
    with their views: which operation made each, and the array, kept so that no other has its place.
    """

    products: list[tuple[Any, Any]] = field(default_factory=list)
    operations: list[Again] = field(default_factory=list)
    passed_bytes: int = 0
    results: dict[Any, tuple[int, Any]] = field(default_factory=dict)

    def note(self, one: Operation) -> None:
        """Note one, by what goes in and what comes out."""
        if one.name in SILENT:
            return
        there = [each for each in one.arrays if hasattr(each, "nbytes")]
        sides = there[one.name.startswith("addmm") :][:2]
        if one.name in PRODUCTS and len(sides) == 2 and all(each.ndim == 2 for each in sides):
            self.products.append((sides[0], sides[1]))
        else:
            self.passed_bytes += sum(each.nbytes for each in there)
        self.operations.append(one.again(self.results))
        if one.found is not None:
            self.results[one.look.owner(one.found)] = len(self.operations) - 1, one.found


Watcher: TypeAlias = Seen | Lives


def watch(framework: str, put: Put, seen: Sequence[Watcher]) -> tuple[Put, AbstractContextManager[Any]]:
    """A `put` for arrays that are watched, and the context in which they are: what they do goes to the last `seen`.

    Raises LookupError for a framework whose operations nobody sees.
    """
    if framework == "torch":
        return put, _torch_mode(seen)
    if framework != "numpy":
        raise LookupError(f"nobody sees the operations of {framework}")
    import numpy as np

    watched, empty = _watched_array(seen), np.empty
    made = patch.object(np, "empty", lambda *args, **kwargs: empty(*args, **kwargs).view(watched))
    return lambda array, dtype: put(array, dtype).view(watched), made


def _torch_mode(seen: Sequence[Watcher]) -> Any:
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves, tree_map_only

    def storage(tensor: Any) -> int:
        return int(tensor.untyped_storage()._cdata)

    def gone(tensor: Any) -> Callable[[], bool]:
        return StorageWeakRef(tensor.untyped_storage()).expired  # type: ignore[no-untyped-call]

    look = Look(torch.Tensor, storage, lambda tensor: (tensor.shape, tensor.stride()), gone)

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            found = func(*args, **kwargs)
            if not func.is_view:
                inputs, options = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))
                wrote = args[0] if found is None and args else found  # a list of tensors, changed in place
                there = [one for one in tree_leaves((inputs, wrote)) if isinstance(one, torch.Tensor)]
                given = [storage(one) for one in tree_leaves((inputs, options)) if isinstance(one, torch.Tensor)]
                fresh = isinstance(found, torch.Tensor) and storage(found) not in given
                made = found.detach() if fresh else None
                seen[-1].note(Operation(func.overloadpacket.__name__, func, inputs, options, there, made, look))
            return found

    return Mode()  # type: ignore[no-untyped-call]


def _numpy_look() -> Look:
    import numpy as np

    def owner(array: Any) -> Any:
        while isinstance(array.base, np.ndarray):
            array = array.base
        return array

    def gone(array: Any) -> Callable[[], bool]:
        there = weakref.ref(owner(array))
        return lambda: there() is None

    return Look(np.ndarray, lambda array: id(owner(array)), lambda array: (array.shape, array.strides), gone)


def _watched_array(seen: Sequence[Watcher]) -> Any:
    import numpy as np

    look = _numpy_look()

    def plain(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(plain, value))
        return value.view(np.ndarray) if isinstance(value, Watched) else value

    def flat(value: Any) -> list[Any]:
        return [one for part in value for one in flat(part)] if isinstance(value, tuple | list) else [value]

    def run(name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do it with plain arrays, note it, and give what a watched array gives."""
        inputs, options = plain(args), {key: plain(value) for key, value in kwargs.items()}
        found, out = call(*inputs, **options), kwargs.get("out")
        there = [*flat(inputs), *flat(tuple(options.values())), *([] if out is not None else [found])]
        fresh = isinstance(found, np.ndarray) and out is None
        seen[-1].note(Operation(name, call, inputs, options, there, found if fresh else None, look))
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        return found.view(Watched) if isinstance(found, np.ndarray) else found

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
            return run(ufunc.__name__, getattr(ufunc, method), inputs, kwargs)

        def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
            return run(func.__name__, func, args, kwargs)

        def dot(self, *args: Any, **kwargs: Any) -> Any:
            return run("dot", np.dot, (self, *args), kwargs)

        def copy(self, *args: Any, **kwargs: Any) -> Any:
            return run("copy", np.copy, (self, *args), kwargs)

        def __setitem__(self, key: Any, value: Any) -> None:
            run("setitem", np.ndarray.__setitem__, (self, key, value), {})

    return Watched
