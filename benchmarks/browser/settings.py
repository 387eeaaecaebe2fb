"""Settings of the command and their defaults."""

import dataclasses
import math
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

_COUNTS = ("limit", "rounds", "loads")


@dataclasses.dataclass(frozen=True)
class BrowserSettings:
    """Settings of one measurement; each is a command-line flag."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT, "bundle folder, measured by python -m benchmarks"
    )
    fetch: bool = setting(False, "let npm download the packages that the cache lacks")
    cache: Path | None = setting(
        None, "folder for these packages (default: mnist-edge/npm in the user's cache)"
    )
    limit: int | None = setting(
        None, "judge on so many test images, evenly spaced (default: all of them)", metavar="N"
    )
    rounds: int = setting(20, "timing rounds; every row is timed in each round")
    loads: int = setting(5, "first visits of each row, each followed by a second visit")
    timeout_seconds: float = setting(120, "a row whose page takes longer per request fails")

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} must be 1 or more. Got: {value}.")
        if not 0 < self.timeout_seconds < math.inf:
            raise InputError(
                f"--timeout-seconds must be more than 0 and finite. Got: {self.timeout_seconds}."
            )
