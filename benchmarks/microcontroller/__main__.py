"""Measure a bundle's C file on emulated microcontrollers.

    python -m benchmarks.microcontroller artifacts/edge

compiles `c-int8.c` for Cortex-M0, M3, M4, M7 and M33 with arm-none-eabi-gcc, runs its golden
vectors and test images in QEMU, and reports flash (code and weights apart), RAM (buffers, variables
and stack), instructions per call, and on how many images its output bytes equal those of LiteRT's
reference kernels. Instructions are not cycles. Writes `microcontroller.json` into the bundle. Exits
with status 1 if a byte differs or a core failed.
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import bundle, cli, lock, models, schema, staging
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

from . import measure, records
from .boards import BOARDS, CORES
from .records import FAILED


@dataclasses.dataclass(frozen=True)
class MicrocontrollerSettings:
    """Settings of one measurement; each is a command-line flag."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT, "bundle folder written by python -m export"
    )
    cores: tuple[str, ...] = setting(CORES, "cores to emulate", nargs="+", choices=CORES)
    limit: int = setting(200, "number of test images")
    optimization: str = setting(
        "O2", "the compiler's optimization", choices=("Os", "O1", "O2", "O3")
    )
    no_digit: bool = setting(
        False, "with the likeness to a digit in each call (docs/c.md); writes no record"
    )
    timeout_seconds: int = setting(600, "a core that takes longer fails")

    def __post_init__(self) -> None:
        for name in ("limit", "timeout_seconds"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be 1 or more. Got: {getattr(self, name)}.")


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, measures, prints the table, writes the record; returns the exit status."""
    settings = cli.parse_settings(MicrocontrollerSettings, __doc__, argv, positional=["bundle"])
    boards = [one for one in BOARDS if one.core in settings.cores]
    with lock.held(settings.bundle):
        report = measure.measure(
            *(settings.bundle, boards, settings.limit),
            *(settings.optimization, settings.timeout_seconds, settings.no_digit),
        )
        print(records.table(report))
        if not settings.no_digit:
            with staging.staged(settings.bundle) as stage:
                schema.write(stage / records.FILE, report)
            print(f"written: {cli.printable(settings.bundle / records.FILE)}")
    failed = any(one.status == FAILED for one in report.results)
    return cli.GATE_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
