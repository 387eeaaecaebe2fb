"""Fold batch normalisation into the convolution before it: fewer numbers, the same answers."""

import numpy as np

from mnist_edge.cli import InputError


def fold(model):
    """Copies a trained model without its batch normalisation.

    A normalisation that is done with learning is a factor and a summand a channel: the
    convolution's kernel takes the one, its bias the other.

    Args:
        model: A `keras.Model`, a chain of layers, in which each `BatchNormalization` comes
            right after a `Conv2D`, `DepthwiseConv2D` or `SeparableConv2D` without
            activation.

    Returns:
        A `keras.Model` with the same inputs and outputs; its predictions differ by
        rounding alone.

    Raises:
        InputError: A normalisation comes after something else.
    """
    import keras

    first, *rest = model.layers
    x = image = keras.Input(first.batch_shape[1:], name=first.name)
    for layer, following in zip(rest, [*rest[1:], None], strict=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            continue
        config, weights = layer.get_config(), layer.get_weights()
        if isinstance(following, keras.layers.BatchNormalization):
            weights = _folded(layer, following)
            config["use_bias"] = True
        copy = type(layer).from_config(config)
        x = copy(x)
        copy.set_weights(weights)
    return keras.Model(image, x, name=model.name)


_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def _folded(convolution, normalisation):
    """The convolution's weights, bias last, with the normalisation in them."""
    kind = type(convolution).__name__
    if kind not in _CONVOLUTIONS or convolution.activation.__name__ != "linear":
        raise InputError(
            f"batch normalisation folds into {', '.join(_CONVOLUTIONS)} without activation. "
            f"Got: {normalisation.name} after {convolution.name}, a {kind}. "
            "Leave the network as it is (Network.folded=False)."
        )
    *kernels, last = convolution.get_weights()[: -1 if convolution.use_bias else None]
    bias = np.asarray(convolution.bias) if convolution.use_bias else 0.0
    scale = np.asarray(normalisation.gamma) if normalisation.scale else 1.0
    offset = np.asarray(normalisation.beta) if normalisation.center else 0.0
    factor = scale / np.sqrt(np.asarray(normalisation.moving_variance) + normalisation.epsilon)
    shift = offset + (bias - np.asarray(normalisation.moving_mean)) * factor
    # A depthwise kernel's output channels are its last two axes together.
    shape = last.shape[2:] if kind == "DepthwiseConv2D" else (-1,)
    return [*kernels, last * factor.reshape(shape), shift]
