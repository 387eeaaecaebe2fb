"""What others publish of MNIST (`published.toml`, whose comments describe it)."""

import dataclasses
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_edge import models, schema
from mnist_edge.schema import Count, Name, Share, Text

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Network:
    """A published network and its figures."""

    name: Text
    accuracy: Share
    parameters: Count
    how: Text
    source: Text
    size_bytes: Count | None = None
    layers: tuple[tuple[Any, ...], ...] = ()

    @property
    def least_bytes(self) -> int:
        """Its size, or else the least that it takes in int8: a byte per parameter."""
        return self.size_bytes or self.parameters

    @property
    def folder_name(self) -> str:
        """Its name as a folder and Keras take it."""
        return "".join(c if c.isalnum() else "-" for c in self.name).lower()

    def build(self) -> "keras.Model":
        """Builds it, untrained: raw pixels in, probabilities out."""

        def hidden_layers(layers: Any) -> list[Any]:
            return [_layer(getattr(layers, kind), *given) for kind, *given in self.layers]

        return models.assemble(hidden_layers, self.folder_name)


def _layer(kind: Any, *given: Any) -> Any:
    """A layer of its arguments; a dict at their end is of those that are named."""
    named = given[-1] if given and isinstance(given[-1], dict) else {}
    return kind(*(argument for argument in given if argument is not named), **named)


@dataclasses.dataclass(frozen=True)
class Reference:
    """One of the five projects."""

    letter: Text
    network: Text
    model: Name
    accuracy: Share | None = None


@dataclasses.dataclass(frozen=True)
class Published:
    """What the file holds."""

    networks: tuple[Network, ...]
    references: tuple[Reference, ...]


_FILE = Path(__file__).with_name("published.toml")
PUBLISHED = schema.decode(Published, tomllib.loads(_FILE.read_text("utf-8")))
