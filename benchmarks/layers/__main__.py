"""Compare artifacts with the Keras model layer by layer, to find where quality is lost.

    python -m benchmarks.layers artifacts/edge --variant tflite-int8

runs the same test images through Keras and through the artifact with every intermediate tensor
kept, finds each layer's tensor, and prints for each layer how far its values are from Keras's. It
names the first layer where quality falls, and writes `layers-VARIANT.html` into the bundle.
A variant may also be the path of another .tflite or .onnx file of the same model. Exits with
status 1 if an artifact could not be compared.
"""

import dataclasses
import json
import sys
from pathlib import Path

from mnist_edge import bundle, cli, lock, models, schema, staging
from mnist_edge.cli import setting
from mnist_edge.safety.isolated import Allowance

from . import compare, page, table


@dataclasses.dataclass(frozen=True)
class LayersSettings:
    """Settings of one comparison; each is a command-line flag."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT, "bundle folder written by python -m export"
    )
    variant: tuple[str, ...] | None = setting(
        None,
        "variants to compare, or paths of other files (default: all of the bundle's)",
        nargs="+",
        action="extend",
        metavar="VARIANT",
    )
    limit: int = setting(32, "number of test images")
    timeout_seconds: float = setting(600, "an artifact that takes longer fails")
    memory_limit_mb: float = setting(8000, "an artifact that takes more memory fails")
    json: bool = setting(False, "print the reports as JSON on the last line of standard output")


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, compares, prints tables, writes pages; returns the exit status."""
    settings = cli.parse_settings(LayersSettings, __doc__, argv, positional=["bundle"])
    folder, variants = settings.bundle, settings.variant or ()
    allowance = Allowance(settings.timeout_seconds, settings.memory_limit_mb)
    reports = []
    with lock.held(folder):
        for drawn in compare.compare(folder, variants, settings.limit, allowance):
            report = drawn.report
            reports.append(report)
            print(table.text(report), flush=True)
            if not report.failure:
                with staging.staged(folder) as stage:
                    content = page.render(drawn)
                    (stage / page.file_name(report)).write_text(content, encoding="utf-8")
                print(f"written: {folder / page.file_name(report)}\n", flush=True)
    if settings.json:
        encoded = [schema.encode(one) for one in reports]
        print(json.dumps(encoded, separators=(",", ":"), allow_nan=False))
    return cli.GATE_FAILED if any(one.failure for one in reports) else cli.OK


if __name__ == "__main__":
    sys.exit(main())
