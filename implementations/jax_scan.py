"""JAX: many iterations in one call, the loop itself compiled by XLA."""

from functools import partial

import jax
import jax.numpy as jnp

from implementations import implementation

AHEAD = 50  # iterations a call, as declared below


@partial(jax.jit, static_argnames="count", donate_argnums=(2, 3))  # donated: new weights may take the place of the old
def iterations(x, y, w1, w2, learning_rate, count):
    """So many iterations as a pure function: their losses and the new weights."""

    def loss_of(w1, w2):
        # Forward pass: compute predicted y, and the loss
        y_pred = jnp.maximum(x @ w1, 0) @ w2
        return jnp.square(y_pred - y).sum()

    def iteration(weights, _t):
        # Use JAX to compute gradients of w1 and w2 with respect to loss
        w1, w2 = weights
        loss, (grad_w1, grad_w2) = jax.value_and_grad(loss_of, argnums=(0, 1))(w1, w2)

        # Update weights
        return (w1 - learning_rate * grad_w1, w2 - learning_rate * grad_w2), loss

    (w1, w2), losses = jax.lax.scan(iteration, (w1, w2), length=count)
    return losses, w1, w2


@implementation(framework="jax", devices=("cuda",), ahead=50, compiled=True)
def jax_scan(x, y, w1, w2, learning_rate, steps):
    """`jax.lax.scan` over `jax.value_and_grad`, 50 iterations a call: their losses become known together."""
    rate = jax.device_put(x.dtype.type(learning_rate), x.sharding)  # a number would be sent in every call
    for t in range(0, steps, AHEAD):
        losses, w1, w2 = iterations(x, y, w1, w2, rate, min(AHEAD, steps - t))
        yield from losses
    return w1, w2
