"""torch_compile's iteration on a CPU: the products stay, what lies between them is fused into C++."""

import torch

from implementations import implementation
from implementations.torch_compile import iteration


@implementation(framework="torch", devices=("cpu",))
def torch_compiled(x, y, w1, w2, learning_rate, steps):
    """tried: `torch.compile` on a CPU."""
    rate = torch.tensor(learning_rate, dtype=x.dtype)  # a number would be compiled in
    compiled = torch.compile(iteration, fullgraph=True, dynamic=False)
    for _t in range(steps):
        yield compiled(x, y, w1, w2, rate)
    return w1, w2
