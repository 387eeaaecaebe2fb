"""Export a Keras classifier to every TFLite and ONNX variant.

    python -m export artifacts/edge
    python -m export model.keras --data data.npz --output artifacts/mine

writes the `.tflite` and `.onnx` files, `reference.npz` (the Keras model's probabilities on
the test images), `golden.npz` (one image per class with each artifact's output) and
`manifest.json`. Each artifact is first audited, run, and compared with the Keras model.
Either all files are written, or none.
"""

import sys

from mnist_edge import backend, cli
from mnist_edge.errors import GateError
from mnist_edge.safety import supervise

from .settings import ExportSettings
from .variants import VARIANTS


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Runs the export command; returns the exit status."""
    return run(cli.parse_settings(ExportSettings, __doc__, argv, positional=["source"]))


def main_for(format: str, description: str | None, argv: list[str] | None) -> int:
    """Runs the export command of a single format; returns the exit status."""
    precisions = [v.precision for v in VARIANTS.values() if v.format == format]
    parser = cli.settings_parser(
        ExportSettings, description, positional=["source"], without=["variants"]
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=precisions,
        default=precisions,
        help=f"precisions to export (default: {' '.join(precisions)})",
    )
    values = vars(parser.parse_args(argv))
    chosen = tuple(f"{format}-{precision}" for precision in values.pop("precision"))
    return run(ExportSettings(variants=chosen, **values))


def run(settings: ExportSettings) -> int:
    """Exports, printing progress and a summary; returns the exit status."""
    with cli.needing("export"):
        import tqdm

        from . import pipeline
    backend.start_keras()
    backend.require(("tensorflow",), "export")
    try:
        artifacts = pipeline.export(settings, report=tqdm.tqdm.write)
    except GateError as error:
        for line in str(error).split("\n"):
            print(f"error: {line}.", file=sys.stderr)
        remedy = "" if settings.fallback else " Try --fallback, or other --variants."
        print(f"error: nothing was written.{remedy}", file=sys.stderr)
        return cli.GATE_FAILED
    print(f"\n{pipeline.summary(artifacts)}\n\nwritten: {cli.printable(settings.folder)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
