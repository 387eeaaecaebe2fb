"""Does an artifact stay itself under load: same bits, same memory, after a million calls?

    python -m benchmarks.soak artifacts/edge
    python -m benchmarks.soak artifacts/edge --processes 8 --predictions 20000

runs each artifact in a process of its own, lap after lap over the same test images, one
image per call, one thread. Every lap's results are hashed and must be the first lap's, bit
for bit; resident memory may grow by at most `--max-growth` over what it was when the first
fiftieth of the laps was done. With several processes all of them open the file at the same
moment, and must compute what one process alone computed. Exits with 1 on a breach.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_edge import bundle, cli, models, runtimes, schema
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from . import bundles, child, machine, progress, tables
from .child import Lap

_LAP_IMAGES = 1000
# The laps in which a runtime still fills its caches and pools: a fiftieth, at least one.
_WARMUP_SHARE = 50
PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


@dataclasses.dataclass(frozen=True)
class SoakSettings:
    """The settings of one run, and every default of the command line."""

    bundle: Path = setting(bundle.ARTIFACTS / models.DEFAULT, "folder that python -m export wrote")
    predictions: int = setting(1_000_000, "predictions of each process, rounded up to whole laps")
    variants: tuple[str, ...] = setting(
        ("keras", "tflite-int8", "tflite-float32", "onnx-float32"),
        "what to run; 'keras' is the model itself",
        nargs="+",
        metavar="VARIANT",
    )
    processes: int = setting(1, "processes that run an artifact at the same time")
    max_growth: float = setting(0.05, "most that resident memory may grow, as a share")
    timeout_seconds: float = setting(120, "a process that takes longer for a lap has failed")
    json: bool = setting(False, "end standard output with the result on one line of JSON")

    def __post_init__(self) -> None:
        for name in ("predictions", "processes", "max_growth", "timeout_seconds"):
            if getattr(self, name) <= 0:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be more than 0. Got: {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True)
class SoakResult:
    """What came of one artifact; figures are None where it did not run.

    Predictions are of all processes, `seconds` those in the calls of the slowest. Memory is of
    the process that grew most, after the first laps and the most later; None where the system
    does not tell.
    """

    variant: str
    status: str  # "passed", "FAILED" or "skipped"
    causes: tuple[str, ...]
    runtime: str | None = None
    processes: int | None = None
    predictions: int | None = None
    predictions_per_second: int | None = None
    seconds: float | None = None
    other_laps: int | None = None
    resident_start_bytes: int | None = None
    resident_most_bytes: int | None = None
    growth: float | None = None


class Run(NamedTuple):
    """One process's runtime and laps."""

    runtime: str
    laps: list[Lap]


def run(settings: SoakSettings) -> Iterator[SoakResult]:
    """Runs the chosen artifacts of a bundle.

    Raises:
        InputError: The bundle is missing or damaged, or has no such variant.
    """
    (read,) = bundles.load_all([settings.bundle])
    artifacts = {artifact.variant: artifact for artifact in read.artifacts}
    for variant in settings.variants:
        if variant not in artifacts:
            raise InputError(
                f"--variants must be among {', '.join(artifacts)}. Got: {variant}. "
                f"Leave it out, or run: python -m export {settings.bundle}"
            )
    images = read.images[:_LAP_IMAGES]
    for variant in settings.variants:
        path = artifacts[variant].path
        if cause := artifacts[variant].damage():
            yield SoakResult(variant, FAILED, (f"{path}: {cause}",))
        elif not runtimes.is_installed(path):
            yield SoakResult(variant, SKIPPED, ("its runtime is not installed",))
        else:
            yield _run_one(settings, variant, path, images)


def _run_one(settings: SoakSettings, variant: str, path: Path, images: np.ndarray) -> SoakResult:
    allowance, several = Allowance(settings.timeout_seconds), settings.processes
    count = -(-settings.predictions // len(images))
    try:
        alone = run_at_once(path, images, 1, 1, allowance) if several > 1 else []
        with progress.bar(count * several, variant) as lap_done:
            runs = run_at_once(path, images, count, several, allowance, lap_done)
    except WorkerFailed as error:
        return SoakResult(variant, FAILED, (f"{path}: {error}",))
    return check(variant, runs, (alone or runs)[0].laps[0].sha256, settings.max_growth)


def run_at_once(
    path: Path | str,
    images: np.ndarray,
    count: int,
    processes: int,
    allowance: Allowance,
    lap_done: Callable[[], object] = lambda: None,
) -> list[Run]:
    """Runs a file in several processes, one thread each, which open it at the same moment.

    Args:
        path: The artifact.
        images: float32 `[n, ...]`, as the model takes them.
        count: Number of laps each.
        processes: How many.
        allowance: Of each.
        lap_done: Called as each lap of each process is done.

    Raises:
        WorkerFailed: A process ended before its last lap, or took too much.
    """

    def begin(process: Process) -> None:
        process.ask_for(child.Imported, "import", str(path), 1)

    def follow(process: Process) -> Run:
        opened = process.ask_for(child.Opened, "open", str(path), 1)
        process.ask("keep", images)
        laps = []
        for _ in range(count):
            laps.append(process.ask_for(Lap, "lap"))
            lap_done()
        return Run(opened.runtime, laps)

    with concurrent.futures.ThreadPoolExecutor(processes) as pool, contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(Process(child.REQUESTS, allowance)) for _ in range(processes)
        ]
        for begun in concurrent.futures.as_completed([pool.submit(begin, p) for p in started]):
            begun.result()  # the first to fail is the cause; the others are then ended
        asked = [pool.submit(follow, process) for process in started]
        for followed in concurrent.futures.as_completed(asked):
            followed.result()
        return [followed.result() for followed in asked]


def check(variant: str, runs: Sequence[Run], expected: str, max_growth: float) -> SoakResult:
    """What came of one artifact's runs.

    Args:
        variant: The artifact.
        runs: One per process.
        expected: SHA-256 that each lap's results must have.
        max_growth: Most that resident memory may grow, as a share.
    """
    predictions = sum(lap.predictions for one in runs for lap in one.laps)
    seconds = max(sum(lap.seconds for lap in one.laps) for one in runs)
    other_laps = sum(lap.sha256 != expected for one in runs for lap in one.laps)
    start, most, growth = max((_growth(one.laps) for one in runs), key=lambda found: found[2] or 0)
    causes = []
    if other_laps:
        causes.append(f"{other_laps} laps gave other bits")
    if growth and growth > max_growth:
        causes.append(f"memory grew by {growth:.1%}, at most {max_growth:.1%} allowed")
    return SoakResult(
        variant,
        FAILED if causes else PASSED,
        tuple(causes),
        runtime=runs[0].runtime,
        processes=len(runs),
        predictions=predictions,
        predictions_per_second=round(predictions / seconds),
        seconds=round(seconds, 1),
        other_laps=other_laps,
        resident_start_bytes=start,
        resident_most_bytes=most,
        growth=None if growth is None else round(growth, 6),
    )


def _growth(laps: Sequence[Lap]) -> tuple[int | None, int | None, float | None]:
    """Resident bytes after the first laps, the most later, and the share between them."""
    resident = [lap.resident_bytes for lap in laps]
    later = resident[max(1, len(resident) // _WARMUP_SHARE) - 1 :]
    known = [one for one in later if one is not None]
    if not known:
        return None, None, None
    return known[0], max(known), max(known) / known[0] - 1


_COLUMNS: tuple[tuple[str, bool, Callable[[SoakResult], str]], ...] = (
    ("artifact", False, lambda one: one.variant),
    ("runtime", False, lambda one: tables.shown(one.runtime, "")),
    ("processes", True, lambda one: tables.shown(one.processes, "")),
    ("predictions", True, lambda one: tables.shown(one.predictions, ",")),
    ("per second", True, lambda one: tables.shown(one.predictions_per_second, ",")),
    ("laps with other bits", True, lambda one: tables.shown(one.other_laps, "")),
    ("memory, MB", True, lambda one: tables.megabytes(one.resident_start_bytes, ".1f")),
    ("at most, MB", True, lambda one: tables.megabytes(one.resident_most_bytes, ".1f")),
    ("growth", True, lambda one: tables.shown(one.growth, ".2%")),
    ("verdict", False, lambda one: one.status),
)


def table(results: Sequence[SoakResult]) -> str:
    """The outcome as a Markdown table, one row per artifact."""
    headings = [(heading, is_numeric) for heading, is_numeric, _ in _COLUMNS]
    return tables.layout(headings, [[cell(one) for *_, cell in _COLUMNS] for one in results])


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, runs, prints the table; returns the exit status."""
    settings = cli.parse_settings(SoakSettings, __doc__, argv, positional=["bundle"])
    results = list(run(settings))
    print(table(results))
    for one in results:
        for cause in one.causes:
            print(f"{one.variant} {one.status}: {cli.printable(cause)}")
    statuses = [one.status for one in results if one.status != SKIPPED]
    passed = bool(statuses) and set(statuses) == {PASSED}
    print(f"{statuses.count(PASSED)} of {len(results)} artifacts passed")
    if settings.json:
        result = {
            "machine": schema.encode(machine.fingerprint()),
            "passed": passed,
            "rows": [schema.encode(one) for one in results],
        }
        print(json.dumps(result, separators=(",", ":"), allow_nan=False))
    return cli.OK if passed else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
