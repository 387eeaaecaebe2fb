"""What an artifact holds, TFLite and ONNX in one form."""

import dataclasses


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


@dataclasses.dataclass(frozen=True)
class Graph:
    """What an artifact holds, whichever its format.

    Attributes:
        format: "tflite" or "onnx".
        opset: ONNX's operator set; the schema's version in TFLite.
        batch: int, or the name of the free dimension.
        io: Element types of input and output.
        operators: `Operator`s in order.
        constants: `Constant`s.
        tensors: How many tensors have each element type, constants and activations.
    """

    format: str
    opset: int
    batch: int | str
    io: tuple[str, str]
    operators: list[Operator]
    constants: list[Constant]
    tensors: dict[str, int]
