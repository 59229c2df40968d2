"""torch nn with a model class of our own: TwoLayerNet."""

import torch

from implementations import implementation


class TwoLayerNet(torch.nn.Module):
    """The tutorial's network as a Module, started from given weights, without biases."""

    def __init__(self, w1, w2):
        super().__init__()
        D_in, H = w1.shape
        D_out = w2.shape[1]
        self.linear1 = torch.nn.Linear(D_in, H, bias=False, device="meta")
        self.linear2 = torch.nn.Linear(H, D_out, bias=False, device="meta")
        # All styles start from the same weights; Linear keeps them as (out, in)
        self.linear1.weight = torch.nn.Parameter(w1.t().contiguous())
        self.linear2.weight = torch.nn.Parameter(w2.t().contiguous())

    def forward(self, x):
        h_relu = self.linear1(x).clamp(min=0)
        y_pred = self.linear2(h_relu)
        return y_pred


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_module(x, y, w1, w2, learning_rate, steps):
    """A custom `nn.Module` trained by `torch.optim.SGD`."""
    # Construct our model by instantiating the class defined above
    model = TwoLayerNet(w1, w2)
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)

    for _t in range(steps):
        # Forward pass: compute predicted y by passing x to the model
        y_pred = model(x)

        # Compute the loss
        loss = criterion(y_pred, y)

        # Zero the gradients, backward pass, update the parameters
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
    return model.linear1.weight.detach().t(), model.linear2.weight.detach().t()
