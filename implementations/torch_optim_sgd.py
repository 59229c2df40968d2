"""torch optim: the update is `optimizer.step()` of plain SGD."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_optim_sgd(x, y, w1, w2, learning_rate, steps):
    """`nn.Sequential` trained by `torch.optim.SGD`."""
    D_in, H = w1.shape
    D_out = w2.shape[1]
    # Use the nn package to define our model and loss function
    model = torch.nn.Sequential(
        torch.nn.Linear(D_in, H, bias=False, device="meta"),
        torch.nn.ReLU(),
        torch.nn.Linear(H, D_out, bias=False, device="meta"),
    )
    # All styles start from the same weights; Linear keeps them as (out, in)
    model[0].weight = torch.nn.Parameter(w1.t().contiguous())
    model[2].weight = torch.nn.Parameter(w2.t().contiguous())
    loss_fn = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)

    for _t in range(steps):
        # Forward pass: compute predicted y by passing x to the model
        y_pred = model(x)

        # Compute the loss
        loss = loss_fn(y_pred, y)

        # Zero the gradients, backward pass, update the parameters
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
    return model[0].weight.detach().t(), model[2].weight.detach().t()
