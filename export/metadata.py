"""Metadata travels in the file: what goes in, what comes out, where it comes from."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Input:
    """What goes in: one example's shape, and the smallest and largest value in training."""

    name: str
    shape: tuple[int, ...]
    layout: str
    range: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Output:
    """What comes out: one probability per class, in the order of the labels."""

    name: str
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What an artifact says of itself; the SHA-256 is of the Keras model's file."""

    project: str
    model: str
    source_model_sha256: str
    variant: str
    input: Input
    output: Output
