"""Published MNIST networks to hold the zoo's against: figures, sources, and layers where given."""

import dataclasses
from collections.abc import Callable

from mnist_edge import models
from mnist_edge.models import architectures


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network and its figure on MNIST's test set.

    Attributes:
        name: How pictures call it.
        accuracy: Share of the test images, as published.
        parameters: As published.
        how: What the accuracy is of.
        source: Where it is published.
        size_bytes: The size that its source gives, or None.
        hidden_layers: Takes `keras.layers`; returns the layers between scaling and
            classifier; None where the source's network can't be had in Keras.
    """

    name: str
    accuracy: float
    parameters: int
    how: str
    source: str
    size_bytes: int | None = None
    hidden_layers: Callable | None = None

    @property
    def least_bytes(self):
        """Its size, or else the least that it takes in int8: a byte a parameter."""
        return self.size_bytes or self.parameters


def _conv_bn(layers, filters, size, **options):
    return [
        layers.Conv2D(filters, size, **options),
        layers.ReLU(),
        layers.BatchNormalization(),
    ]


def _deotte(layers):
    return [
        *_conv_bn(layers, 32, 3),
        *_conv_bn(layers, 32, 3),
        *_conv_bn(layers, 32, 5, strides=2, padding="same"),
        *_conv_bn(layers, 64, 3),
        *_conv_bn(layers, 64, 3),
        *_conv_bn(layers, 64, 5, strides=2, padding="same"),
        *_conv_bn(layers, 128, 4),
        layers.Flatten(),
    ]


def _erav4(layers):
    def block(*widths_and_sizes):
        return [
            layer
            for filters, size in widths_and_sizes
            for layer in (
                layers.Conv2D(filters, size, padding="same"),
                layers.BatchNormalization(),
                layers.ReLU(),
            )
        ]

    return [
        *block((8, 3), (16, 3), (8, 1)),
        layers.MaxPooling2D(),
        *block((12, 3), (16, 3), (6, 1)),
        layers.MaxPooling2D(),
        *block((12, 3), (12, 3), (6, 1)),
        layers.MaxPooling2D(),
        *block((10, 3), (10, 3)),
        layers.GlobalAveragePooling2D(),
    ]


def _joshwarn(layers):
    separable = (
        layer
        for filters in (5, 9, 10, 8)
        for layer in (layers.SeparableConv2D(filters, 3), layers.LeakyReLU(0.2))
    )
    return [
        layers.Conv2D(6, 3),
        layers.LeakyReLU(0.2),
        layers.MaxPooling2D(),
        *separable,
        layers.GlobalAveragePooling2D(),
    ]


def _train_mnist_fast(layers):
    return [
        layers.Conv2D(24, 5),
        layers.MaxPooling2D(),
        layers.ReLU(),
        layers.Conv2D(32, 3),
        layers.MaxPooling2D(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def _keras_example(layers):
    return [*architectures.pooled_twice(layers), layers.Dropout(0.5)]


PUBLISHED = (
    Published(
        "Deotte",
        0.99641,
        327_242,
        "mean of 100 runs",
        "Chris Deotte, kaggle.com/code/cdeotte/25-million-images-0-99757-mnist",
        hidden_layers=_deotte,
    ),
    Published(
        "BitNetMCU",
        0.9955,
        33_088,
        "one run, trained for its few bits",
        "github.com/cpldcpu/BitNetMCU",
        size_bytes=11_000,
    ),
    Published(
        "ERAV4",
        0.9946,
        7_954,
        "one run",
        "github.com/roulupen/ERAV4, assignment6",
        hidden_layers=_erav4,
    ),
    Published(
        "JoshWarn",
        0.9903,
        697,
        "best of 700 runs, chosen on the test set",
        "github.com/JoshWarn/Parameter-Efficient-MNIST",
        hidden_layers=_joshwarn,
    ),
    Published(
        "train_mnist_fast",
        0.99041,
        215_194,
        "one epoch, mean of 30 runs",
        "github.com/tuomaso/train_mnist_fast",
        hidden_layers=_train_mnist_fast,
    ),
    Published(
        "Keras's example",
        0.9922,
        34_826,
        "one run",
        "keras.io/examples/vision/mnist_convnet",
        size_bytes=139_000,
        hidden_layers=_keras_example,
    ),
)


def build(one):
    """Builds a published network, untrained.

    Args:
        one: A `Published` with layers.

    Returns:
        A `keras.Model`, raw pixels `[batch, 28, 28, 1]` in, probabilities out.
    """
    return models.assemble(one.hidden_layers, folder_name(one.name))


def folder_name(name):
    """A name as a folder and Keras take it."""
    return "".join(c if c.isalnum() else "-" for c in name).lower()
