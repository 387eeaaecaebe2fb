"""Compute in float32 what was trained in mixed precision, or in float64.

Mixed precision speeds up training on GPUs; the weights stay in float32, and float32 is what
the exporters read and what a CPU computes fastest.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

# Largest difference in an output, as a share of the largest output, or of 1 if that is smaller.
# bfloat16 has 8 significant bits, an error of 0.004 per layer; wrong weights differ by about 1.
_MOST = 0.25
_OTHER_FLOATS = ("float16", "bfloat16", "float64")
_BATCH = 8
_FREE = 8  # length of an axis without a fixed one


def in_float32(model: "keras.Model") -> "keras.Model":
    """Returns a model whose layers all compute in float32; the same one if they do already.

    Args:
        model: A model that is built, from Keras's own layers.

    Raises:
        ValueError: It gives other answers in float32, or Keras has quantized it.
    """
    layers = model._flatten_layers(include_self=False)  # nested ones included
    policies = {layer: layer.dtype_policy for layer in layers}
    for layer, policy in policies.items():
        if policy.quantization_mode:
            raise ValueError(
                f"layer {layer.name!r} was quantized to {policy.quantization_mode}, which export "
                "does itself"
            )
    others = [layer for layer in policies if layer.compute_dtype in _OTHER_FLOATS]
    if not others:
        return model
    rng = np.random.default_rng(0)
    shapes = [(_BATCH, *(n or _FREE for n in tensor.shape[1:])) for tensor in model.inputs]
    given = [rng.random(shape, np.float32) for shape in shapes]
    before = _answers(model, given)
    try:
        for layer in others:
            layer.dtype_policy = "float32"
        converted = type(model).from_config(model.get_config())
    finally:
        for layer in others:
            layer.dtype_policy = policies[layer]
    converted.set_weights(model.get_weights())
    for found, exact in zip(before, _answers(converted, given), strict=True):
        error = np.abs(found - exact).max()
        if not error <= _MOST * max(1.0, np.abs(exact).max()):
            raise ValueError(
                f"it computes in {others[0].compute_dtype}, and differs by {error:.3g} in float32"
            )
    return converted


def _answers(model: "keras.Model", given: list[np.ndarray]) -> list[np.ndarray]:
    import keras

    answers = model.predict_on_batch(given if len(given) > 1 else given[0])
    return [np.asarray(answer, np.float32) for answer in keras.tree.flatten(answers)]
