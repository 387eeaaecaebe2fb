"""What a network is lowered to: a list of calls of the kernels in `kernels/`."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from .graph import Node, Tensor
from .packing import Packed

# A field of a kernel's layer: a number, several, an array, or a struct inside it.
Field = int | float | tuple[int, ...] | np.ndarray | Packed | Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Bytes that are computed: where they lie is planned later.

    Attributes:
        bytes: How many.
        name: For the comments.
    """

    bytes: int
    name: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """Bytes that are known, as an operand of a kernel."""

    values: np.ndarray


Operand = Place | Constant


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A call of a kernel.

    Attributes:
        kernel: Its name: that of a file in `kernels/`, and of a function and a struct in it.
        layer: The fields of the struct.
        reads: The operands that it reads.
        writes: The place that it writes to.
        comment: The operator that it belongs to.
    """

    kernel: str
    layer: Mapping[str, Field]
    reads: tuple[Operand, ...]
    writes: Place
    comment: str = ""


@dataclasses.dataclass(frozen=True)
class Program:
    """All steps, and the places where the ends of the network lie.

    Attributes:
        steps: The calls, in order.
        input: The network's input, as the caller gives it.
        output: The network's output; int8 values have 128 added.
        logits: What goes into the last softmax or sigmoid, or the output if there is none.
        input_tensor: The tensor of `input`.
        output_tensor: The tensor of `output`.
        logits_tensor: The tensor of `logits`.
    """

    steps: tuple[Step, ...]
    input: Place
    output: Operand
    logits: Operand
    input_tensor: Tensor
    output_tensor: Tensor
    logits_tensor: Tensor


class Builder:
    """Collects the steps of a network, and knows where each tensor lies.

    Attributes:
        input: The network's input as the caller gives it.
        steps: The steps so far.
        node: The operator that is lowered.
    """

    def __init__(self, given: Tensor) -> None:
        self.input = Place(given.bytes, "input")
        self.steps: list[Step] = []
        self.node: Node | None = None
        self._places: dict[int, Operand] = {given.index: self.input}
        if given.dtype == "int8":
            flipped = self._places[given.index] = Place(given.bytes)
            layer = {"count": given.size}
            self.steps.append(Step("flip", layer, (self.input,), flipped, comment="int8 input"))

    def place(self, tensor: Tensor) -> Operand:
        """Returns where a tensor lies; one that is not known yet gets a place of its own."""
        if tensor.index not in self._places:
            known = tensor.data is not None
            self._places[tensor.index] = (
                Constant(tensor.values) if known else Place(tensor.bytes, tensor.name)
            )
        return self._places[tensor.index]

    def alias(self, tensor: Tensor, other: Tensor) -> None:
        """Lets a tensor lie where another one does, since it has the same bytes."""
        self._places[tensor.index] = self.place(other)

    def step(
        self,
        kernel: str,
        layer: Mapping[str, Field],
        reads: tuple[Tensor, ...],
        writes: Tensor,
    ) -> None:
        """Adds the call of a kernel."""
        place = self.place(writes)
        assert isinstance(place, Place)
        comment = f"{self.node.kind} {self.node.layer}" if self.node else ""
        operands = tuple(map(self.place, reads))
        self.steps.append(Step(kernel, layer, operands, place, comment))
