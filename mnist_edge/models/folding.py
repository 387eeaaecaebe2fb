"""Fold batch normalization into the preceding convolution: fewer weights, same predictions."""

import collections
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.errors import InputError

if TYPE_CHECKING:
    import keras


def fold(model: "keras.Model") -> "keras.Model":
    """Returns a copy of a trained model with its batch normalization folded away.

    At inference a batch normalization is one scale and one offset per channel, which are
    merged into the kernel and the bias of the preceding convolution.

    Args:
        model: A functional model, a chain of layers. Each `BatchNormalization` must
            directly follow a `Conv2D`, `DepthwiseConv2D` or `SeparableConv2D` that has no
            activation and is called once; other layers may be called several times.

    Returns:
        A model with the same inputs and outputs; its predictions differ only by rounding.

    Raises:
        InputError: A normalization follows another layer, or one that is called repeatedly.
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
                "batch normalization can only be folded into a convolution called once. "
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
    """Returns the convolution's weights with the normalization merged in; the bias is last."""
    kind = type(convolution).__name__
    if kind not in _CONVOLUTIONS or convolution.activation.__name__ != "linear":
        raise InputError(
            f"batch normalization can only be folded into {', '.join(_CONVOLUTIONS)} "
            "without activation. "
            f"Got: {normalization.name} after {convolution.name}, a {kind}. "
            "Leave the network as it is (Network.folded=False)."
        )
    *kernels, last = convolution.get_weights()[: -1 if convolution.use_bias else None]
    bias = np.asarray(convolution.bias) if convolution.use_bias else 0.0
    scale = np.asarray(normalization.gamma) if normalization.scale else 1.0
    offset = np.asarray(normalization.beta) if normalization.center else 0.0
    factor = scale / np.sqrt(np.asarray(normalization.moving_variance) + normalization.epsilon)
    shift = offset + (bias - np.asarray(normalization.moving_mean)) * factor
    # The output channels of a depthwise kernel are its last two axes combined.
    shape = last.shape[2:] if kind == "DepthwiseConv2D" else (-1,)
    return [*kernels, last * factor.reshape(shape), shift]
