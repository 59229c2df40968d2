"""What a style gives: losses and weights of the kind that it should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.cases.case import Case
from bench.machine.device import Device
from bench.timing.clock import Loop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]


class WrongStyleError(Exception):
    """A style that is not the training run it should be; the message is the reason.

    With `again` it may be the machine's fault, and it is measured anew.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True, slots=True)
class Trained:
    """What a style did: its losses by iteration, as far as they were read, and the weights it returned."""

    losses: Mapping[int, float]
    weights: tuple[Array, ...]


def check_kind(case: Case, device: Device, value: Any, did: str) -> None:
    """Raises WrongStyleError unless an array or loss has the case's dtype and is on the case's device."""
    try:
        dtype, place = device.describe(value)
    except AttributeError:  # nothing of this framework
        dtype, place = type(value).__name__, case.device
    if dtype not in (case.problem.dtype, ""):
        raise WrongStyleError(f"{did} of dtype {dtype}, expected {case.problem.dtype}")
    if place != case.device:
        raise WrongStyleError(f"{did} on {place}, expected on {case.device}")


def check_loss(case: Case, device: Device, loss: Any) -> None:
    """Raises WrongStyleError for a loss of another kind, or one that keeps its iteration's graph."""
    check_kind(case, device, loss, "yielded a loss")
    if getattr(loss, "requires_grad", False):
        raise WrongStyleError("yielded a loss that still requires grad: yield loss.detach()")


def say_why_unread(case: Case, device: Device, loop: Loop) -> None:
    """Raises WrongStyleError where the losses of `loop`, one of which could not be read, are no single numbers.

    A loop that failed by itself has ended, and says nothing more.
    """
    for loss in loop:
        check_loss(case, device, loss)
        if shape := tuple(getattr(loss, "shape", ())):
            raise WrongStyleError(f"yielded an array of shape {shape}, expected one number")
        return


def as_trained(case: Case, device: Device, losses: dict[int, float], weights: Any) -> Trained:
    """What the style did, on the host in float64. Raises WrongStyleError for weights of another kind."""
    if not isinstance(weights, tuple | list) or not weights:
        raise WrongStyleError("returned no weights: end with `return w1, w2`")
    for weight in weights:
        if not hasattr(weight, "shape"):
            raise WrongStyleError(f"returned a {type(weight).__name__} among its weights, expected arrays")
        check_kind(case, device, weight, "returned weights")
    return Trained(losses, tuple(device.fetch(weight) for weight in weights))
