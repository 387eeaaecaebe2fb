"""Run Keras's own exporter, with this project's input and output names."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.models import ports

if TYPE_CHECKING:
    import keras

# Names of a classifier's input and output in the artifacts.
INPUT, OUTPUT = "image", "probabilities"
# Klambauer et al. 2017, Self-Normalizing Neural Networks.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_LEAST_NORM = 1e-12  # as in `keras.layers.UnitNormalization`


def save(
    model: "keras.Model",
    path: Path,
    format: str,
    batch: int | None,
    **options: object,
) -> Path:
    """Saves a model with `keras.Model.export`, the first step of every conversion.

    Args:
        model: A classifier; or a model of another kind that returns a dict, whose keys become the
            names of the outputs.
        path: Where to save it; returned.
        format: Passed to `keras.Model.export`.
        batch: The batch size; None makes it dynamic.
        **options: Passed to `keras.Model.export`.
    """
    import keras
    import tensorflow

    _inline_constants(model)
    _draw_nothing(model)
    _rewrite(model, format)
    outputs = model.outputs
    # Keras's exporter does not say that this is inference; augmentation layers then augment.
    if any(_trains_by_default(operation) for operation in operations(model)):
        called = model(model.inputs if len(model.inputs) > 1 else model.inputs[0], training=False)
        outputs = keras.tree.flatten(called)
    names = [name for name, _ in ports.outputs(model)]
    results = dict(zip(names if ports.has_named_output(model) else [OUTPUT], outputs, strict=False))
    signature: Any = {
        name: keras.InputSpec(shape=(batch, *shape), dtype="float32", name=name)
        for name, shape in input_shapes(model).items()
    }
    given: Any = dict(ports.inputs(model))
    if len(signature) == 1:
        given, (signature,) = model.inputs, signature.values()
    named = keras.Model(given, results, name=model.name)
    # Keras compiles grouped convolutions apart, in functions that the converters can't read.
    tensorflow.config.run_functions_eagerly(True)
    try:
        with _without_default_signatures():
            named.export(path, format=format, verbose=False, input_signature=[signature], **options)
    finally:
        tensorflow.config.run_functions_eagerly(False)
    return path


@contextlib.contextmanager
def _without_default_signatures() -> Iterator[None]:
    """Keeps Keras from tracing every nested model once more in its search for lookup tables.

    That is a quarter of an export, and nothing of what is traced is saved.
    """
    import keras

    keras.Model._default_save_signature = None
    try:
        yield
    finally:
        del keras.Model._default_save_signature


def input_shapes(model: "keras.Model") -> dict[str, tuple[int, ...]]:
    """Returns the shape of one example of each input, by its name in the artifacts."""
    named = ports.inputs(model)
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in named}
    return shapes if len(shapes) > 1 else dict.fromkeys([INPUT], *shapes.values())


def operations(model: "keras.Model") -> Iterator[Any]:
    """Yields the layers and operations of a model and of the models nested in it."""
    for operation in getattr(model, "operations", model.layers):
        yield operation
        if hasattr(operation, "layers"):
            yield from operations(operation)


def _trains_by_default(operation: Any) -> bool:
    training = inspect.signature(operation.call).parameters.get("training")
    return training is not None and training.default is True


def _inline_constants(model: "keras.Model") -> None:
    """Makes tensors that are no weights NumPy arrays, in place.

    tf2onnx takes a tensor from outside of the traced function for an input of the model.
    """
    import keras

    def inlined(value: Any) -> Any:
        return np.asarray(value) if keras.ops.is_tensor(value) else value

    for operation in operations(model):
        if isinstance(operation, keras.layers.Normalization):
            operation.mean, operation.variance = map(inlined, (operation.mean, operation.variance))
        for node in operation._inbound_nodes:
            called = node.arguments
            called.args, called.kwargs = called.convert(inlined)


def _draw_nothing(model: "keras.Model") -> None:
    """Takes out the random numbers that layers draw at inference too, without using them, in place.

    Recurrent layers draw the masks of their dropout. Those with recurrent dropout also compute
    each gate by itself, which 1 stands for, and converters know the other way. With a seed that is
    never advanced, what `RandomHue` and the like draw is no part of the graph.
    """
    import keras

    def unchanged(**_: object) -> Any:
        return keras.ops.zeros(2, "uint32")

    for layer in model._flatten_layers():
        if hasattr(layer, "get_dropout_mask"):
            layer.dropout = layer.recurrent_dropout = 0
            if hasattr(layer, "implementation"):
                layer.implementation = 2
        for generator in vars(layer).values():
            if isinstance(generator, keras.random.SeedGenerator):
                generator.next = unchanged


def _rewrite(model: "keras.Model", format: str) -> None:
    """Rewrites what converters know no operator for, in place; the results stay the same."""
    import keras

    layers = keras.layers
    rewritten: dict[Any, Callable[..., Any]] = {
        layers.UnitNormalization: functools.partial(_divided_by_norm, format)
    }
    if format != "onnx":
        rewritten |= dict.fromkeys([layers.MaxPooling3D, layers.AveragePooling3D], _pooled)
        rewritten[layers.Conv3D] = _convolved
    for operation in operations(model):
        if type(operation) in rewritten:
            operation.call = functools.partial(rewritten[type(operation)], operation)
        if format != "onnx" and getattr(operation, "activation", None) is keras.activations.selu:
            operation.activation = _selu


def _selu(x: Any) -> Any:
    """What `keras.activations.selu` computes, without its choice by a condition."""
    from keras import ops

    positive = ops.relu(x)
    return _SELU_SCALE * (positive + _SELU_ALPHA * ops.elu(x - positive))


def _divided_by_norm(format: str, layer: Any, x: Any) -> Any:
    """What UnitNormalization computes.

    Keras multiplies by the smaller of `1 / norm` and 1e12. Of a vector of zeros, LiteRT makes NaN
    of it, and no 8 bits hold the range.
    """
    from keras import ops

    squares = ops.sum(ops.square(x), layer.axis, keepdims=True)
    if format == "onnx":
        return x / ops.maximum(ops.sqrt(squares), _LEAST_NORM)
    # TFLite has an operator for this expression, in integers too.
    return x * ops.rsqrt(ops.maximum(squares, _LEAST_NORM**2))


def _pooled(layer: Any, x: Any) -> Any:
    """What MaxPooling3D and AveragePooling3D compute: within each plane, then across planes."""
    from keras import ops

    if layer.data_format != "channels_last":
        return type(layer).call(layer, x)
    pool = ops.max_pool if layer.pool_mode == "max" else ops.average_pool
    (depth, *size), (step, *strides) = layer.pool_size, layer.strides
    planes, *plane, channels = x.shape[1:]
    within = pool(ops.reshape(x, (-1, *plane, channels)), size, strides, layer.padding)
    *plane, channels = within.shape[1:]
    lines = ops.reshape(within, (-1, planes, math.prod(plane), channels))
    across = pool(lines, (depth, 1), (step, 1), layer.padding)
    return ops.reshape(across, (-1, across.shape[1], *plane, channels))


def _convolved(layer: Any, x: Any) -> Any:
    """What Conv3D computes: the sum over the kernel's planes of a convolution of each plane."""
    from keras import ops

    if layer.data_format != "channels_last":
        return type(layer).call(layer, x)
    (depth, *_), (step, *strides) = layer.kernel_size, layer.strides
    gap, *dilation = layer.dilation_rate
    reach = (depth - 1) * gap + 1
    if layer.padding == "same":
        missing = max((-(-x.shape[1] // step) - 1) * step + reach - x.shape[1], 0)
        x = ops.pad(x, [(0, 0), (missing // 2, missing - missing // 2), (0, 0), (0, 0), (0, 0)])
    count = (x.shape[1] - reach) // step + 1
    total: Any = 0
    for i in range(depth):
        planes = x[:, i * gap : i * gap + (count - 1) * step + 1 : step]
        planes = ops.reshape(planes, (-1, *x.shape[2:]))
        total += ops.conv(
            planes, layer.kernel[i], strides, layer.padding, "channels_last", dilation
        )
    total = ops.reshape(total, (-1, count, *total.shape[1:]))
    return layer.activation(total + layer.bias if layer.use_bias else total)


def in_batches(
    images: np.ndarray, batch: int, shapes: Mapping[str, Sequence[int]]
) -> list[dict[str, np.ndarray]]:
    """Calibration images in whole batches; fewer than one batch are repeated in turn.

    Args:
        images: Examples, float32 `[n, ...]`.
        batch: The batch size.
        shapes: Shape of one example of each input, by its name.
    """
    count = len(images) // batch * batch or batch
    chosen = images.take(range(count), axis=0, mode="wrap")
    return [
        dict(zip(shapes, ports.split(chosen[i : i + batch], list(shapes.values())), strict=True))
        for i in range(0, count, batch)
    ]
