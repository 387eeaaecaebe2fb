"""Write docs/robustness.md: what `--robustness` measured, and a picture of what is judged.

python -m benchmarks.corruptions artifacts/benchmark.json
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import cli, schema, staging
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

from ..measurement import Measurement, Report
from . import page, sheet


@dataclasses.dataclass(frozen=True)
class PageSettings:
    """Settings of the command."""

    reports: tuple[Path, ...] = setting(
        (), "benchmark.json of runs with --robustness", nargs="+", metavar="BENCHMARK.JSON"
    )
    output: Path = setting(Path("docs"), "folder for robustness.md and robustness.png")


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    settings = cli.parse_settings(PageSettings, __doc__, argv, positional=["reports"])
    rows: dict[str, Measurement] = {}
    for path in settings.reports:
        report = schema.read(Report, path, "Run: python -m benchmarks BUNDLE --robustness")
        rows |= {
            f"{row.bundle} {row.variant}": row for row in report.measurements if row.robustness
        }
    if not rows:
        raise InputError(
            f"{settings.reports[0]} must be of a run with --robustness. Got: one without. Add it."
        )
    with staging.staged(settings.output) as stage:
        (stage / "robustness.md").write_text(page.page(rows), encoding="utf-8")
        sheet.draw(stage / "robustness.png")
    print(f"written: {cli.printable(settings.output / 'robustness.md')}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
