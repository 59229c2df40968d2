"""The way in from Python: advice for a network that is in memory, or in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.advice.advise import BATCHES, BLOCKS, Advice, measure_steps
from bench.advice.network.asked import Processor, StepJob
from bench.advice.processors import cpu_and
from bench.cases.phases import Rule
from bench.errors import UsageError
from implementations import read_network


def advise(
    model: Any,
    example: Any = None,
    loss: Callable[[Any], Any] | None = None,
    *,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] = (1,),
    blocks: int = BLOCKS,
    network: str | None = None,
    device: str | None = None,
    precision: str = "ieee",
    rule: Rule | None = None,
    **options: Any,
) -> Advice:
    """Would a GPU pay for a network? Its step measured here, on the accelerator too, and what others' figures leave.

    The accelerator is `device`, or without a name that which is here, if any; `cpu` leaves it out. Its products of
    float32 are of `precision`, ieee or tf32.

    `model` is a torch.nn.Module and `example` its input, a tensor or a tuple of them whose first side is the batch; for
    another batch its rows come again. `loss` is a function of the output, by default the mean of its squares. Fresh
    processes measure, so that what the model is made of must be importable. Or `model` is the path of a file with a
    function of the batch under `@network` that returns `model, inputs, loss`; of several `network` names one. Other
    options as `measure_steps` has them. Raises UsageError, StyleError.
    """
    if isinstance(model, str | Path):
        if example is not None or loss is not None:
            raise UsageError("advise: a file says itself what its inputs and its loss are: leave out example and loss")
        function = read_network(Path(model), network)
        job = StepJob(str(Path(model).resolve()), function, 0, Processor(), rule or Rule())
        return measure_steps(function, job, batches, cpu_and(device, threads, precision), blocks, **options)
    from torch import nn

    from bench.advice.network import memory

    if not isinstance(model, nn.Module):
        raise UsageError(f"advise: give a torch.nn.Module or a file, not a {type(model).__name__}")
    if network is not None:
        raise UsageError("advise: network names a function of a file: leave it out")
    if example is None:
        raise UsageError("advise: give an example of the input after the model, such as torch.randn(64, 1000)")
    with tempfile.TemporaryDirectory() as folder:
        memory.save(Path(folder), model, example, loss)
        job = StepJob(folder, "", 0, Processor(), rule or Rule())
        return measure_steps(type(model).__name__, job, batches, cpu_and(device, threads, precision), blocks, **options)
