"""Export a Keras classifier to TFLite and ONNX, every variant.

    python -m export artifacts/edge
    python -m export model.keras --data data.npz --output artifacts/mine

writes the `.tflite` and `.onnx` files, `reference.npz` (the Keras model's
probabilities on the test images), `golden.npz` (one image a class with what each artifact
makes of it) and `manifest.json`. Each artifact is audited, reopened in its runtime and
compared with the model first; all are written, or none.
"""

import sys

from mnist_edge import cli
from mnist_edge.safety import supervise

from .settings import ExportSettings


@cli.command
def main(argv=None):
    """Parses `argv`, exports, prints a line an artifact; returns the exit status."""
    settings = cli.parse_settings(ExportSettings, __doc__, argv, positional=["source"])
    with cli.needing("export"):
        from .pipeline import run
    return run(settings)


if __name__ == "__main__":
    sys.exit(supervise.run(main))
