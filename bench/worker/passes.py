"""What an iteration does, seen as it runs once: its products of matrices, and all of its operations on arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

Put = Callable[[Any, str], Any]
Gone = Callable[[], bool]
Again = Callable[[Sequence[Any]], Any]  # does an operation again, given the results of those before it
PRODUCTS = {"dot", "matmul", "mm", "addmm", "addmm_", "bmm", "linear"}
CYCLES = 3  # the last result of one may be gone when another has made it anew
SILENT = {"empty", "empty_like", "empty_strided", "new_empty", "detach", "alias", "shape", "result_type"}


@dataclass(slots=True)
class Seen:
    """An iteration: both sides of each product of matrices, each operation, products too, as a call that does it again.

    `results` are the arrays that its operations made, kept so that no other has their place, and which made each.
    `passed_bytes` are what all but the products read and write: an array counts once for each operation that it goes
    into or comes out of, a view moves nothing.
    """

    products: list[tuple[Any, Any]] = field(default_factory=list)
    operations: list[Again] = field(default_factory=list)
    results: dict[int, tuple[int, Any]] = field(default_factory=dict)
    passed_bytes: int = 0

    def operation(self, name: str, arrays: Sequence[Any], again: Again, _born: Sequence[Gone]) -> None:
        """Note one, by what goes in and what comes out."""
        there = [one for one in arrays if hasattr(one, "nbytes")]
        sides = there[name.startswith("addmm") :][:2]
        if name in SILENT:
            return
        self.operations.append(again)
        if name in PRODUCTS and len(sides) == 2 and all(one.ndim == 2 for one in sides):
            self.products.append((sides[0], sides[1]))
        else:
            self.passed_bytes += sum(one.nbytes for one in there)


class Release(NamedTuple):
    """The result of an operation of a cycle that is given back; `late`: when the next cycle has made it anew."""

    birth: int
    late: bool


@dataclass(slots=True)
class Lives:
    """How long results live, which nothing here keeps: those that are gone before each operation of CYCLES in a row."""

    gone: list[list[int]] = field(default_factory=list)
    alive: dict[int, Sequence[Gone]] = field(default_factory=dict)

    def operation(self, name: str, _arrays: Sequence[Any], _again: Again, born: Sequence[Gone]) -> None:
        """Note one, whose results are gone when all those `born` say so."""
        if name in SILENT:
            return
        over = [birth for birth, each in self.alive.items() if all(gone() for gone in each)]
        for birth in over:
            del self.alive[birth]
        if born:
            self.alive[len(self.gone)] = born
        self.gone.append(over)

    def releases(self, cycle: int) -> list[list[Release]]:
        """What is given back before each operation of a cycle of so many; nothing where the cycles were not alike.

        What outlives two more of its kind is not.
        """
        found: list[list[Release]] = [[] for _ in range(cycle)]
        if len(self.gone) == CYCLES * cycle:
            for at, births in enumerate(self.gone):
                later, before = divmod(at, cycle)
                made = {one: later - (before <= one) for one in births if one < cycle}
                found[before] += [Release(one, bool(anew)) for one, anew in made.items() if anew < 2]
        return found


def watch(framework: str, put: Put, seen: Sequence[Seen | Lives]) -> tuple[Put, AbstractContextManager[Any]]:
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


def _torch_mode(seen: Sequence[Seen | Lives]) -> Any:
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves, tree_map_only

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            found = func(*args, **kwargs)
            if not func.is_view:
                inputs, options = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))
                wrote = args[0] if found is None and args else found  # a list of tensors, changed in place
                there = [one for one in tree_leaves((inputs, wrote)) if isinstance(one, torch.Tensor)]
                made = [one.untyped_storage() for one in tree_leaves(found) if isinstance(one, torch.Tensor)]
                born = [StorageWeakRef(one).expired for one in made]  # type: ignore[no-untyped-call]
                del made
                seen[-1].operation(func.overloadpacket.__name__, there, lambda _: func(*inputs, **options), born)
            return found

    return Mode()  # type: ignore[no-untyped-call]


def _watched_array(seen: Sequence[Seen | Lives]) -> Any:
    import numpy as np

    def plain(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(plain, value))
        return value.view(np.ndarray) if isinstance(value, Watched) else value

    def flat(value: Any) -> list[Any]:
        return [one for part in value for one in flat(part)] if isinstance(value, tuple | list) else [value]

    def source(array: Any) -> tuple[int, bool] | None:
        """The operation of this iteration whose result an array is, whole or turned: what was just written is near."""
        owner = array
        while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
            owner = owner.base
        if not isinstance(seen[-1], Seen) or id(owner) not in seen[-1].results:
            return None
        for turned, one in ((False, owner), (True, owner.T)):
            if (array.shape, array.strides) == (one.shape, one.strides):
                return seen[-1].results[id(owner)][0], turned
        return None

    def do_again(call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> Again:
        """The call with the results that its inputs were, anew, in their place."""
        sources = list(map(source, inputs))
        if not any(sources):
            return lambda _: call(*inputs, **options)
        both = list(zip(inputs, sources, strict=True))

        def again(results: Sequence[Any]) -> Any:
            here = [(results[at[0]].T if at[1] else results[at[0]]) if at else one for one, at in both]
            return call(*here, **options)

        return again

    def run(name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do it with plain arrays, note it, and give what a watched array gives."""
        inputs, options = plain(args), {key: plain(value) for key, value in kwargs.items()}
        found, out = call(*inputs, **options), kwargs.get("out")
        there = [*flat(inputs), *flat(tuple(options.values())), *([] if out is not None else [found])]
        made = [] if out is not None else [weakref.ref(one) for one in flat(found) if isinstance(one, np.ndarray)]
        born = [lambda one=one: one() is None for one in made]
        seen[-1].operation(name, there, do_again(call, inputs, options), born)
        if isinstance(seen[-1], Seen) and isinstance(found, np.ndarray) and out is None:
            seen[-1].results[id(found)] = len(seen[-1].operations) - 1, found
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
