"""torch nn: a Sequential model, its parameters updated by hand."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_nn(x, y, w1, w2, learning_rate, steps):
    """`nn.Sequential` and `nn.MSELoss`, the update by hand over `model.parameters()`."""
    D_in, H = w1.shape
    D_out = w2.shape[1]
    # Use the nn package to define our model as a sequence of layers
    model = torch.nn.Sequential(
        torch.nn.Linear(D_in, H, bias=False, device="meta"),
        torch.nn.ReLU(),
        torch.nn.Linear(H, D_out, bias=False, device="meta"),
    )
    # All styles start from the same weights; Linear keeps them as (out, in)
    model[0].weight = torch.nn.Parameter(w1.t().contiguous())
    model[2].weight = torch.nn.Parameter(w2.t().contiguous())
    loss_fn = torch.nn.MSELoss(reduction="sum")

    for _t in range(steps):
        # Forward pass: compute predicted y by passing x to the model
        y_pred = model(x)

        # Compute the loss
        loss = loss_fn(y_pred, y)

        # Zero the gradients before running the backward pass
        model.zero_grad()

        # Backward pass: compute gradients of all the learnable parameters
        loss.backward()

        # Update the weights using gradient descent
        with torch.no_grad():
            for param in model.parameters():
                param -= learning_rate * param.grad
        yield loss.detach()
    return model[0].weight.detach().t(), model[2].weight.detach().t()
