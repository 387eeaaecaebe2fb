"""Soak test: check that results and memory stay constant over a million calls.

    python -m benchmarks.soak artifacts/edge
    python -m benchmarks.soak artifacts/edge --processes 8 --predictions 20000

runs each artifact in its own process, one image per call, one thread, in many laps: passes
over the same test images. The results of every lap must be bit-identical to the first lap's.
Resident memory may grow by at most `--max-growth`, counted from the end of the first 2 % of
the laps. With `--processes`, all processes open the file at the same time and must compute
the same results as one process alone. Exits with status 1 on failure.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_edge import bundle, cli, models, runtimes, schema
from mnist_edge.cli import setting
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from . import bundles, child, machine, progress, tables
from .child import Lap
from .worker import MOST_VALUES

_LAP_IMAGES = 1000
# One in this many laps, at least one, is warm-up: the runtime still fills caches and pools.
_WARMUP_DIVISOR = 50
PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


@dataclasses.dataclass(frozen=True)
class SoakSettings:
    """Settings of one soak test; each is a command-line flag."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT, "bundle folder written by python -m export"
    )
    predictions: int = setting(1_000_000, "predictions per process, rounded up to whole laps")
    variants: tuple[str, ...] = setting(
        ("keras", "tflite-int8", "tflite-float32", "onnx-float32"),
        "variants to run; 'keras' is the Keras model",
        nargs="+",
        metavar="VARIANT",
    )
    processes: int = setting(1, "processes that run an artifact at the same time")
    max_growth: float = setting(0.05, "maximum growth of resident memory, as a share")
    timeout_seconds: float = setting(120, "a process that takes longer for a lap fails")
    json: bool = setting(False, "print the result as JSON on the last line of standard output")

    def __post_init__(self) -> None:
        for name in ("predictions", "processes", "max_growth", "timeout_seconds"):
            if getattr(self, name) <= 0:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be more than 0. Got: {getattr(self, name)}.")


@dataclasses.dataclass(frozen=True)
class SoakResult:
    """Result for one artifact; figures are None if it did not run.

    `predictions` counts all processes, and `seconds` is the slowest process's time in calls.
    Memory is that of the process that grew most, after the warm-up laps and at its later peak;
    None if the system has no /proc.
    """

    variant: str
    status: str  # "passed", "FAILED" or "skipped"
    causes: tuple[str, ...]
    runtime: str | None = None
    processes: int | None = None
    predictions: int | None = None
    predictions_per_second: int | None = None
    seconds: float | None = None
    mismatched_laps: int | None = None
    resident_start_bytes: int | None = None
    resident_most_bytes: int | None = None
    growth: float | None = None


class Run(NamedTuple):
    """Runtime and laps of one process."""

    runtime: str
    laps: list[Lap]


def run(settings: SoakSettings) -> Iterator[SoakResult]:
    """Runs the selected artifacts of a bundle.

    Raises:
        InputError: The bundle is missing or damaged, or lacks a variant.
    """
    (loaded,) = bundles.load_all([settings.bundle])
    artifacts = {artifact.variant: artifact for artifact in loaded.artifacts}
    for variant in settings.variants:
        if variant not in artifacts:
            raise InputError(
                f"--variants must be among {', '.join(artifacts)}. Got: {variant}. "
                + (did_you_mean(variant, artifacts) or f"Run: python -m export {settings.bundle}")
            )
    count = min(_LAP_IMAGES, MOST_VALUES // math.prod(loaded.images.shape[1:]))
    images = loaded.images[: max(1, count)].astype(np.float32)
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
    """Runs a file in several processes, one thread each, which open it at the same time.

    Args:
        path: The artifact.
        images: float32 `[n, ...]`, in the model's input shape.
        count: Number of laps per process.
        processes: Number of processes.
        allowance: Limits of each process.
        lap_done: Called after each lap of each process.

    Raises:
        WorkerFailed: A process failed before its last lap, or exceeded its limits.
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
            stack.enter_context(Process(child.REQUESTS, allowance, state=child.State))
            for _ in range(processes)
        ]
        for begun in concurrent.futures.as_completed([pool.submit(begin, p) for p in started]):
            begun.result()  # raises the first failure, which ends the other processes
        asked = [pool.submit(follow, process) for process in started]
        for followed in concurrent.futures.as_completed(asked):
            followed.result()
        return [followed.result() for followed in asked]


def check(variant: str, runs: Sequence[Run], expected: str, max_growth: float) -> SoakResult:
    """Checks the runs of one artifact.

    Args:
        variant: Name of the artifact.
        runs: One per process.
        expected: SHA-256 that every lap's results must have.
        max_growth: Maximum growth of resident memory, as a share.
    """
    predictions = sum(lap.predictions for one in runs for lap in one.laps)
    seconds = max(sum(lap.seconds for lap in one.laps) for one in runs)
    mismatched_laps = sum(lap.sha256 != expected for one in runs for lap in one.laps)
    start, most, growth = max((_growth(one.laps) for one in runs), key=lambda found: found[2] or 0)
    causes = []
    if mismatched_laps:
        causes.append(f"laps with different results: {mismatched_laps}")
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
        mismatched_laps=mismatched_laps,
        resident_start_bytes=start,
        resident_most_bytes=most,
        growth=None if growth is None else round(growth, 6),
    )


def _growth(laps: Sequence[Lap]) -> tuple[int | None, int | None, float | None]:
    """Returns resident bytes after the warm-up laps, their later peak, and the growth."""
    resident = [lap.resident_bytes for lap in laps]
    later = resident[max(1, len(resident) // _WARMUP_DIVISOR) - 1 :]
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
    ("mismatched laps", True, lambda one: tables.shown(one.mismatched_laps, "")),
    ("memory, MB", True, lambda one: tables.megabytes(one.resident_start_bytes, ".1f")),
    ("peak, MB", True, lambda one: tables.megabytes(one.resident_most_bytes, ".1f")),
    ("growth", True, lambda one: tables.shown(one.growth, ".2%")),
    ("verdict", False, lambda one: one.status),
)


def table(results: Sequence[SoakResult]) -> str:
    """Formats the results as a Markdown table, one row per artifact."""
    headings = [(heading, is_numeric) for heading, is_numeric, _ in _COLUMNS]
    return tables.layout(headings, [[cell(one) for *_, cell in _COLUMNS] for one in results])


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, runs the soak test, prints the table; returns the exit status."""
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
