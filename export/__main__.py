"""Export a bundle's Keras model to every variant.

    python -m export artifacts/edge

writes the `.tflite` and `.onnx` files, `reference.npz` (the Keras model's
probabilities on the test images) and `manifest.json` beside the model. Each artefact is
reopened in its runtime and compared with the model first; all are written, or none.
"""

import sys

from export.exporter import ExportMismatch, ExportSettings, export
from mnist_edge import backend, cli


@cli.command
def main(argv=None):
    """Parses `argv`, exports, prints a line an artefact; returns the exit status."""
    settings = cli.parse_settings(ExportSettings, __doc__, argv, positional=["bundle"])
    backend.start_keras()
    try:
        manifest = export(settings)
    except ExportMismatch as error:
        print(f"error: {error} Nothing was written.", file=sys.stderr)
        return cli.GATE_BREACHED
    print(f"{len(manifest['artifacts'])} artefacts written: {settings.bundle}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
