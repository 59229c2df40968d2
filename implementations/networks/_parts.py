"""What the small networks are made of."""

from itertools import pairwise

import torch
from torch import nn


def mlp(*wide, act=nn.ReLU, norm=None):
    layers = []
    for wide_in, wide_out in pairwise(wide):
        layers += [nn.Linear(wide_in, wide_out), *([norm(wide_out)] if norm else []), act()]
    return nn.Sequential(*layers[: -2 if norm else -1])


def regression(model, batch, *shape):
    """A batch of random numbers of `shape` each, and the mean square of what comes out."""
    return model, (torch.randn(batch, *shape),), lambda out: out.square().mean()


def classes(model, batch, count, *shape):
    labels = torch.randint(count, (batch,))
    return model, (torch.randn(batch, *shape),), lambda out: nn.functional.cross_entropy(out, labels)


def words(model, batch, long, vocabulary):
    return model, (torch.randint(vocabulary, (batch, long)),), lambda out: out.square().mean()


class Added(nn.Module):
    """f(x) + x."""

    def __init__(self, *layers):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)


class Attention(nn.Module):
    """Attention written out, so that every product is an operation of its own."""

    def __init__(self, wide, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)

    def forward(self, x):
        batch, long, wide = x.shape
        q, k, v = self.qkv(x).view(batch, long, 3, self.heads, wide // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (wide / self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, long, wide))


class Mean(nn.Module):
    """Over one dimension."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return x.mean(self.dim)


class Swapped(nn.Module):
    """f over the other dimension of a matrix."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x.transpose(1, 2)).transpose(1, 2)


class Unrolled(nn.Module):
    """A cell over a sequence, step by step in Python."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state = x.new_zeros(len(x), self.cell.hidden_size)
        for at in range(x.shape[1]):
            state = self.cell(x[:, at], state)
        return state


class Last(nn.Module):
    """A recurrent layer's output after the last step."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][:, -1]


class Factors(nn.Module):
    """A rating as the product of two learned vectors."""

    def __init__(self, users, items, wide):
        super().__init__()
        self.users, self.items = nn.Embedding(users, wide), nn.Embedding(items, wide)

    def forward(self, pairs):
        return (self.users(pairs[:, 0]) * self.items(pairs[:, 1])).sum(1)


def transformer(wide, deep, heads=4):
    blocks = [
        layer
        for _ in range(deep)
        for layer in (
            Added(nn.LayerNorm(wide), Attention(wide, heads)),
            Added(nn.LayerNorm(wide), *mlp(wide, 4 * wide, wide, act=nn.GELU)),
        )
    ]
    return nn.Sequential(*blocks, nn.LayerNorm(wide))


def convolved(*wide, image, count, norm=False):
    """3x3 convolutions and pooling by 2, a pair for each of `wide` after the first, then a linear layer."""
    layers = []
    for wide_in, wide_out in pairwise(wide):
        layers += [nn.Conv2d(wide_in, wide_out, 3, padding=1), *([nn.BatchNorm2d(wide_out)] if norm else [])]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(wide[-1] * (image >> len(wide) - 1) ** 2, count))
