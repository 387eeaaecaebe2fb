"""The networks' hidden layers, from input scaling to classifier: one function per network.

Each function takes the module `keras.layers`, so that importing this file does not import
Keras, and returns a list of layers that are applied in order. Where a network branches, an
item of the list is a function from a tensor to a tensor or a list of tensors.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

Layers = list[Callable[..., Any]]


def conv_conv(layers: ModuleType) -> Layers:
    """Two 3x3 convolutions, no pooling."""
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
    ]


def pooled_twice(layers: ModuleType) -> Layers:
    """Two 3x3 convolutions, each pooled, flattened: shared by two of the networks."""
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]


def conv_pool_conv_pool(layers: ModuleType) -> Layers:
    """Two 3x3 convolutions, each pooled, and a dense layer of 128."""
    return [*pooled_twice(layers), layers.Dense(128, activation="relu"), layers.Dropout(0.5)]


def conv_conv_pool(layers: ModuleType) -> Layers:
    """Two 3x3 convolutions, one pooling, and a dense layer of 128."""
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
    ]


def conv_pool_thrice(layers: ModuleType) -> Layers:
    """Three 3x3 convolutions, each pooled, and a dense layer of 64."""
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]


def classic(layers: ModuleType) -> Layers:
    """Two 3x3 convolutions, each pooled, and a dense layer of 64."""
    return [*pooled_twice(layers), layers.Dense(64, activation="relu")]


def _conv_bn(
    layers: ModuleType,
    filters: int,
    size: int,
    strides: int = 1,
    padding: str = "same",
    momentum: float = 0.99,
) -> Layers:
    """Convolution, batch normalization, ReLU; export folds the normalization into the kernel."""
    return [
        layers.Conv2D(filters, size, strides=strides, padding=padding, use_bias=False),
        layers.BatchNormalization(momentum=momentum),
        layers.ReLU(),
    ]


def edge(layers: ModuleType) -> Layers:
    """Six small convolutions with batch normalization, the first with stride 2."""
    return [
        *_conv_bn(layers, 10, 5, strides=2),  # 14 x 14: a quarter of the pixels from the start
        *_conv_bn(layers, 12, 3),
        *_conv_bn(layers, 16, 3),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 16, 3),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        layers.Flatten(),
    ]


def swift(layers: ModuleType) -> Layers:
    """Five small convolutions, the first two with stride 2: half of edge's multiply-accumulates."""
    # Designed for ONNX Runtime, which processes channels in blocks of 16 and columns in blocks
    # of 6, and is slow on padding and on 14 x 14 feature maps (docs/export.md).
    return [
        layers.ZeroPadding2D(1),
        *_conv_bn(layers, 16, 5, strides=2, padding="valid"),  # 13 x 13
        layers.ZeroPadding2D(2),  # next 8 x 8, which three valid convolutions reduce to 2 x 2
        *_conv_bn(layers, 16, 3, strides=2, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        layers.Flatten(),
    ]


def robust(layers: ModuleType) -> Layers:
    """Five wider convolutions with batch normalization, the first with stride 2."""
    return [
        *_conv_bn(layers, 16, 5, strides=2),
        *_conv_bn(layers, 24, 3),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 40, 3),
        *_conv_bn(layers, 40, 3, padding="valid"),
        *_conv_bn(layers, 48, 3, padding="valid"),
        layers.Flatten(),
    ]


def micro(layers: ModuleType) -> Layers:
    """Four narrow convolutions, the first with stride 2: 2.8 kB of int8 weights and biases."""
    # ReLU alone, and no feature map above 1,352 values: made for microcontrollers.
    return [
        *_conv_bn(layers, 8, 4, strides=2, padding="valid"),  # 13 x 13
        *_conv_bn(layers, 8, 3, padding="valid"),
        *_conv_bn(layers, 8, 3, padding="valid"),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 12, 3, padding="valid"),  # 2 x 2
        layers.Flatten(),
    ]


def nano(layers: ModuleType, classes: int) -> Layers:
    """Six convolutions, five of them separable with shared depthwise kernels, no dense layer."""

    # Separable layers with the same number of channels share their depthwise kernel; the
    # parameters saved pay for wider layers. Valid padding, average pooling and SiLU each raise
    # the accuracy (docs/search.md).
    def normalized(kernel: Callable[..., Any]) -> Layers:
        return [kernel, layers.BatchNormalization(momentum=0.95), layers.Activation("silu")]

    def separable(spatial: Callable[..., Any], filters: int) -> Layers:
        return [spatial, *normalized(layers.Conv2D(filters, 1, use_bias=False))]

    narrow, wide = (layers.DepthwiseConv2D(3, use_bias=False) for _ in range(2))
    return [
        *normalized(layers.Conv2D(7, 3, use_bias=False)),
        *separable(narrow, 7),
        layers.AveragePooling2D(2),
        *separable(narrow, 10),
        *separable(wide, 10),
        *separable(wide, 10),
        *separable(wide, classes),
        layers.GlobalAveragePooling2D(),
    ]


def accurate(layers: ModuleType, classes: int) -> Layers:
    """Three branches of six convolutions, the first 3x3, 5x5 and 7x7; logits averaged."""

    # Each branch is trained with its own loss (`Recipe.branch_losses`): with one loss for the
    # average, the branches make the same mistakes (docs/search.md).
    def branch(first: int, pooling: Callable[..., Any], padding: str, last: int) -> Layers:
        return [
            *_conv_bn(layers, 16, first, padding="valid"),
            *_conv_bn(layers, 24, 3, padding="valid"),
            pooling(2),
            *_conv_bn(layers, 32, 3),
            *_conv_bn(layers, 48, 3, padding="valid"),
            *_conv_bn(layers, 64, 3, padding=padding),
            pooling(2),
            *_conv_bn(layers, 96, last, padding="valid"),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]

    branches = [
        branch(3, layers.AveragePooling2D, "valid", 3),
        branch(5, layers.MaxPooling2D, "valid", 2),
        branch(7, layers.MaxPooling2D, "same", 3),
    ]

    def logits(x: Any, branch: Layers) -> Any:
        for layer in branch:
            x = layer(x)
        return x

    return [lambda x: [logits(x, branch) for branch in branches], layers.Average()]


def sprint(layers: ModuleType) -> Layers:
    """Five convolutions with batch normalization, trained in one epoch."""
    # One epoch is few steps: moving statistics with the default momentum 0.99 would lag.
    return [
        *_conv_bn(layers, 24, 5, strides=2, momentum=0.9),
        *_conv_bn(layers, 32, 3, momentum=0.9),
        *_conv_bn(layers, 48, 3, momentum=0.9),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 64, 3, momentum=0.9),
        *_conv_bn(layers, 64, 3, padding="valid", momentum=0.9),
        layers.GlobalMaxPooling2D(),
    ]
