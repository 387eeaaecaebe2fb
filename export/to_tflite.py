"""Keras to TFLite.

    python -m export.to_tflite artifacts/edge --precision int8

writes the bundle's TFLite files, all precisions or those that are named, as
`python -m export` does.
"""

import sys

from mnist_edge import cli
from mnist_edge.safety import supervise


@cli.command
def main(argv=None):
    """Exports the bundle's TFLite variants; returns the exit status."""
    with cli.needing("export"):
        from .pipeline import main_for
    return main_for("tflite", __doc__, argv)


if __name__ == "__main__":
    sys.exit(supervise.run(main))
