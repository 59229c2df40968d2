"""Small networks of the kinds that people ask about, on random data: what a prediction is calibrated and tried on."""

from torch import nn

from implementations import network
from implementations.networks._parts import (
    Added,
    Factors,
    Last,
    Mean,
    Swapped,
    Unrolled,
    classes,
    convolved,
    mlp,
    regression,
    transformer,
    words,
)
from implementations.networks.cnn_benchmarks import on_images, resnet


@network
def two_layer(batch):
    return regression(mlp(1000, 100, 10), batch, 1000)


@network
def forum_mlp(batch):
    return regression(mlp(32, 64, 5), batch, 32)


@network
def iris(batch):
    return classes(mlp(4, 10, 3), batch, 3, 4)


@network
def mnist_mlp(batch):
    return classes(mlp(784, 128, 10), batch, 10, 784)


@network
def wide_mlp(batch):
    return classes(mlp(512, 2048, 2048, 10), batch, 10, 512)


@network
def deep_mlp(batch):
    return regression(mlp(*[64] * 20), batch, 64)


@network
def policy(batch):
    return regression(mlp(8, 64, 64, 4, act=nn.Tanh), batch, 8)


@network
def normed_mlp(batch):
    return classes(mlp(256, 256, 256, 256, 10, act=nn.GELU, norm=nn.LayerNorm), batch, 10, 256)


@network
def tabular(batch):
    return classes(mlp(40, 512, 512, 2), batch, 2, 40)


@network
def autoencoder(batch):
    return regression(mlp(784, 256, 32, 256, 784), batch, 784)


@network
def pinn(batch):
    return regression(mlp(2, *[50] * 8, 1, act=nn.Tanh), batch, 2)


@network
def lenet(batch):
    layers = [
        layer
        for wide_in, wide, padding in ((1, 6, 2), (6, 16, 0))
        for layer in (nn.Conv2d(wide_in, wide, 5, padding=padding), nn.Tanh(), nn.AvgPool2d(2))
    ]
    return classes(nn.Sequential(*layers, nn.Flatten(), *mlp(400, 120, 84, 10, act=nn.Tanh)), batch, 10, 1, 28, 28)


@network
def mnist_cnn(batch):
    return classes(convolved(1, 32, 64, image=28, count=10), batch, 10, 1, 28, 28)


@network
def cifar_cnn(batch):
    return classes(convolved(3, 32, 64, 128, image=32, count=10, norm=True), batch, 10, 3, 32, 32)


@network
def all_conv(batch):
    wide = ((3, 48, 1), (48, 48, 2), (48, 96, 1), (96, 96, 2), (96, 10, 1))
    layers = [layer for a, b, stride in wide for layer in (nn.Conv2d(a, b, 3, stride, 1), nn.ReLU())]
    return classes(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), batch, 10, 3, 32, 32)


@network
def resnet_18_small(batch):
    return on_images(resnet(18), batch, 64)


@network
def resnet_50_small(batch):
    return on_images(resnet(50), batch, 64)


@network
def depthwise(batch):
    blocks = [
        nn.Sequential(nn.Conv2d(a, a, 3, stride, 1, groups=a), nn.ReLU(), nn.Conv2d(a, b, 1), nn.ReLU())
        for a, b, stride in ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2))
    ]
    model = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    return classes(model, batch, 10, 3, 64, 64)


@network
def upscaler(batch):
    wide = ((64, 128, 4, 1, 0), (128, 64, 4, 2, 1), (64, 32, 4, 2, 1), (32, 3, 4, 2, 1))
    layers = [layer for shape in wide for layer in (nn.ConvTranspose2d(*shape), nn.ReLU())]
    return regression(nn.Sequential(*layers[:-1]), batch, 64, 1, 1)


@network
def waveform(batch):
    wide = ((1, 32, 9, 4), (32, 64, 9, 4), (64, 128, 9, 4))
    layers = [layer for a, b, k, stride in wide for layer in (nn.Conv1d(a, b, k, stride, k // 2), nn.ReLU())]
    return classes(nn.Sequential(*layers, Mean(2), nn.Linear(128, 10)), batch, 10, 1, 4000)


@network
def transformer_small(batch):
    return regression(transformer(64, 2), batch, 32, 64)


@network
def transformer_wide(batch):
    return regression(transformer(256, 4), batch, 64, 256)


@network
def mixer(batch):
    blocks = [
        layer
        for _ in range(4)
        for layer in (
            Added(nn.LayerNorm(128), Swapped(mlp(49, 96, 49, act=nn.GELU))),
            Added(nn.LayerNorm(128), *mlp(128, 512, 128, act=nn.GELU)),
        )
    ]
    return classes(nn.Sequential(*blocks, Mean(1), nn.Linear(128, 10)), batch, 10, 49, 128)


@network
def text_classifier(batch):
    return words(nn.Sequential(nn.Embedding(2000, 64), Mean(1), *mlp(64, 64, 2)), batch, 100, 2000)


@network
def factorisation(batch):
    return words(Factors(1000, 1000, 32), batch, 2, 1000)


@network
def unrolled_rnn(batch):
    return regression(nn.Sequential(Unrolled(nn.RNNCell(32, 64)), nn.Linear(64, 8)), batch, 20, 32)


@network
def unrolled_gru(batch):
    return regression(nn.Sequential(Unrolled(nn.GRUCell(32, 64)), nn.Linear(64, 8)), batch, 20, 32)


@network
def fused_lstm(batch):
    return regression(nn.Sequential(Last(nn.LSTM(32, 64, batch_first=True)), nn.Linear(64, 8)), batch, 20, 32)
