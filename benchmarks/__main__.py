"""Check and time every artifact of one bundle or several.

    python -m benchmarks artifacts/edge artifacts/classic

runs the Keras model and each artifact on the whole test set, prints one table, writes
`benchmark.json`, `benchmark.md` and pictures, and exits with 1 where an artifact
breaches the gate. The Keras row is measured where Keras is installed; the stored
reference is what all are compared with.
"""

import json
import sys

from mnist_edge import bundle, cli, lock, schema

from . import bundles, report
from .run import run
from .settings import BenchmarkSettings


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, runs the benchmark, prints the table; returns the exit status."""
    settings = cli.parse_settings(BenchmarkSettings, __doc__, argv, positional=["bundles"])
    bundle.refuse_replacing(settings.folder, report.FILES)
    with lock.held(settings.folder, *settings.bundles):
        read = bundles.load_all(settings.bundles)
        result = run(settings, read)
        text = report.text(result)
        left_out = report.write(result, read, settings.folder)
    print(text)  # once all is written: a terminal may be closed
    for line in left_out:
        print(line, file=sys.stderr)
    if settings.json:
        print(json.dumps(schema.encode(result), separators=(",", ":"), allow_nan=False))
    return cli.OK if result.passed else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
