"""Operations done again in their order, with memory as it was in the loop: what each makes lives as long as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

Again: TypeAlias = Callable[[Sequence[Any]], Any]  # does an operation again, given the results of those before it
Step: TypeAlias = tuple[Again, Sequence[tuple[list[Any], int]], bool]  # what ends before it, whether its last goes on
CYCLES = 3  # the last result of one may be gone when another has made it anew
SILENT = {"empty", "empty_like", "empty_strided", "new_empty", "detach", "alias", "shape", "result_type"}


class Look(NamedTuple):
    """What a framework's arrays are to be told apart by.

    `owner`: what an array shares with its views and no other; `layout` of its numbers there; `gone` makes a call that
    says when the memory is given back, and keeps none.
    """

    kind: type
    owner: Callable[[Any], Any]
    layout: Callable[[Any], Any]
    gone: Callable[[Any], Callable[[], bool]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A call on arrays, all `arrays` that it reads and writes, and the one that it made anew, if it did."""

    name: str
    call: Callable[..., Any]
    inputs: Sequence[Any]
    options: Mapping[str, Any]
    arrays: Sequence[Any]
    found: Any
    look: Look

    def again(self, results: Mapping[Any, tuple[int, Any]]) -> Again:
        """The call on its inputs, and on the new ones in place of those that are `results` of operations before it."""
        call, inputs, options = self.call, self.inputs, self.options
        both = [(one, self._anew(one, results)) for one in inputs]
        named = {name: anew for name, one in options.items() if (anew := self._anew(one, results))}
        if not named and not any(anew for _, anew in both):
            return lambda _: call(*inputs, **options)

        def again(made: Sequence[Any]) -> Any:
            here = [anew(made) if anew else one for one, anew in both]
            if not named:
                return call(*here, **options)
            return call(*here, **{**options, **{name: anew(made) for name, anew in named.items()}})

        return again

    def _anew(self, given: Any, results: Mapping[Any, tuple[int, Any]]) -> Again | None:
        """What makes of the new results what was given to a call; None where it came of none of them."""
        if isinstance(given, tuple | list):
            parts = [(one, self._anew(one, results)) for one in given]
            if not any(anew for _, anew in parts):
                return None
            kind = type(given)
            return lambda made: kind(anew(made) if anew else one for one, anew in parts)
        source = self._source(given, results)
        if source is None:
            return None
        at, turned = source
        return (lambda made: made[at].T) if turned else itemgetter(at)

    def _source(self, array: Any, results: Mapping[Any, tuple[int, Any]]) -> tuple[int, bool] | None:
        """The operation whose result an array is, whole or turned."""
        if not isinstance(array, self.look.kind):
            return None
        at, result = results.get(self.look.owner(array), (0, None))
        if result is None:
            return None
        layout = self.look.layout
        if layout(array) == layout(result):
            return at, False
        return (at, True) if result.ndim == 2 and layout(array) == layout(result.T) else None


class Release(NamedTuple):
    """The result of an operation of a cycle that is given back; `late`: when the next cycle has made it anew."""

    birth: int
    late: bool


@dataclass(slots=True)
class Lives:
    """How long results live, which nothing here keeps: those that are gone before each operation of CYCLES in a row."""

    gone: list[list[int]] = field(default_factory=list)
    alive: dict[int, Callable[[], bool]] = field(default_factory=dict)

    def note(self, one: Operation) -> None:
        """Note one, and what is gone by then."""
        if one.name in SILENT:
            return
        over = [birth for birth, gone in self.alive.items() if gone()]
        for birth in over:
            del self.alive[birth]
        if one.found is not None:
            self.alive[len(self.gone)] = one.look.gone(one.found)
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


def one_after_another(
    iterations: Sequence[Sequence[Again]], releases: Sequence[Sequence[Release]] = ()
) -> Sequence[Callable[[], None]]:
    """Each iteration of a cycle; a result lives as long as it does in the loop, so that memory is used again as there.

    A result that no release gives back lives until the next cycle has one in its place.
    """
    results: list[list[Any]] = [[None] * len(calls) for calls in iterations]
    older: list[list[Any]] = [[None] * len(calls) for calls in iterations]
    places = [(number, at) for number, calls in enumerate(iterations) for at in range(len(calls))]
    late = {places[one.birth] for each in releases for one in each if one.late}
    steps: list[list[Step]] = [[] for _ in iterations]
    for (number, at), each in zip(places, releases or [[]] * len(places), strict=True):
        ends = [((older if one.late else results)[places[one.birth][0]], places[one.birth][1]) for one in each]
        steps[number].append((iterations[number][at], ends, (number, at) in late))

    def run(own: list[Any], before: list[Any], steps: Sequence[Step]) -> None:
        for at, (call, ends, outlives) in enumerate(steps):
            for where, birth in ends:
                where[birth] = None
            if outlives:
                before[at] = own[at]
            own[at] = call(own)

    return [partial(run, *each) for each in zip(results, older, steps, strict=True)]
