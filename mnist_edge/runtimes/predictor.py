"""`Predictor`: the one interface to every runtime, and the numbers that cross it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from mnist_edge import schema
from mnist_edge.artifact_metadata import Metadata
from mnist_edge.schema import Check, Name, Text

_DIMENSION = Check(
    "an integer, a name or null",
    lambda value: value is None or type(value) is int or isinstance(value, str),
)


# Input values per call of an artifact of any batch size: layers' outputs are several times as many,
# 28 images of 224 x 224 pixels in color take 17 MB, their activations some 100.
MOST_VALUES = 2**22


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An artifact's input or output, as reported by its runtime.

    Attributes:
        name: The tensor's name.
        shape: Its dimensions; a dynamic one is None or a name.
        dtype: NumPy's name of its element type.
        scale: Quantization step size; None for floats.
        zero_point: The integer that represents 0.0; None for floats.
    """

    name: Text
    shape: tuple[Annotated[int | str | None, _DIMENSION], ...]
    dtype: Name
    scale: float | None = None
    zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """An opened artifact.

    Attributes:
        runtime: The runtime's name and version.
        batch: Fixed batch size; None if it is dynamic.
        encode: Converts float32 pixels `[n, height, width, channels]`, 0 to 255, to the
            artifact's input. An artifact with several inputs takes rows, float32 `[n, values]`,
            in which the values of each input follow each other, in the order of their names.
        call: Runs the artifact on one input array and returns its output array. The benchmarks
            time only this. With several inputs or outputs, it also splits and joins them.
        decode: Converts the output to float32 probabilities `[n, classes]`; those of several
            outputs follow each other, in the order of their names.
        inputs: The artifact's inputs, sorted by name; empty if not reported (Keras).
        outputs: The artifact's outputs, sorted by name; empty if not reported.
        fields: Reads what the file says of itself, and may raise any exception.
        arena_bytes: Memory that TFLite Micro takes for activations and its own structures on this
            machine; None for other runtimes.
        compiled_bytes: Code and constants of a compiled C source; None for other runtimes.
    """

    runtime: str
    batch: int | None
    encode: Callable[[np.ndarray], np.ndarray]
    call: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    fields: Callable[[], Mapping[str, object]] = dict
    arena_bytes: int | None = None
    compiled_bytes: int | None = None

    def metadata(self) -> Metadata | None:
        """Returns what the file says of itself; None if that is nothing, or not valid."""
        try:
            return schema.decode(Metadata, self.fields())
        except Exception:  # it is not needed to run the file
            return None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predicts the probabilities of images.

        Args:
            images: float32 `[n, ...]`, in the model's input shape.

        Returns:
            float32 `[n, classes]`.

        Raises:
            ValueError: The number of output rows is not the number of images.
            Exception: Whatever the runtime raises.
        """
        inputs = self.encode(images)
        step = self.batch or max(1, MOST_VALUES // inputs[0].size)
        outputs = []
        for i in range(0, len(inputs), step):
            # The last batch is padded to a fixed batch size with the first images.
            batch = self.batch or min(step, len(inputs) - i)
            output = self.call(inputs.take(range(i, i + batch), axis=0, mode="wrap"))
            if np.shape(output)[:1] != (batch,):
                raise ValueError(f"output shape is {list(np.shape(output))} for {batch} images")
            outputs.append(output)
        return self.decode(np.concatenate(outputs)[: len(inputs)])


def unchanged(values: np.ndarray) -> np.ndarray:
    """Returns what it is given: floats need no quantization."""
    return values


def require_some(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Raises `ValueError` if an artifact has no input or no output."""
    if not inputs or not outputs:
        raise ValueError("has no input" if outputs else "has no output")


def quantizer(tensor: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that quantizes floats to a tensor's elements."""
    scale, zero_point, dtype = tensor.scale, tensor.zero_point, tensor.dtype
    if scale is None or zero_point is None:
        return unchanged
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    return lambda values: (
        (np.round(values / scale) + zero_point).clip(lowest, highest).astype(dtype)
    )


def dequantizer(tensor: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that dequantizes a tensor's elements to floats."""
    scale, zero_point = tensor.scale, tensor.zero_point
    if scale is None or zero_point is None:
        return unchanged
    return lambda integers: (integers.astype(np.float32) - zero_point) * np.float32(scale)
