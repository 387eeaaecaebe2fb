"""What an artifact holds, TFLite and ONNX in one form."""

import collections
import dataclasses

FLOATS = {"float16", "float32", "float64"}
# Element types that hold shapes and indices as well; they say nothing of precision.
INDEX_TYPES = {"int32", "int64", "bool"}


@dataclasses.dataclass(frozen=True)
class Constant:
    """A stored tensor: its name, element type, and number of elements and dimensions."""

    name: str
    dtype: str
    size: int
    rank: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """A node of the graph.

    Attributes:
        name: Its name, or its output's.
        kind: "CONV_2D", "Conv" and so on; a custom operator's own name.
        builtin: Whether it belongs to the format's own set.
        activations: Element types of what flows through it, constants left out.
        weights: The `Constant`s that it reads, directly or through DequantizeLinear.
        dequantized: Whether data and weights both come from DequantizeLinear, ONNX's
            way to say that a runtime may compute in integers.
    """

    name: str
    kind: str
    builtin: bool
    activations: tuple[str, ...]
    weights: tuple[Constant, ...]
    dequantized: bool = False

    @property
    def precision(self) -> str:
        """What it computes in: "float32", "int8", "float32 x int8", "QDQ int8"."""
        stored = sorted({c.dtype for c in self.weights if c.rank > 1} - INDEX_TYPES)
        if self.dequantized:
            return f"QDQ {'/'.join(stored) or 'int8'}"
        flowing = sorted(set(self.activations) - INDEX_TYPES)
        parts = ["/".join(flowing), "/".join(t for t in stored if t not in flowing)]
        return " x ".join(part for part in parts if part) or "index"


@dataclasses.dataclass(frozen=True)
class Graph:
    """What an artifact holds, whichever its format.

    Attributes:
        format: "tflite" or "onnx".
        opset: ONNX's operator set; the schema's version in TFLite.
        batch: The batch size, or the name of the free dimension.
        io: Element types of input and output.
        operators: In the graph's order.
        constants: The stored tensors.
        tensors: How many tensors have each element type, constants and activations.
    """

    format: str
    opset: int
    batch: int | str
    io: tuple[str, str]
    operators: tuple[Operator, ...]
    constants: tuple[Constant, ...]
    tensors: dict[str, int]

    def precisions(self) -> dict[str, int]:
        """How many operators compute in each precision."""
        return dict(collections.Counter(operator.precision for operator in self.operators))
