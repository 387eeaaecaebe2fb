"""Graph of an artifact, in a form common to TFLite and ONNX."""

import collections
import dataclasses
import itertools

FLOATS = {"float16", "float32", "float64"}
# Also used for shapes and indices, so they do not indicate a precision.
INDEX_TYPES = {"int32", "int64", "bool"}
# TFLite operators in float32 that may prepare the input of an integer graph.
_FRONT = {"SUB", "MUL", "CAST"}


@dataclasses.dataclass(frozen=True)
class Constant:
    """A stored tensor: name, dtype, number of elements and number of dimensions."""

    name: str
    dtype: str
    size: int
    rank: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """A node of the graph.

    Attributes:
        name: Name of the node, or of its output.
        kind: Operator type, such as "CONV_2D" or "Conv".
        builtin: Whether it belongs to the format's builtin operators.
        activations: Dtypes of its inputs and outputs, without constants.
        weights: The constants that it reads, directly or through DequantizeLinear.
        dequantized: Whether input and weights both come from DequantizeLinear, which allows
            an ONNX runtime to compute in integers.
    """

    name: str
    kind: str
    builtin: bool
    activations: tuple[str, ...]
    weights: tuple[Constant, ...]
    dequantized: bool = False

    @property
    def precision(self) -> str:
        """What it computes in, such as "float32", "float32 x int8" or "QDQ int8"."""
        stored = sorted({c.dtype for c in self.weights if c.rank > 1} - INDEX_TYPES)
        if self.dequantized:
            return f"QDQ {'/'.join(stored) or 'int8'}"
        flowing = sorted(set(self.activations) - INDEX_TYPES)
        parts = ["/".join(flowing), "/".join(t for t in stored if t not in flowing)]
        return " x ".join(part for part in parts if part) or "index"


@dataclasses.dataclass(frozen=True)
class Graph:
    """The graph of an artifact.

    Attributes:
        format: "tflite" or "onnx".
        opset: Opset version in ONNX, schema version in TFLite.
        batch: The batch size, or the name of the dynamic dimension.
        io: Dtypes of input and output.
        operators: Operators in graph order.
        constants: Stored tensors.
        tensors: Number of tensors by dtype, constants and activations.
    """

    format: str
    opset: int
    batch: int | str
    io: tuple[str, str]
    operators: tuple[Operator, ...]
    constants: tuple[Constant, ...]
    tensors: dict[str, int]

    @property
    def front(self) -> tuple[Operator, ...]:
        """The first operators, if they scale the input in float32 or cast it to int32.

        `tflite/front.py` puts them before an integer graph.
        """
        return tuple(
            itertools.takewhile(
                lambda o: o.kind in _FRONT and o.activations[:1] == ("float32",), self.operators
            )
        )

    def precisions(self) -> dict[str, int]:
        """Returns the number of operators by precision."""
        return dict(collections.Counter(operator.precision for operator in self.operators))
