"""Export a Keras classifier to ONNX.

    python -m export.to_onnx artifacts/edge --precision float32 --opset 21

writes the bundle's ONNX files in all precisions or the given ones, as `python -m export` does.
"""

import sys

from mnist_edge import cli
from mnist_edge.safety import supervise

from .__main__ import main_for


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Exports the bundle's ONNX variants; returns the exit status."""
    return main_for("onnx", __doc__, argv)


if __name__ == "__main__":
    sys.exit(supervise.run(main))
