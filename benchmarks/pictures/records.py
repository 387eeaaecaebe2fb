"""`pictures.json`: how many whole strings were read right, one result per kind of picture."""

import dataclasses

from mnist_edge import schema
from mnist_edge.schema import Count, CountFrom1, Name, Sha256, Text

FILE = "pictures.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class KindResult:
    """Pictures of one kind: how many there are, and how many were read right as a whole."""

    kind: Text
    right: Count
    count: CountFrom1

    @property
    def share(self) -> float:
        """The share that was read right."""
        return self.right / self.count


@dataclasses.dataclass(frozen=True, kw_only=True)
class PicturesReport(schema.Record):
    """Content of `pictures.json`.

    Attributes:
        file: Name of the file in the bundle that read them.
        sha256: Its SHA-256.
        part: Whose digits: "test" or "validation".
        results: One per kind.
    """

    file: Name
    sha256: Sha256
    part: Name
    results: tuple[KindResult, ...]
