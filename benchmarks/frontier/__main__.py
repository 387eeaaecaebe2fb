"""Reproduce the frontier: train, export and measure the zoo, once per seed.

    python -m benchmarks.frontier --seeds 5

trains every network with its full recipe, exports it, measures the exports on the test
images, and records each run in `benchmarks/frontier/records.json` when it finishes; then
times all networks together with published ones, and plots accuracy against size and against
latency. Recorded runs are not repeated, and an interrupted job resumes where it stopped.
`--table` only prints the tables of docs/frontier.md from the record.
"""

import concurrent.futures
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from mnist_edge import backend, bundle, cli, data, drawing, lock, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

from . import jobs as frontier_jobs
from . import latency as frontier_latency
from . import pictures as frontier_pictures
from . import records
from . import report as frontier_report
from .jobs import Job, Result, StageFailed

_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class FrontierSettings:
    """Settings of one frontier run; each is a command-line flag."""

    seeds: int = setting(5, "runs per network, with seeds from 0")
    models: tuple[str, ...] = setting(
        tuple(models.ZOO),
        "networks of the zoo",
        nargs="+",
        choices=tuple(models.ZOO),
        metavar="MODEL",
    )
    jobs: int = setting(1, "parallel jobs on this machine")
    scheduler: str | None = setting(
        None, "address of a Dask cluster to run the jobs on (default: this machine)"
    )
    work: Path = setting(bundle.ARTIFACTS / "frontier", "folder for the runs' bundles")
    data: str = setting(data.MNIST, f"{data.HELP}; any but 'mnist' requires --record")
    record: Path | None = setting(None, "record file (default: benchmarks/frontier/records.json)")
    pictures: Path = setting(Path("docs"), "folder for the plots")
    latency: bool | None = setting(
        None, "time all networks together (default: if one is new or has no recorded latency)"
    )
    table: bool = setting(False, "only print the tables from the record")

    def __post_init__(self) -> None:
        for name in ("seeds", "jobs"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be 1 or more. Got: {getattr(self, name)}.")
        if frontier_jobs.PARENT and not (self.record or self.table):
            raise InputError(
                "--record is required: the installed package's own record is read-only."
            )
        if self.data != data.MNIST and not self.record:
            raise InputError(
                f"--data {self.data} needs --record: the project's own record holds MNIST runs."
            )


def wanted(settings: FrontierSettings) -> list[Job]:
    """Returns the jobs that are not recorded yet, seed by seed."""
    measured = records.load(settings.record).measured()
    done = {(name, run.seed) for name, network in measured.items() for run in network.runs}
    return [
        Job(name, seed, settings.work / f"{name}-{seed}", settings.data)
        for seed in range(settings.seeds)
        for name in settings.models
        if (name, seed) not in done
    ]


def results(settings: FrontierSettings, jobs: list[Job]) -> Iterator[tuple[Job, Result | str]]:
    """Runs jobs, here or on a cluster; yields each one's result or failure when it finishes.

    Raises:
        InputError: Dask is not installed.
        OSError: The cluster can't be reached.
    """
    with _executor(settings) as executor:
        futures = {executor.submit(frontier_jobs.run, job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
            while not all(future.done() for future in futures):  # interrupted
                frontier_jobs.end_stages()
                concurrent.futures.wait(futures, _POLL_SECONDS)


@contextlib.contextmanager
def _executor(settings: FrontierSettings) -> Iterator[Executor]:
    if settings.scheduler:
        with cli.needing("cluster"):
            import distributed
        with distributed.Client(settings.scheduler) as client:
            yield client.get_executor()
    else:  # threads suffice: each stage of a job is a subprocess
        with ThreadPoolExecutor(settings.jobs) as executor:
            yield executor


def run(settings: FrontierSettings, report: Callable[[str], None] = print) -> list[str]:
    """Runs and records the missing jobs, times all networks and draws the plots.

    Args:
        settings: What to run.
        report: Called with a line of progress after each step.

    Returns:
        The failures, one line each.

    Raises:
        InputError: Dask is not installed, or an export can't be timed.
    """
    jobs, failures, is_new = wanted(settings), [], False

    def fail(kind: str, line: str) -> None:
        failures.append(line)
        report(f"{kind} {line}")

    report(f"{len(jobs)} of {settings.seeds * len(settings.models)} runs to do")
    for job, result in results(settings, jobs) if jobs else ():
        if isinstance(result, str):
            fail("FAILED", f"{job}: {result}")
            continue
        records.add_run(result.trained, result.exports, settings.record)
        is_new |= job.seed == 0
        report(f"{job}: {_summary(result)}")
        for breach in result.breaches:
            fail("BREACH", f"{job}: {breach}")
    try:
        _time(settings, is_new, report)
    except StageFailed as error:
        fail("FAILED", f"latency: {error}")
    record = records.load(settings.record)
    if not drawing.available():
        report("no plots: Matplotlib is not installed")
    elif record.measured():
        frontier_pictures.write(record, settings.pictures)
    return failures


def _summary(result: Result) -> str:
    float32, int8 = result.trained.metrics.test_accuracy, result.exports[records.INT8].test_accuracy
    return f"{float32:.2%}, int8 {int8:.2%}, {result.trained.training_seconds:.0f} s of training"


def _time(settings: FrontierSettings, is_new: bool, report: Callable[[str], None]) -> None:
    """Times all networks that have runs, if needed or asked for, and records the latency."""
    record = records.load(settings.record)
    names = list(record.measured())
    is_due = is_new or not all(map(record.call_times, names))
    if not names or not (is_due if settings.latency is None else settings.latency):
        return
    backend.start_keras()
    folders = {
        name: folder
        for name in names
        for folder in (settings.work / f"{name}-{seed}" for seed in reversed(range(settings.seeds)))
        if frontier_jobs.is_exported(folder)
    }
    latency = frontier_latency.measure(names, folders, settings.work, report)
    records.set_latency(latency, settings.record)


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, reproduces the frontier, prints the tables; returns the exit status."""
    settings = cli.parse_settings(FrontierSettings, __doc__, argv)
    failures = []
    if not settings.table:
        try:
            with lock.held(settings.work):
                failures = run(settings, lambda line: print(line, file=sys.stderr, flush=True))
        except KeyboardInterrupt:
            print("finished runs are recorded; to continue, run the same command", file=sys.stderr)
            raise
    print(frontier_report.all_tables(records.load(settings.record)))
    return cli.GATE_FAILED if failures else cli.OK


if __name__ == "__main__":
    sys.exit(main())
