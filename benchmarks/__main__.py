"""Check and time every artifact of one bundle or several.

    python -m benchmarks artifacts/edge artifacts/classic

runs the Keras model and each artifact on the whole test set, prints one table, writes
`benchmark.json`, `benchmark.md` and plots, and exits with status 1 if an artifact fails
the gate. Artifacts are compared with the Keras predictions stored at export, so Keras
itself is optional; without it, only its own row is missing.
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
        loaded = bundles.load_all(settings.bundles, settings.limit)
        result = run(settings, loaded)
        text = report.text(result)
        skipped = report.write(result, loaded, settings.folder)
    print(text)  # after writing the files: standard output may be closed
    for line in skipped:
        print(line, file=sys.stderr)
    if settings.json:
        print(json.dumps(schema.encode(result), separators=(",", ":"), allow_nan=False))
    return cli.OK if result.passed else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
