"""torch with control flow and weight sharing: DynamicNet."""

import torch

from implementations import implementation


class DynamicNet(torch.nn.Module):
    """The linked tutorial's network: one middle layer, used 0 to 3 times in a forward pass."""

    def __init__(self, w1, w2):
        super().__init__()
        D_in, H = w1.shape
        D_out = w2.shape[1]
        self.input_linear = torch.nn.Linear(D_in, H, bias=False, device="meta")
        self.middle_linear = torch.nn.Linear(H, H, bias=False, device="meta")
        self.output_linear = torch.nn.Linear(H, D_out, bias=False, device="meta")
        # The shared start, and a middle layer that begins as the identity
        self.input_linear.weight = torch.nn.Parameter(w1.t().contiguous())
        self.middle_linear.weight = torch.nn.Parameter(torch.eye(H, dtype=w1.dtype, device=w1.device))
        self.output_linear.weight = torch.nn.Parameter(w2.t().contiguous())

    def forward(self, x, middle_layers):
        h_relu = self.input_linear(x).clamp(min=0)
        for _ in range(middle_layers):
            h_relu = self.middle_linear(h_relu).clamp(min=0)
        y_pred = self.output_linear(h_relu)
        return y_pred


@implementation(framework="torch", devices=("cpu", "accelerator"), oracle="dynamic", cycle=4)
def torch_dynamic(x, y, w1, w2, learning_rate, steps):
    """Python control flow in the forward pass: the middle layer 0, 1, 2, 3 times in turn."""
    model = DynamicNet(w1, w2)
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)

    for t in range(steps):
        # Forward pass: the tutorial draws 0 to 3 at random; in turn, every process does the same work
        y_pred = model(x, middle_layers=t % 4)

        # Compute the loss
        loss = criterion(y_pred, y)

        # Zero the gradients, backward pass, update the parameters
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
    weights = (model.input_linear, model.middle_linear, model.output_linear)
    return tuple(layer.weight.detach().t() for layer in weights)
