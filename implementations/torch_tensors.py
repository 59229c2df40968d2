"""torch tensors, forward and backward by hand."""

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_tensors(x, y, w1, w2, learning_rate, steps):
    """The numpy loop word for word on torch tensors."""
    for _t in range(steps):
        # Forward pass: compute predicted y
        h = x.mm(w1)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)

        # Compute the loss; the clock reads it, as the tutorial prints it
        loss = (y_pred - y).pow(2).sum()

        # Backprop to compute gradients of w1 and w2 with respect to loss
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.t().mm(grad_y_pred)
        grad_h_relu = grad_y_pred.mm(w2.t())
        grad_h = grad_h_relu.clone()
        grad_h[h < 0] = 0
        grad_w1 = x.t().mm(grad_h)

        # Update weights using gradient descent
        w1 -= learning_rate * grad_w1
        w2 -= learning_rate * grad_w2
        yield loss
    return w1, w2
