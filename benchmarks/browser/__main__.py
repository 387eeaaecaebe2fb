"""Measure a bundle's artifacts in headless Chromium.

    python -m benchmarks artifacts/edge           # first: its benchmark.json takes the rows
    python -m benchmarks.browser artifacts/edge --fetch

compiles `c-int8.c` to WebAssembly, with SIMD and without, and runs it beside the bundle's TFLite
files in LiteRT.js and its ONNX files in onnxruntime-web, in turn, in one page from the loopback
address: parity by the benchmark's gate on the whole test set, bytes fetched, cold and warm load,
median and p99 of a call. --fetch lets npm download both runtimes, at exact versions, into a cache;
without them their rows are "not installed". The rows join `benchmark.json` and `benchmark.md`.
Exits with status 1 if a row fails the gate.
"""

import dataclasses
import sys
from collections.abc import Sequence

from mnist_edge import bundle, cli, lock, schema
from mnist_edge.errors import InputError

from .. import bundles, measurement, report, tables
from ..measurement import BrowserRun, Measurement, Report
from . import measure
from .settings import BrowserSettings


def joined(before: Report, rows: Sequence[Measurement], run: BrowserRun) -> Report:
    """Returns a report with these rows in place of those that ran in a browser before."""
    kept = [row for row in before.measurements if not row.in_browser]
    old = tuple(f"{row.name(False)}: " for row in before.measurements if row.in_browser)
    breaches = [one for one in before.breaches if not one.startswith(old)]
    breaches += [f"{row.name(False)}: {breach}" for row in rows for breach in row.breaches]
    return dataclasses.replace(
        before,
        passed=not breaches,
        breaches=tuple(breaches),
        measurements=(*kept, *rows),
        browser=run,
    )


def _earlier(settings: BrowserSettings, model_sha256: str) -> Report:
    """Reads the bundle's report.

    Raises:
        InputError: There is none of this model alone.
    """
    path = settings.bundle / measurement.BENCHMARK_JSON
    remedy = f"Run: python -m benchmarks {settings.bundle}"
    if not path.is_file():
        raise InputError(f"{path} must be there, to take the rows. Got: no such file. {remedy}")
    found = schema.read(Report, path, remedy)
    if [one.model_sha256 for one in found.bundles] != [model_sha256]:
        raise InputError(f"{path} must be of the bundle's model. Got: another's. {remedy}")
    return found


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, measures, prints the table, writes the reports; returns the exit status."""
    settings = cli.parse_settings(BrowserSettings, __doc__, argv, positional=["bundle"])
    bundle.refuse_replacing(settings.bundle, report.FILES)
    with lock.held(settings.bundle):
        (loaded,) = bundles.load_all([settings.bundle], settings.limit)
        before = _earlier(settings, loaded.manifest.model.sha256)
        # The rows that are there keep their bundle's name, though the folder may have another now.
        loaded = dataclasses.replace(loaded, label=before.bundles[0].bundle)
        rows, run = measure.measure(settings, loaded, before.thresholds)
        result = joined(before, rows, run)
        skipped = report.write(result, [loaded], settings.bundle)
    print(tables.browser_table(result))
    print("\n".join(report.browser(result)))
    for row in rows:
        for breach in row.breaches:
            print(f"BREACH {row.name(False)}: {breach}")
    for line in skipped:
        print(line, file=sys.stderr)
    return cli.GATE_FAILED if any(row.breaches for row in rows) else cli.OK


if __name__ == "__main__":
    sys.exit(main())
