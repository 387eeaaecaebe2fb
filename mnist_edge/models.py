"""The model zoo: name -> architecture and training recipe, one table.

A network is a function from `keras.layers` to its list of layers, each called on what the
one before returns, so that reading the table does not import Keras; where it branches, a
function of a tensor stands in the list. Input scaling and the classifier's softmax are the same in
all of them and stand in `build`.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from mnist_edge.augment import Affine
from mnist_edge.cli import InputError


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
        average: Momentum a step of the exponential moving average of the weights that is
            kept in the weights' place; 0 keeps the weights themselves.
        teacher: A trained network whose probabilities are learnt from: a packaged bundle's
            name, or a bundle's folder.
        teacher_share: The teacher's part of the loss; the labels have the rest.
        label_smoothing: Part of each label that is spread evenly over the classes.
        gentle_epochs: The last so many epochs are distorted less.
        gentle_strength: What multiplies the ranges of distortion in them; 0 is none.
        all_images: Whether the validation images are trained on too; nothing can be chosen
            by them then.
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
    average: float = 0.0
    teacher: str | None = None
    teacher_share: float = 0.5
    label_smoothing: float = 0.0
    gentle_epochs: int = 0
    gentle_strength: float = 0.5
    all_images: bool = False

    def __post_init__(self):
        if self.all_images and (self.keep != "last" or self.patience):
            raise InputError(
                "training on all images leaves no validation to stop or to choose by: the last "
                f"weights must be kept. Got: keep {self.keep}, patience {self.patience}. "
                "Add --no-all-images, or leave out --patience."
            )

    @classmethod
    def from_record(cls, record):
        """The recipe that `train.json` holds, a dict; what it does not name has its default."""
        augment = record.get("augment")
        return cls(
            **record
            | {"batch_size": tuple(record["batch_size"]), "augment": augment and Affine(**augment)}
        )

    def batch_size_of(self, epoch):
        """The batch size of an epoch, counted from 0."""
        return self.batch_size[epoch * len(self.batch_size) // self.epochs]

    def words(self):
        """The recipe in a line."""
        parts = [
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}",
            f"batch {' then '.join(map(str, self.batch_size))}",
            f"{'AdamW' if self.weight_decay else 'Adam'} {self.learning_rate:g}",
            "warm-up and cosine" if self.cosine else "",
            "one-hot labels" if self.loss == "categorical_crossentropy" else "",
            f"labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else "",
            "augmented" if self.augment else "",
            f"less so for {self.gentle_epochs}" if self.augment and self.gentle_epochs else "",
            f"taught by {Path(self.teacher).name}" if self.teacher else "",
            "averaged" if self.average else "",
            "validation's best" if self.keep == "best" else "",
            "all images" if self.all_images else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of the zoo.

    Attributes:
        summary: What it is, in a line.
        hidden_layers: Takes `keras.layers`; returns what comes between scaling and
            classifier: a list of layers, and of functions from a tensor to a tensor.
        recipe: Its default training recipe.
        longer: The recipe of the figures on record where it takes longer than the default
            one, or None.
        folded: Whether the trained network is saved with its batch normalisation folded
            into the convolutions.
    """

    summary: str
    hidden_layers: Callable
    recipe: Recipe
    longer: Recipe | None = None
    folded: bool = False

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


def _conv_bn(layers, filters, size, strides=1, padding="same", momentum=0.99):
    """Convolution, batch normalisation, ReLU; an exporter folds the second into the first."""
    return [
        layers.Conv2D(filters, size, strides=strides, padding=padding, use_bias=False),
        layers.BatchNormalization(momentum=momentum),
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


def _swift(layers):
    # Made for ONNX Runtime, which counts channels in sixteens and is dear at 14 x 14.
    return [
        *_conv_bn(layers, 16, 5, strides=2),
        layers.ZeroPadding2D(2),  # 8 x 8 next, of which three valid convolutions leave 2 x 2
        *_conv_bn(layers, 16, 3, strides=2, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        *_conv_bn(layers, 16, 3, padding="valid"),
        layers.Flatten(),
    ]


def _nano(layers):
    # Valid padding and a flat end keep where a stroke lies: after six epochs 97.1 % of the
    # validation images, where as many parameters with a global average had 95.9 %.
    def normalised(kind, filters):
        return [
            kind(filters, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.95),
            layers.Activation("silu"),
        ]

    return [
        *normalised(layers.Conv2D, 6),
        layers.MaxPooling2D(),
        *normalised(layers.SeparableConv2D, 7),
        *normalised(layers.SeparableConv2D, 7),
        layers.MaxPooling2D(),
        *normalised(layers.SeparableConv2D, 7),
        layers.Flatten(),
    ]


def _accurate(layers):
    return [
        *_conv_bn(layers, 24, 3, padding="valid"),
        *_conv_bn(layers, 32, 3, padding="valid"),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 64, 3),
        *_conv_bn(layers, 64, 3, padding="valid"),
        *_conv_bn(layers, 96, 3, padding="valid"),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 128, 3, padding="valid"),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
    ]


def _sprint(layers):
    # One epoch is 600 steps: moving statistics with the usual 0.99 would lag behind.
    return [
        *_conv_bn(layers, 24, 5, strides=2, momentum=0.9),
        *_conv_bn(layers, 32, 3, momentum=0.9),
        *_conv_bn(layers, 48, 3, momentum=0.9),
        layers.MaxPooling2D(),
        *_conv_bn(layers, 64, 3, momentum=0.9),
        *_conv_bn(layers, 64, 3, padding="valid", momentum=0.9),
        layers.GlobalMaxPooling2D(),
    ]


# The distortions that keep a digit what it is; `--augment` takes them where a recipe has
# none of its own.
GENTLE = Affine(rotation=10, shift=2, zoom=0.1, shear=5)

_SMALL = Recipe(
    epochs=20,
    batch_size=(128,),
    learning_rate=1e-2,
    weight_decay=1e-2,
    warmup_epochs=1,
    cosine=True,
    augment=GENTLE,
    average=0.998,
)

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
        _SMALL,
        longer=dataclasses.replace(_SMALL, epochs=40, all_images=True),
    ),
    "swift": Network(
        "five small convolutions, the first two with stride 2: half of edge's time",
        _swift,
        _SMALL,
        longer=dataclasses.replace(_SMALL, epochs=40, all_images=True),
    ),
    "nano": Network(
        "a convolution and three separable ones, no more than 700 parameters",
        _nano,
        Recipe(
            epochs=60,
            batch_size=(64,),
            learning_rate=2e-2,
            weight_decay=1e-2,
            warmup_epochs=1,
            cosine=True,
            average=0.998,
            all_images=True,
        ),
        folded=True,
    ),
    "accurate": Network(
        "six 3x3 convolutions with batch normalisation, pooled twice",
        _accurate,
        Recipe(
            epochs=20,
            batch_size=(128,),
            learning_rate=1e-2,
            weight_decay=1e-2,
            warmup_epochs=1,
            cosine=True,
            augment=Affine(rotation=12, shift=2, zoom=0.12, shear=8),
            average=0.998,
            all_images=True,
        ),
    ),
    "sprint": Network(
        "five convolutions with batch normalisation, trained in one epoch",
        _sprint,
        Recipe(
            epochs=1,
            batch_size=(96,),
            learning_rate=1e-2,
            weight_decay=1e-2,
            warmup_epochs=0.2,
            cosine=True,
            average=0.98,
            all_images=True,
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


# Layers with weights, and which of them multiply each position of the output. Biases,
# normalisation and activations are left out, as is usual.
_KERNELS = {
    "Conv2D": ("kernel",),
    "DepthwiseConv2D": ("kernel",),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel"),
    "Dense": ("kernel",),
    "BatchNormalization": (),
    "PReLU": (),
}


def multiply_accumulates(model):
    """Multiply-accumulates that a model's convolutions and dense layers take an image.

    Args:
        model: A built `keras.Model`.

    Returns:
        int, multiply-accumulates an image.

    Raises:
        InputError: It holds a layer with weights of which it is not known what they cost.
    """
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if layer.weights and kind not in _KERNELS:
            raise InputError(
                f"multiply-accumulates are known of {', '.join(_KERNELS)}. Got: {layer.name}, a "
                f"{kind} with weights. Add it to models._KERNELS."
            )
        positions = math.prod(layer.output.shape[1:-1]) if layer.weights else 0
        for kernel in _KERNELS.get(kind, ()):
            total += positions * math.prod(getattr(layer, kernel).shape)
    return total
