"""Try every kind of model in every variant, and write what came of it to a page.

    python -m export.coverage                  # kinds of layers, half an hour
    python -m export.coverage --applications   # Keras's own networks, hours
    python -m export.coverage --only gru lstm  # these again

trains a small model of each kind a little and exports it, each in its own process. Each row is
recorded when it is done, in a .json beside the page; rows on record are not made again while the
packages' versions stay the same, unless --only names them.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from mnist_edge import cli, schema
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

from ..variants import VARIANTS
from . import page, process, rows
from .kinds import APPLICATIONS, KINDS
from .rows import Row, Rows


@dataclasses.dataclass(frozen=True)
class CoverageSettings:
    """Settings of the command."""

    only: tuple[str, ...] = setting(
        (),
        "kinds to make, on record or not",
        nargs="+",
        choices=tuple(rows.ALL),
        metavar="NAME",
    )
    applications: bool = setting(False, "Keras's applications, instead of the kinds of layers")
    variants: tuple[str, ...] = setting(
        tuple(VARIANTS), "variants to try", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT"
    )
    seed: int = setting(0, "seed of the weights and the training")
    fallback_seconds: int = setting(60, "time for the alternatives to one variant, in seconds")
    output: Path = setting(Path("docs/coverage.md"), "page to write; the record is beside it")

    @property
    def record(self) -> Path:
        """The record's file."""
        return self.output.with_suffix(".json")


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    settings = cli.parse_settings(CoverageSettings, __doc__, argv)
    return cli.OK if run(settings) else cli.GATE_FAILED


def run(settings: CoverageSettings, report: Callable[[str], object] = print) -> bool:
    """Makes the rows that are missing; returns whether each was made.

    Raises:
        InputError: The record can't be read or written.
    """
    known = schema.read(Rows, settings.record, "").rows if settings.record.exists() else {}
    current = rows.versions()
    wanted = settings.only or [
        name
        for name in (APPLICATIONS if settings.applications else KINDS)
        if name not in known or known[name].versions != current
    ]
    all_made = True
    for name in wanted:
        try:
            options = {"variants": settings.variants, "fallback_seconds": settings.fallback_seconds}
            made = process.make(name, settings.seed, options | {"report": print})
        except InputError as error:
            report(f"{name}: {error}")
            all_made = False
            continue
        known[name] = made
        schema.write(settings.record, Rows(rows=known))
        settings.output.write_text(page.page(known))
        report(_line(name, made))
    return all_made


def _line(name: str, row: Row) -> str:
    if row.refusal:
        return f"{name:<20} refused: {row.refusal}"
    made = ", ".join(
        variant if cell.made == variant else f"{variant}: {cell.made or 'no'}"
        for variant, cell in row.cells.items()
        if cell.made != variant
    )
    return f"{name:<20} {row.accuracy:6.1%} {row.seconds:6.0f} s  {made or 'all ok'}"


if __name__ == "__main__":
    sys.exit(main())
