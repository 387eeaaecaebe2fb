"""Metadata embedded in every artifact: its inputs, outputs and source model."""

import dataclasses
from typing import Any

from mnist_edge import heads


@dataclasses.dataclass(frozen=True)
class Input:
    """An input: shape of one example, and the range of the values in training."""

    name: str
    shape: tuple[int, ...]
    layout: str
    range: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Output:
    """An output: names of its classes, labels or values, and which of these they are."""

    name: str
    labels: tuple[str, ...]
    kind: str


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Metadata of an artifact; `source_model_sha256` is that of the `.keras` file."""

    project: str
    model: str
    source_model_sha256: str
    variant: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    def fields(self) -> dict[str, Any]:
        """Returns what is embedded: `input` and `output`, or lists of them if there are several.

        An output without `kind` holds the probabilities of exclusive classes.
        """
        found = dataclasses.asdict(self)
        for output in found["outputs"]:
            if output["kind"] == heads.CLASSES:
                del output["kind"]
        for name in ("inputs", "outputs"):
            ports = found.pop(name)
            found |= {name: ports} if len(ports) > 1 else {name.removesuffix("s"): ports[0]}
        return found
