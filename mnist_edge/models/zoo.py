"""The model zoo: a table from name to architecture and training recipe.

Input scaling and the classifier's softmax are the same in all networks: see `assemble`.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_edge import backend
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.models import architectures
from mnist_edge.models.recipe import Affine, Recipe

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Network:
    """An entry of the zoo.

    Attributes:
        hidden_layers: A function of `architectures`: takes `keras.layers`; returns the layers
            between scaling and classifier, or functions from tensor to tensor, in order.
        recipe: The default training recipe.
        longer: The recipe of the recorded accuracy if it differs from the default, or None.
        folded: Whether the trained network is saved with its batch normalization folded
            into the convolutions.
        classifies: Whether the layers end in one logit per class, so that no dense classifier
            is added; `hidden_layers` then takes the number of classes as well.
    """

    hidden_layers: Callable[..., list[Any]]
    recipe: Recipe
    longer: Recipe | None = None
    folded: bool = False
    classifies: bool = False

    @property
    def summary(self) -> str:
        """One-line description of the network."""
        return (self.hidden_layers.__doc__ or "").splitlines()[0].rstrip(".")

    @property
    def full_recipe(self) -> Recipe:
        """The recipe of the recorded accuracy."""
        return self.longer or self.recipe


# Distortions small enough to keep a digit's class; used by `--augment` if the recipe has none.
GENTLE = Affine(rotation=10, shift=2, zoom=0.1, shear=5)

_AVERAGED = Recipe(
    epochs=20,
    batch_size=128,
    learning_rate=1e-2,
    weight_decay=1e-2,
    warmup_epochs=1,
    cosine=True,
    average=0.998,
)
_SMALL = dataclasses.replace(_AVERAGED, augment=GENTLE, muon_rate=5e-2)
_SMALL_LONGER = dataclasses.replace(_SMALL, epochs=80, weight_decay=0.1, all_images=True)
_ROBUST = dataclasses.replace(
    _SMALL,
    weight_decay=0.02,
    augment=dataclasses.replace(GENTLE, disturbed=0.6),
    extra_digits=True,
)
_EDGE_ROBUST = dataclasses.replace(
    _ROBUST, augment=dataclasses.replace(GENTLE, disturbed=0.3), extra_digits=False
)
_NANO = dataclasses.replace(
    _AVERAGED,
    batch_size=64,
    learning_rate=2e-2,
    muon_rate=5e-2,
    augment=Affine(rotation=6, shift=1, zoom=0.06, shear=4),
)
_MICRO = dataclasses.replace(_SMALL, weight_decay=1e-2, augment=_NANO.augment)
_BRANCHED = dataclasses.replace(
    _AVERAGED,
    epochs=4,
    muon_rate=5e-2,
    augment=Affine(rotation=12, shift=2, zoom=0.12, shear=8),
    branch_losses=True,
)

ZOO = {
    "conv-conv": Network(
        architectures.conv_conv,
        Recipe(epochs=5, batch_size=64),
    ),
    "conv-pool-conv-pool": Network(
        architectures.conv_pool_conv_pool,
        Recipe(epochs=10, batch_size=64, loss="categorical_crossentropy", keep="best"),
    ),
    "conv-conv-pool": Network(
        architectures.conv_conv_pool,
        Recipe(epochs=5, batch_size=64, loss="categorical_crossentropy", keep="best"),
    ),
    "conv-pool-thrice": Network(
        architectures.conv_pool_thrice,
        Recipe(epochs=5, batch_size=64),
    ),
    "classic": Network(
        architectures.classic,
        Recipe(epochs=10, batch_size=64),
    ),
    "edge": Network(
        architectures.edge,
        _SMALL,
        longer=_SMALL_LONGER,
    ),
    "swift": Network(
        architectures.swift,
        _SMALL,
        longer=dataclasses.replace(_SMALL_LONGER, weight_decay=0.05),
    ),
    "robust": Network(
        architectures.robust,
        _ROBUST,
        longer=dataclasses.replace(_ROBUST, all_images=True),
    ),
    "edge-robust": Network(
        architectures.edge,
        _EDGE_ROBUST,
        longer=dataclasses.replace(_EDGE_ROBUST, epochs=30, all_images=True),
    ),
    "nano": Network(
        architectures.nano,
        _NANO,
        longer=dataclasses.replace(_NANO, epochs=80, all_images=True),
        folded=True,
        classifies=True,
    ),
    "micro": Network(
        architectures.micro,
        _MICRO,
        longer=dataclasses.replace(_MICRO, epochs=40, all_images=True),
    ),
    "accurate": Network(
        architectures.accurate,
        _BRANCHED,
        longer=dataclasses.replace(_BRANCHED, epochs=12, plain_epochs=2, all_images=True),
        classifies=True,
    ),
    "sprint": Network(
        architectures.sprint,
        dataclasses.replace(
            _AVERAGED,
            epochs=1,
            batch_size=64,
            muon_rate=5e-2,
            warmup_epochs=0.2,
            average=0.98,
            label_smoothing=0.1,
            all_images=True,
        ),
    ),
}
DEFAULT = "edge"
# Folder of the packaged bundles, one per model.
PRETRAINED = Path(__file__).with_name("pretrained")
_MNIST_SIDE = 28  # pixels; every network of the zoo accepts it


def network(name: str) -> Network:
    """Returns an entry of the zoo; raises `InputError` if there is none of that name."""
    if name not in ZOO:
        meant = did_you_mean(str(name), ZOO)
        raise InputError(f"model must be one of {', '.join(ZOO)}. Got: {name}. {meant}".rstrip())
    return ZOO[name]


def check(name: str, recipe: Recipe) -> None:
    """Raises `InputError` if there is no such network, or it can't be trained by the recipe."""
    row = network(name)
    if recipe.branch_losses and not row.recipe.branch_losses:
        raise InputError(
            f"recipe.branch_losses must be false for {name}, which averages no branches. Got: true."
        )


def build(
    name: str, shape: tuple[int, ...] = (_MNIST_SIDE,) * 2, classes: int = 10
) -> "keras.Model":
    """Builds an untrained model that maps raw pixels to probabilities.

    Args:
        name: A key of `ZOO`.
        shape: Height and width of the images.
        classes: Number of classes.

    Returns:
        A model with input `image`, float32 `[batch, height, width, 1]`, 0 to 255, and output
        `probabilities`, float32 `[batch, classes]`.

    Raises:
        InputError: There is no such network, or the images are too small for it.
    """
    row = network(name)
    try:
        return assemble(row.hidden_layers, name, shape, classes, row.classifies)
    except ValueError as error:
        least = _least_side(row, min(shape) + 1)
        if least is None:
            raise
        raise InputError(
            f"{name} must be given images of {least} x {least} pixels or more. "
            f"Got: {shape[0]} x {shape[1]}. Enlarge them, or choose another network by --model."
        ) from error


def _least_side(row: Network, first: int) -> int | None:
    """Returns the smallest image side, from `first` on, that a network accepts, or None."""
    for side in range(first, _MNIST_SIDE + 1):
        with contextlib.suppress(ValueError):
            assemble(row.hidden_layers, "trial", (side, side), classifies=row.classifies)
            return side
    return None


def assemble(
    hidden_layers: Callable[..., list[Any]],
    name: str,
    shape: tuple[int, ...] = (28, 28),
    classes: int = 10,
    classifies: bool = False,
) -> "keras.Model":
    """Builds an untrained model: input scaling, the given layers, and the classifier.

    Args:
        hidden_layers: See `Network.hidden_layers`.
        name: The model's name.
        shape: Height and width of the images.
        classes: Number of classes.
        classifies: See `Network.classifies`.
    """
    keras = backend.import_keras()
    image = keras.Input((*shape, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    hidden = hidden_layers(keras.layers, *([classes] if classifies else []))
    for layer in hidden:
        x = layer(x)
    if classifies:
        classifier = keras.layers.Activation("softmax", name="probabilities")
    else:
        classifier = keras.layers.Dense(classes, activation="softmax", name="probabilities")
    return keras.Model(image, classifier(x), name=name)


# For each layer with weights, the kernels that are applied at each position of the output.
# Biases, normalization and activations are not counted, as is usual.
_KERNELS: dict[str, tuple[str, ...]] = {
    "Conv2D": ("kernel",),
    "DepthwiseConv2D": ("kernel",),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel"),
    "Dense": ("kernel",),
    "BatchNormalization": (),
    "PReLU": (),
}


def multiply_accumulates(model: "keras.Model") -> int:
    """Counts the multiply-accumulates of convolutions and dense layers per image.

    Raises:
        InputError: It holds a layer with weights whose cost is unknown.
    """
    import keras

    total = 0

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        nonlocal total
        kind = type(layer).__name__
        output = layer(*inputs, **options)
        if layer.weights and kind not in _KERNELS:
            raise InputError(
                f"multiply-accumulates can be counted for {', '.join(_KERNELS)}. "
                f"Got: {layer.name}, a {kind} with weights. Add it to models.zoo._KERNELS."
            )
        positions = math.prod(output.shape[1:-1]) if layer.weights else 0
        for kernel in _KERNELS.get(kind, ()):
            total += positions * math.prod(getattr(layer, kernel).shape)
        return output

    # Cloning visits every call of a layer; each call has its own output positions.
    keras.models.clone_model(keras.Model(model.inputs, model.outputs), call_function=called)
    return total
