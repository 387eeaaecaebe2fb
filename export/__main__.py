"""Export a Keras classifier to every TFLite and ONNX variant.

    python -m export artifacts/edge
    python -m export model.keras --data data.npz --output artifacts/mine

writes the `.tflite` and `.onnx` files, `reference.npz` (the Keras model's probabilities on
the test images), `golden.npz` (one image per class with each artifact's output) and
`manifest.json`. Each artifact is first audited, run, and compared with the Keras model. What
passes is written, the rest is listed with the reasons. The exit status is 1 if a variant that is
in float32, or was named with --variants, fails.
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
        ExportSettings, description, positional=["source"], without=["variants", "skip"]
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=precisions,
        help="precisions that must be exported (default: those that the model can have, of "
        f"{' '.join(precisions)})",
    )
    values = vars(parser.parse_args(argv))
    named = values.pop("precision")
    return run(
        ExportSettings(
            variants=tuple(f"{format}-{precision}" for precision in named) if named else None,
            skip=tuple(name for name, v in VARIANTS.items() if v.format != format),
            **values,
        )
    )


def run(settings: ExportSettings) -> int:
    """Exports, printing progress and a summary; returns the exit status."""
    with cli.needing("export"):
        import tqdm

        from . import pipeline
    backend.start_keras()
    backend.require(("tensorflow",), "export")
    status, exported = cli.OK, None
    try:
        exported = pipeline.export(settings, report=tqdm.tqdm.write)
    except GateError as error:
        status, exported = cli.GATE_FAILED, error.exported
        for line in str(error).split("\n"):
            print(f"error: {line}.", file=sys.stderr)
        if not exported:
            print("error: nothing was written. Try other --variants.", file=sys.stderr)
    if exported:
        print(f"\n{pipeline.summary(exported)}\n\nwritten: {cli.printable(settings.folder)}")
    return status


if __name__ == "__main__":
    sys.exit(supervise.run(main))
