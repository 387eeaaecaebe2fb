"""The model zoo: name -> architecture and training recipe, one table.

A network is a function from `keras.layers` to its list of layers, so that reading the
table does not import Keras. Input scaling and the classifier's softmax are the same in
all of them and stand in `build`.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from mnist_edge.augment import Affine


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained, unless the command line says otherwise.

    Attributes:
        epochs: Passes over the training images, at most.
        batch_size: Images a step; of several, each is used for an equal share of the
            epochs, in turn.
        learning_rate: Adam's, or the peak of the schedule.
        weight_decay: AdamW's decoupled decay; 0 is plain Adam.
        warmup_epochs: Epochs over which the learning rate rises from 0.
        cosine: Whether the learning rate then falls to 0 along a cosine.
        loss: Keras's name of the loss, with sparse labels or with one-hot ones.
        augment: How training images are distorted, or None.
        keep: "best", the weights of the epoch with the highest validation accuracy, or
            "last".
        patience: Stop after so many epochs without a higher validation accuracy; None
            trains all epochs.
    """

    epochs: int
    batch_size: tuple[int, ...]
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup_epochs: float = 0.0
    cosine: bool = False
    loss: str = "sparse_categorical_crossentropy"
    augment: Affine | None = None
    keep: str = "last"
    patience: int | None = None

    def batch_size_of(self, epoch):
        """The batch size of an epoch, counted from 0."""
        return self.batch_size[epoch * len(self.batch_size) // self.epochs]

    def words(self):
        """The recipe in a line."""
        parts = [
            f"{self.epochs} epochs",
            f"batch {' then '.join(map(str, self.batch_size))}",
            f"{'AdamW' if self.weight_decay else 'Adam'} {self.learning_rate:g}",
            "warm-up and cosine" if self.cosine else "",
            "one-hot labels" if self.loss == "categorical_crossentropy" else "",
            "augmented" if self.augment else "",
            "validation's best" if self.keep == "best" else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of the zoo.

    Attributes:
        summary: What it is, in a line.
        hidden_layers: Takes `keras.layers`; returns the layers between scaling and
            classifier.
        recipe: Its default training recipe.
        longer: The recipe of the figures on record where it takes longer than the default
            one, or None.
    """

    summary: str
    hidden_layers: Callable
    recipe: Recipe
    longer: Recipe | None = None

    @property
    def full_recipe(self):
        """The recipe of the figures on record."""
        return self.longer or self.recipe


def _conv_conv(layers):
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
    ]


def _pooled_twice(layers):
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]


def _conv_pool_conv_pool(layers):
    return [*_pooled_twice(layers), layers.Dense(128, activation="relu"), layers.Dropout(0.5)]


def _conv_conv_pool(layers):
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
    ]


def _conv_pool_thrice(layers):
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


def _classic(layers):
    return [*_pooled_twice(layers), layers.Dense(64, activation="relu")]


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


# The distortions that keep a digit what it is; `--augment` takes them where a recipe has
# none of its own.
GENTLE = Affine(rotation=10, shift=2, zoom=0.1, shear=5)

ZOO = {
    "conv-conv": Network(
        "two 3x3 convolutions, nothing pooled",
        _conv_conv,
        Recipe(epochs=5, batch_size=(64,)),
    ),
    "conv-pool-conv-pool": Network(
        "two 3x3 convolutions, each pooled, a dense layer of 128",
        _conv_pool_conv_pool,
        Recipe(epochs=10, batch_size=(64,), loss="categorical_crossentropy", keep="best"),
    ),
    "conv-conv-pool": Network(
        "two 3x3 convolutions, then one pooling, a dense layer of 128",
        _conv_conv_pool,
        Recipe(epochs=5, batch_size=(64,), loss="categorical_crossentropy", keep="best"),
    ),
    "conv-pool-thrice": Network(
        "three 3x3 convolutions, each pooled, a dense layer of 64",
        _conv_pool_thrice,
        Recipe(epochs=5, batch_size=(64,)),
    ),
    "classic": Network(
        "two 3x3 convolutions, each pooled, a dense layer of 64",
        _classic,
        Recipe(epochs=10, batch_size=(64,)),
    ),
    "edge": Network(
        "six small convolutions with batch normalisation, the first with stride 2",
        _edge,
        Recipe(
            epochs=20,
            batch_size=(128,),
            learning_rate=1e-2,
            weight_decay=1e-2,
            warmup_epochs=1,
            cosine=True,
            augment=GENTLE,
        ),
    ),
}
DEFAULT = "edge"
# Bundles of trained models that are packaged, by name.
PRETRAINED = Path(__file__).with_name("pretrained")


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
