"""The model zoo: name -> architecture and training recipe, one table.

A network is a function from `keras.layers` to its list of layers, so that reading the
table does not import Keras. Input scaling and the classifier's softmax are the same in
all of them and stand in `build`.
"""

import dataclasses
import math
from collections.abc import Callable

from mnist_edge.augment import Affine


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained, unless the command line says otherwise.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Adam's, or the peak of the schedule.
        weight_decay: AdamW's decoupled decay; 0 is plain Adam.
        warmup_epochs: Epochs over which the learning rate rises from 0.
        cosine: Whether the learning rate then falls to 0 along a cosine.
        augment: How training images are distorted, or None.
        keep: "best", the weights of the epoch with the highest validation accuracy, or
            "last".
    """

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup_epochs: float = 0.0
    cosine: bool = False
    augment: Affine | None = None
    keep: str = "last"


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of the zoo.

    Attributes:
        summary: What it is, in a line.
        hidden_layers: Takes `keras.layers`; returns the layers between scaling and
            classifier.
        recipe: Its default training recipe.
    """

    summary: str
    hidden_layers: Callable
    recipe: Recipe


def _classic(layers):
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]


def _conv_bn(layers, filters, size, strides=1, padding="same"):
    """Convolution, batch normalisation, ReLU; an exporter folds the second into the first."""
    return [
        layers.Conv2D(filters, size, strides=strides, padding=padding, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
    ]


def _edge(layers):
    return [
        *_conv_bn(layers, 10, 5, strides=2),  # 14 x 14: a quarter of the pixels at once
        *_conv_bn(layers, 12, 3),
        *_conv_bn(layers, 16, 3),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 16, 3),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        layers.Flatten(),
    ]


ZOO = {
    "classic": Network(
        "two 3x3 convolutions with pooling, a dense layer of 64",
        _classic,
        Recipe(epochs=10, batch_size=64),
    ),
    "edge": Network(
        "six small convolutions with batch normalisation, the first with stride 2",
        _edge,
        Recipe(
            epochs=20,
            batch_size=128,
            learning_rate=1e-2,
            weight_decay=1e-2,
            warmup_epochs=1,
            cosine=True,
            augment=Affine(rotation=10, shift=2, zoom=0.1, shear=5),
        ),
    ),
}
DEFAULT = "edge"


def build(name, shape=(28, 28), classes=10):
    """Builds an untrained model: raw pixels in, probabilities out.

    Args:
        name: A key of `ZOO`.
        shape: Height and width of the images.
        classes: Number of classes.

    Returns:
        A `keras.Model` with input `image`, float32 `[batch, height, width, 1]`, 0 to
        255, and output `probabilities`, float32 `[batch, classes]`.
    """
    import keras

    image = keras.Input((*shape, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    for layer in ZOO[name].hidden_layers(keras.layers):
        x = layer(x)
    probabilities = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(image, probabilities, name=name)


def multiply_accumulates(model):
    """Multiply-accumulates that a model's convolutions and dense layers take an image.

    Biases, normalisation, activations and pooling are left out, as is usual.

    Args:
        model: A built `keras.Model` of `Conv2D` and `Dense` layers.

    Returns:
        int, multiply-accumulates an image.
    """
    import keras

    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total
