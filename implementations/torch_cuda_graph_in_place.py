"""torch tensors in a CUDA graph, as few kernels as torch's own operations allow."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cuda",))
def torch_cuda_graph_in_place(x, y, w1, w2, learning_rate, steps):
    """Ten kernels an iteration, not eighteen or more, as a CUDA graph: the update is the product that makes it."""
    loss = torch.empty((), dtype=x.dtype, device=x.device)

    def iteration():
        # Forward pass: compute predicted y; h_relu takes the place of h, the residual that of y_pred
        h_relu = x.mm(w1).clamp_(min=0)
        residual = h_relu.mm(w2).sub_(y)

        # Compute the loss, where the clock will read it
        torch.sum(residual * residual, (0, 1), out=loss)

        # Backprop; the 2 of grad_y_pred is in alpha. An h of exactly 0 is the only difference from the tutorial's h < 0
        grad_h = torch.ops.aten.threshold_backward(residual.mm(w2.t()), h_relu, 0)

        # Update weights: the product is added where it belongs, no gradient of a weight is stored
        w2.addmm_(h_relu.t(), residual, alpha=-2.0 * learning_rate)
        w1.addmm_(x.t(), grad_h, alpha=-2.0 * learning_rate)

    replay = recorded(iteration, w1, w2) if x.is_cuda else iteration
    for _t in range(steps):
        replay()
        yield loss
    return w1, w2


def recorded(iteration, *weights):
    """`iteration` as a CUDA graph: a function that replays it with one launch; the weights stay as they are."""
    start = [w.clone() for w in weights]
    iteration()  # makes cuBLAS's handle and workspace, which a capture must not
    for w, before in zip(weights, start, strict=True):
        w.copy_(before)
    graph = torch.cuda.CUDAGraph()
    # A capture runs nothing. It ends before anything is yielded: the clock's events stay on the stream of the replays
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        iteration()
    return graph.replay
