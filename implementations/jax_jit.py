"""JAX: the loss and its gradient as a pure function, compiled by XLA."""

from functools import partial

import jax
import jax.numpy as jnp

from implementations import implementation


@partial(jax.jit, donate_argnums=(2, 3))  # donated: the new weights may take the place of the old
def iteration(x, y, w1, w2, learning_rate):
    """An iteration as a pure function: the loss and the new weights."""

    def loss_of(w1, w2):
        # Forward pass: compute predicted y, and the loss
        y_pred = jnp.maximum(x @ w1, 0) @ w2
        return jnp.square(y_pred - y).sum()

    # Use JAX to compute gradients of w1 and w2 with respect to loss
    loss, (grad_w1, grad_w2) = jax.value_and_grad(loss_of, argnums=(0, 1))(w1, w2)

    # Update weights
    return loss, w1 - learning_rate * grad_w1, w2 - learning_rate * grad_w2


@implementation(framework="jax", devices=("cpu", "cuda"), compiled=True)
def jax_jit(x, y, w1, w2, learning_rate, steps):
    """`jax.value_and_grad` under `jax.jit`, one call an iteration."""
    rate = jax.device_put(x.dtype.type(learning_rate), x.sharding)  # a number would be sent in every iteration
    for _t in range(steps):
        loss, w1, w2 = iteration(x, y, w1, w2, rate)
        yield loss
    return w1, w2
