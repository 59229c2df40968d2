"""torch tensors in a CUDA graph: the tutorial's iteration recorded once, and replayed by one launch."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cuda",))
def torch_cuda_graph(x, y, w1, w2, learning_rate, steps):
    """torch_tensors' iteration, word for word, as a CUDA graph: the same kernels, one launch."""
    loss = torch.empty((), dtype=x.dtype, device=x.device)

    def iteration():
        # Forward pass: compute predicted y
        h = x.mm(w1)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)

        # Compute the loss, where the clock will read it
        loss.copy_((y_pred - y).pow(2).sum())

        # Backprop to compute gradients of w1 and w2 with respect to loss
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.t().mm(grad_y_pred)
        grad_h_relu = grad_y_pred.mm(w2.t())
        grad_h = grad_h_relu.clone()
        grad_h[h < 0] = 0
        grad_w1 = x.t().mm(grad_h)

        # Update weights
        w1.sub_(learning_rate * grad_w1)
        w2.sub_(learning_rate * grad_w2)

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
