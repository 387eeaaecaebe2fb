"""Fold batch normalization into the convolution before it: fewer numbers, the same answers."""

import collections
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.errors import InputError

if TYPE_CHECKING:
    import keras


def fold(model: "keras.Model") -> "keras.Model":
    """Copies a trained model without its batch normalization.

    A normalization that is done with learning is a factor and a summand per channel: the
    convolution's kernel takes the one, its bias the other.

    Args:
        model: A functional model, a chain of layers, in which each
            `BatchNormalization` comes right after a `Conv2D`, `DepthwiseConv2D` or
            `SeparableConv2D` without activation that is called once; other layers may be
            called several times.

    Returns:
        A model with the same inputs and outputs; its predictions differ by rounding alone.

    Raises:
        InputError: A normalization comes after something else, or after one of several calls.
    """
    import keras

    followers = dict(zip(model.layers, [*model.layers[1:], None], strict=True))
    weights: dict[str, list[np.ndarray]] = {}
    calls: collections.Counter[str] = collections.Counter()

    def copied(layer: "keras.layers.Layer") -> "keras.layers.Layer":
        config, weights[layer.name] = layer.get_config(), layer.get_weights()
        if _is_normalization(followers[layer]):
            weights[layer.name] = _folded(layer, followers[layer])
            config["use_bias"] = True
        return type(layer).from_config(config)

    def called(layer: "keras.layers.Layer", x: Any, **options: Any) -> Any:
        calls[layer.name] += 1
        return x if _is_normalization(layer) else layer(x, **options)

    folded = keras.models.clone_model(model, clone_function=copied, call_function=called)
    for layer, follower in followers.items():
        if _is_normalization(follower) and calls[layer.name] > 1:
            raise InputError(
                "batch normalization folds into a convolution that is called once. "
                f"Got: {follower.name} after {layer.name}, which is called {calls[layer.name]} "
                "times. Leave the network as it is (Network.folded=False)."
            )
    for layer in folded.layers:
        layer.set_weights(weights.get(layer.name, []))
    return folded


def _is_normalization(layer: "keras.layers.Layer | None") -> bool:
    return type(layer).__name__ == "BatchNormalization"


_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def _folded(
    convolution: "keras.layers.Layer", normalization: "keras.layers.Layer"
) -> list[np.ndarray]:
    """The convolution's weights, bias last, with the normalization in them."""
    kind = type(convolution).__name__
    if kind not in _CONVOLUTIONS or convolution.activation.__name__ != "linear":
        raise InputError(
            f"batch normalization folds into {', '.join(_CONVOLUTIONS)} without activation. "
            f"Got: {normalization.name} after {convolution.name}, a {kind}. "
            "Leave the network as it is (Network.folded=False)."
        )
    *kernels, last = convolution.get_weights()[: -1 if convolution.use_bias else None]
    bias = np.asarray(convolution.bias) if convolution.use_bias else 0.0
    scale = np.asarray(normalization.gamma) if normalization.scale else 1.0
    offset = np.asarray(normalization.beta) if normalization.center else 0.0
    factor = scale / np.sqrt(np.asarray(normalization.moving_variance) + normalization.epsilon)
    shift = offset + (bias - np.asarray(normalization.moving_mean)) * factor
    # A depthwise kernel's output channels are its last two axes together.
    shape = last.shape[2:] if kind == "DepthwiseConv2D" else (-1,)
    return [*kernels, last * factor.reshape(shape), shift]
