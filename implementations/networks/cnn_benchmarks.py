"""The networks of cnn-benchmarks that have a time on the CPU: ResNet (He et al., arXiv:1512.03385) and VGG (1409.1556).

Definitions of our own, with the parameters of torchvision's: the 3x3 convolution of a bottleneck has the stride.
"""

import torch
from torch import nn

from implementations import network

RESNETS = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3),
}  # fmt: skip
VGGS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CLASSES = 1000


class Residual(nn.Module):
    """relu(f(x) + x), where f is a few normed convolutions and x is projected if its shape differs from f(x)'s."""

    def __init__(self, wide_in, wide, stride, deep):
        super().__init__()
        inner = wide // 4 if deep else wide
        shapes = [(wide_in, inner, 1, 1), (inner, inner, 3, stride), (inner, wide, 1, 1)]
        shapes = shapes if deep else [(wide_in, wide, 3, stride), (wide, wide, 3, 1)]
        layers = [layer for shape in shapes for layer in (*normed(*shape), nn.ReLU(inplace=True))]
        self.f = nn.Sequential(*layers[:-1])
        same = stride == 1 and wide_in == wide
        self.project = nn.Identity() if same else nn.Sequential(*normed(wide_in, wide, 1, stride))

    def forward(self, x):
        return torch.relu_(self.f(x) + self.project(x))


def normed(wide_in, wide, kernel, stride):
    return nn.Conv2d(wide_in, wide, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(wide)


def resnet(depth):
    """ResNet-18, -34, -50, -101, -152 or -200."""
    deep, wide_in = depth >= 50, 64
    layers = [*normed(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    for stage, count in enumerate(RESNETS[depth]):
        wide = 64 * 2**stage * (4 if deep else 1)
        for at in range(count):
            layers.append(Residual(wide_in, wide, 2 if stage and not at else 1, deep))
            wide_in = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(wide_in, CLASSES))


def vgg(depth):
    """VGG-16 or -19; a smaller image is pooled to the 7 x 7 that its linear layers take."""
    layers, wide_in = [], 3
    for stage, count in enumerate(VGGS[depth]):
        wide = min(64 * 2**stage, 512)
        for _ in range(count):
            layers += [nn.Conv2d(wide_in, wide, 3, 1, 1), nn.ReLU(inplace=True)]
            wide_in = wide
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for wide_in, wide in ((512 * 7 * 7, 4096), (4096, 4096)):
        layers += [nn.Linear(wide_in, wide), nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, CLASSES))


def on_images(model, batch, image):
    """Images of 3 x `image` x `image` and labels, both random, and the cross entropy."""
    images, labels = torch.randn(batch, 3, image, image), torch.randint(CLASSES, (batch,))
    return model, (images,), lambda out: nn.functional.cross_entropy(out, labels)


@network
def resnet_18(batch, image=224):
    return on_images(resnet(18), batch, image)


@network
def resnet_34(batch, image=224):
    return on_images(resnet(34), batch, image)


@network
def resnet_50(batch, image=224):
    return on_images(resnet(50), batch, image)


@network
def resnet_101(batch, image=224):
    return on_images(resnet(101), batch, image)


@network
def resnet_152(batch, image=224):
    return on_images(resnet(152), batch, image)


@network
def resnet_200(batch, image=224):
    return on_images(resnet(200), batch, image)


@network
def vgg16(batch, image=224):
    return on_images(vgg(16), batch, image)


@network
def vgg19(batch, image=224):
    return on_images(vgg(19), batch, image)
