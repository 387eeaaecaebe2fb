"""Metadata embedded in every artifact: its input, output and source model."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Input:
    """The input: shape of one example, and the range of the values in training."""

    name: str
    shape: tuple[int, ...]
    layout: str
    range: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Output:
    """The output: one probability per class, in the order of the labels."""

    name: str
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Metadata of an artifact; `source_model_sha256` is that of the `.keras` file."""

    project: str
    model: str
    source_model_sha256: str
    variant: str
    input: Input
    output: Output
