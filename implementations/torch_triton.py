"""Triton: the whole iteration in one persistent kernel, several iterations a launch."""

import torch
import triton
import triton.language as tl

from implementations import implementation

AHEAD = 50  # iterations a launch, as declared below


@triton.jit
def _wait_for_all(arrived, target, ALONE: tl.constexpr):
    """A barrier of the grid: every program is on the chip at once (cooperative launch), so that the waiting ends."""
    if not ALONE:
        tl.debug_barrier()  # all of this program's stores are made before it arrives
        tl.atomic_add(arrived, 1, sem="acq_rel", scope="gpu")
        while tl.atomic_add(arrived, 0, sem="acquire", scope="gpu") < target:
            pass
        tl.debug_barrier()


@triton.jit
def _forward_tile(x, w1, parts, tile, n, h,
                  N: tl.constexpr, D_IN: tl.constexpr, H: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr,
                  BH: tl.constexpr):  # fmt: skip
    """A tile's share of x w1: BD columns of x by as many rows of w1."""
    d = tile * BD + tl.arange(0, BD)
    xs = tl.load(x + n[:, None] * D_IN + d[None, :], mask=(n[:, None] < N) & (d[None, :] < D_IN), other=0.0)
    ws = tl.load(w1 + d[:, None] * H + h[None, :], mask=(d[:, None] < D_IN) & (h[None, :] < H), other=0.0)
    tl.store(parts + tile * (BN * BH) + n[:, None] * BH + h[None, :], tl.dot(xs, ws, input_precision="ieee"))


@triton.jit
def _row(y, parts, act, grad, resid, row_loss, w2s, row, h, o,
         D_OUT: tl.constexpr, BN: tl.constexpr, BH: tl.constexpr, BO: tl.constexpr, TILES: tl.constexpr,
         BT: tl.constexpr):  # fmt: skip
    """A row of the batch: h, its ReLU, y_pred, the residual, its share of the loss, grad_h."""
    i = tl.arange(0, BT)
    shares = tl.load(parts + i[:, None] * (BN * BH) + row * BH + h[None, :],
                     mask=i[:, None] < TILES, other=0.0, cache_modifier=".cg")  # fmt: skip
    hidden = tl.sum(shares, axis=0)
    relu = tl.maximum(hidden, 0.0)
    y_pred = tl.sum(relu[:, None] * w2s, axis=0)
    residual = y_pred - tl.load(y + row * D_OUT + o, mask=o < D_OUT, other=0.0)
    tl.store(row_loss + row, tl.sum(residual * residual, axis=0))
    back = tl.sum(w2s * residual[None, :], axis=1)
    tl.store(grad + row * BH + h, tl.where(hidden < 0, 0.0, back))
    tl.store(act + row * BH + h, relu)
    tl.store(resid + row * BO + o, residual)


@triton.jit
def _update_tile(x, w1, grad, rate2, tile, h,
                 N: tl.constexpr, D_IN: tl.constexpr, H: tl.constexpr, BN: tl.constexpr, BD: tl.constexpr,
                 BH: tl.constexpr):  # fmt: skip
    """The update of a tile's rows of w1."""
    d = tile * BD + tl.arange(0, BD)
    at = w1 + d[:, None] * H + h[None, :]
    inside = (d[:, None] < D_IN) & (h[None, :] < H)
    change = tl.zeros((BD, BH), tl.float32)
    for first in tl.static_range(0, BN, 16):  # a float32 product keeps all of K in registers: 16 at a time
        k = first + tl.arange(0, 16)
        xs = tl.load(x + k[None, :] * D_IN + d[:, None], mask=(k[None, :] < N) & (d[:, None] < D_IN), other=0.0)
        grads = tl.load(grad + k[:, None] * BH + h[None, :], mask=k[:, None] < N, other=0.0, cache_modifier=".cg")
        change = tl.dot(xs, grads, change, input_precision="ieee")
    tl.store(at, tl.load(at, mask=inside, other=0.0) - rate2 * change, mask=inside)


@triton.jit
def _update_unit(w2, act, resid, rate2, unit, n, o,
                 N: tl.constexpr, D_OUT: tl.constexpr, BH: tl.constexpr, BO: tl.constexpr):  # fmt: skip
    """The update of one hidden unit's row of w2."""
    acts = tl.load(act + n * BH + unit, mask=n < N, other=0.0, cache_modifier=".cg")
    res = tl.load(resid + n[:, None] * BO + o[None, :], mask=n[:, None] < N, other=0.0, cache_modifier=".cg")
    at, keep = w2 + unit * D_OUT + o, o < D_OUT
    step = tl.sum(acts[:, None] * res, axis=0)
    tl.store(at, tl.load(at, mask=keep, other=0.0, cache_modifier=".cg") - rate2 * step, mask=keep)


@triton.jit
def _train(
    x, y, w1, w2, parts, act, grad, resid, row_loss, losses, arrived, rate2, steps,
    N: tl.constexpr, D_IN: tl.constexpr, H: tl.constexpr, D_OUT: tl.constexpr,
    BN: tl.constexpr, BD: tl.constexpr, BH: tl.constexpr, BO: tl.constexpr, TILES: tl.constexpr, BT: tl.constexpr,
    PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Program i owns tiles i, i + PROGRAMS, ... of w1 and of x's columns, the same rows of the batch and of w2."""
    pid = tl.program_id(0)
    n, h, o = tl.arange(0, BN), tl.arange(0, BH), tl.arange(0, BO)
    t = 0
    while t < steps:  # not range(): the interpreter cannot take a tensor there under numpy 2.5
        # Forward pass: compute predicted y, and the loss
        tile = pid
        while tile < TILES:
            _forward_tile(x, w1, parts, tile, n, h, N, D_IN, H, BN, BD, BH)
            tile += PROGRAMS
        _wait_for_all(arrived, (2 * t + 1) * PROGRAMS, PROGRAMS == 1)
        w2s = tl.load(w2 + h[:, None] * D_OUT + o[None, :], mask=(h[:, None] < H) & (o[None, :] < D_OUT), other=0.0,
                      cache_modifier=".cg")  # fmt: skip
        row = pid
        while row < N:
            _row(y, parts, act, grad, resid, row_loss, w2s, row, h, o, D_OUT, BN, BH, BO, TILES, BT)
            row += PROGRAMS
        _wait_for_all(arrived, (2 * t + 2) * PROGRAMS, PROGRAMS == 1)
        if pid == 0:
            each = tl.load(row_loss + n, mask=n < N, other=0.0, cache_modifier=".cg")
            tl.store(losses + t, tl.sum(each, axis=0))

        # Update weights
        tile = pid
        while tile < TILES:
            _update_tile(x, w1, grad, rate2, tile, h, N, D_IN, H, BN, BD, BH)
            tile += PROGRAMS
        unit = pid
        while unit < H:  # read by the rows of the next iteration, behind its first barrier
            _update_unit(w2, act, resid, rate2, unit, n, o, N, D_OUT, BH, BO)
            unit += PROGRAMS
        tl.debug_barrier()  # this program's own tiles of w1 are read by other threads of it next
        t += 1


def _launcher(x, y, w1, w2, learning_rate):
    """A function that trains so many iterations in one launch, and the losses (AHEAD,) that it leaves."""
    (N, D_in), (H, D_out) = x.shape, w2.shape
    BN, BD, BH, BO = (max(16, triton.next_power_of_2(side)) for side in (N, 1, H, D_out))
    tiles = triton.cdiv(D_in, BD)
    if x.dtype != torch.float32 or BN * BH > 16384:
        raise ValueError(f"for float32 and a layer of {N} x {H} that one program's registers hold, not {x.dtype}")

    def new(*shape):
        return torch.zeros(shape, dtype=x.dtype, device=x.device)

    parts, act, grad, resid, row_loss = new(tiles, BN, BH), new(BN, BH), new(BN, BH), new(BN, BO), new(BN)
    losses, arrived = new(AHEAD), torch.zeros(1, dtype=torch.int32, device=x.device)
    # the interpreter runs one program after another: there, one program does it all and waits for nobody
    programs, options = 1, {}
    if x.is_cuda:
        programs = min(max(tiles, N), torch.cuda.get_device_properties(x.device).multi_processor_count)
        options = {"num_warps": 8, "launch_cooperative_grid": True}

    def launch(count):
        arrived.zero_()
        _train[(programs,)](
            x, y, w1, w2, parts, act, grad, resid, row_loss, losses, arrived, 2.0 * learning_rate, count,
            N, D_in, H, D_out, BN, BD, BH, BO, tiles, triton.next_power_of_2(tiles), programs, **options,
        )  # fmt: skip

    return launch, losses.unbind()


@implementation(framework="torch", devices=("cuda",), ahead=50, compiled=True)
def torch_triton(x, y, w1, w2, learning_rate, steps):
    """One Triton kernel for 50 iterations, two barriers of the whole grid in each: losses become known together."""
    launch, losses = _launcher(x, y, w1, w2, learning_rate)
    for t in range(0, steps, AHEAD):
        count = min(AHEAD, steps - t)
        launch(count)
        yield from losses[:count]
    return w1, w2
