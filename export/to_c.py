"""Export a Keras classifier to C: one source that needs no runtime, a header and an example.

    python -m export.to_c artifacts/edge

writes `c-int8.c`, `c-int8.h` and `c-int8.main.c`, as `python -m export --variants c-int8` does.
"""

import sys

from mnist_edge import cli
from mnist_edge.safety import supervise

from .__main__ import run
from .settings import ExportSettings


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Exports the bundle's C variant; returns the exit status."""
    parser = cli.settings_parser(
        ExportSettings, __doc__, positional=["source"], without=["variants", "skip"]
    )
    return run(ExportSettings(variants=("c-int8",), **vars(parser.parse_args(argv))))


if __name__ == "__main__":
    sys.exit(supervise.run(main))
