"""Reads published MNIST results from `published.toml`, whose comments document the format."""

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
    """A published network and its results."""

    name: Text
    accuracy: Share
    parameters: Count
    how: Text
    source: Text
    size_bytes: Count | None = None
    layers: tuple[tuple[Any, ...], ...] = ()

    @property
    def least_bytes(self) -> int:
        """Published size, or else a lower bound for int8: one byte per parameter."""
        return self.size_bytes or self.parameters

    @property
    def folder_name(self) -> str:
        """Name for folders and Keras: lower-case letters, digits and hyphens."""
        return "".join(c if c.isalnum() else "-" for c in self.name).lower()

    def build(self) -> "keras.Model":
        """Builds the untrained network: raw pixels in, probabilities out."""

        def hidden_layers(layers: Any) -> list[Any]:
            return [_layer(getattr(layers, kind), *arguments) for kind, *arguments in self.layers]

        return models.assemble(hidden_layers, self.folder_name)


def _layer(kind: Any, *arguments: Any) -> Any:
    """Creates a layer; a dict as the last argument holds its keyword arguments."""
    keywords = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
    return kind(*(argument for argument in arguments if argument is not keywords), **keywords)


@dataclasses.dataclass(frozen=True)
class Reference:
    """One of the five reference projects, and the network of the zoo that reproduces its own."""

    letter: Text
    network: Text
    model: Name
    accuracy: Share | None = None


@dataclasses.dataclass(frozen=True)
class Published:
    """Contents of `published.toml`."""

    networks: tuple[Network, ...]
    references: tuple[Reference, ...]


_FILE = Path(__file__).with_name("published.toml")
PUBLISHED = schema.decode(Published, tomllib.loads(_FILE.read_text("utf-8")))
