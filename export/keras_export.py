"""Run Keras's own exporter, with this project's input and output names."""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge.models import ports

if TYPE_CHECKING:
    import keras

# Names of a classifier's input and output in the artifacts.
INPUT, OUTPUT = "image", "probabilities"
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
    _divide_by_norms(model, format)
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


def _divide_by_norms(model: "keras.Model", format: str) -> None:
    """Rewrites what each UnitNormalization computes, in place; the results stay the same.

    Keras multiplies by the smaller of `1 / norm` and 1e12. Of a vector of zeros, LiteRT makes NaN
    of it, and no 8 bits hold the range.
    """
    import keras

    def divided(layer: Any, x: Any) -> Any:
        ops = keras.ops
        squares = ops.sum(ops.square(x), layer.axis, keepdims=True)
        if format == "onnx":
            return x / ops.maximum(ops.sqrt(squares), _LEAST_NORM)
        # TFLite has an operator for this expression, in integers too.
        return x * ops.rsqrt(ops.maximum(squares, _LEAST_NORM**2))

    for operation in operations(model):
        if isinstance(operation, keras.layers.UnitNormalization):
            operation.call = functools.partial(divided, operation)


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
