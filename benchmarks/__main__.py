"""Judge and time every artefact of a bundle.

    python -m benchmarks artifacts/edge

runs the Keras model and each artefact on the whole test set, prints one table, writes
`benchmark.json` and `benchmark.md` into the bundle, and exits with 1 where an artefact
breaches the gate.
"""

import sys

from benchmarks import report
from benchmarks.judge import BenchmarkSettings, judge
from mnist_edge import cli


@cli.command
def main(argv=None):
    """Parses `argv`, judges, prints the table; returns the exit status."""
    settings = cli.parse_settings(BenchmarkSettings, __doc__, argv, positional=["bundle"])
    result = judge(settings)
    report.write(result, settings.bundle)
    print(f"{report.table(result)}\n\n{report.caption(result)}\n{report.verdict(result)}")
    return cli.OK if result["passed"] else cli.GATE_BREACHED


if __name__ == "__main__":
    sys.exit(main())
