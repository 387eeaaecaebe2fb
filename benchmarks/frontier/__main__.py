"""Remake the frontier: train, export and measure the zoo, once a seed.

    python -m benchmarks.frontier --seeds 5

trains every network by its full recipe, exports it, measures every export on the
validation images and on the test images, and records each run in
`benchmarks/frontier/records.json` as it ends; then times all networks together, published ones
beside them, and draws accuracy against bytes and against microseconds. What is on record
is not done again, and a job that was cut goes on where it stopped. `--table` prints the
README's table from the record alone.
"""

import contextlib
import dataclasses
import importlib.util
import sys
from pathlib import Path

from mnist_edge import backend, bundle, cli, data, drawing, lock, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError

from . import jobs as frontier_jobs
from . import latency as frontier_latency
from . import pictures as frontier_pictures
from . import records
from . import report as frontier_report
from .jobs import Job


@contextlib.contextmanager
def _loky(settings):
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=settings.jobs):
        yield


@contextlib.contextmanager
def _dask(settings):
    import distributed
    import joblib

    # A worker is one process and does one job at a time.
    local = {"n_workers": settings.jobs, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.Client(settings.scheduler, **({} if settings.scheduler else local)),
        joblib.parallel_config(backend="dask"),
    ):
        yield


# Name: (the packages that it takes, the context in which joblib hands jobs to it).
BACKENDS = {
    "loky": (("joblib",), _loky),
    "dask": (("joblib", "dask", "distributed"), _dask),
}


@dataclasses.dataclass(frozen=True)
class FrontierSettings:
    """The settings of one run, and every default of the command line."""

    seeds: int = setting(5, "runs a network, by the seeds from 0")
    models: tuple[str, ...] = setting(
        tuple(models.ZOO), "networks", nargs="+", choices=tuple(models.ZOO), metavar="MODEL"
    )
    variants: tuple[str, ...] = setting(
        (), "exports to make and measure (default: all)", nargs="+", metavar="VARIANT"
    )
    jobs: int = setting(1, "jobs at a time, on this machine")
    backend: str = setting("loky", "joblib's: who does the jobs", choices=tuple(BACKENDS))
    scheduler: str | None = setting(
        None, "address of a running Dask cluster (default: a local one of --jobs workers)"
    )
    work: Path = setting(bundle.ARTIFACTS / "frontier", "folder of the runs' bundles")
    data: str = setting(data.MNIST, f"{data.HELP}; another than 'mnist' takes another --record")
    record: Path | None = setting(None, "the record (default: benchmarks/frontier/records.json)")
    pictures: Path = setting(Path("docs"), "folder of the pictures")
    latency: bool | None = setting(
        None, "time all networks together (default: where the record lacks one, or has a new one)"
    )
    rounds: int = setting(20, "timing: turns of each export")
    calls: int = setting(200, "timing: calls a turn")
    table: bool = setting(False, "print the table from the record, do nothing else")

    def __post_init__(self):
        for name in ("seeds", "jobs", "rounds", "calls"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be 1 or more. Got: {getattr(self, name)}.")
        if self.data != data.MNIST and not self.record:
            raise InputError(
                f"--data {self.data} needs --record: the project's own record is of MNIST."
            )
        if self.scheduler and self.backend == "loky":
            raise InputError("--scheduler needs --backend dask. Got: loky.")


def wanted(settings):
    """The jobs that the record lacks, list of `Job`, seed by seed."""
    record = records.load(settings.record)
    done = {
        (name, run["seed"])
        for name, runs in frontier_report.measured(record).items()
        for run in runs
    }
    return [
        Job(name, seed, settings.work / f"{name}-{seed}", settings.data, settings.variants)
        for seed in range(settings.seeds)
        for name in settings.models
        if (name, seed) not in done
    ]


def outcomes(settings, jobs):
    """Does jobs through joblib; yields each `Outcome` as it comes.

    Raises:
        InputError: The backend is not installed.
    """
    packages, hands_to = BACKENDS[settings.backend]
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(
            f"--backend {settings.backend} needs {', '.join(missing)}, not installed. "
            f"Run: pip install {' '.join(missing)}"
        )
    import joblib

    with hands_to(settings):
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(
            joblib.delayed(frontier_jobs.run)(job) for job in jobs
        )


def run(settings, report=print):
    """Does what the record lacks, records it, and draws the pictures.

    Args:
        settings: A `FrontierSettings`.
        report: Called with a line as each step ends.

    Returns:
        list of str: what failed, a line each.

    Raises:
        InputError: The backend is not installed, or an export can't be timed.
    """
    jobs, failures, is_new = wanted(settings), [], False
    report(f"{len(jobs)} of {settings.seeds * len(settings.models)} runs to do")
    for outcome in outcomes(settings, jobs) if jobs else ():
        job = outcome.job
        if outcome.error:
            failures.append(f"{job.model} seed {job.seed}: {outcome.error}")
            report(f"FAILED {failures[-1]}")
            continue
        records.add_run(job.model, outcome.trained, outcome.variants, settings.record)
        is_new |= job.seed == 0
        report(_line(outcome))
        for breach in outcome.breaches:
            failures.append(f"{job.model} seed {job.seed}: {breach}")
            report(f"BREACH {failures[-1]}")
    try:
        _time(settings, is_new, report)
    except frontier_jobs.StageFailed as error:
        failures.append(f"latency: {error}")
        report(f"FAILED {failures[-1]}")
    record = records.load(settings.record)
    if not drawing.available():
        report("no pictures: Matplotlib is not installed")
    elif frontier_report.measured(record):
        frontier_pictures.write(record, settings.pictures)
    return failures


def _line(outcome):
    accuracy = {name: one["test_accuracy"] for name, one in outcome.variants.items()}
    int8 = accuracy.get(frontier_report.INT8)
    return (
        f"{outcome.job.model} seed {outcome.job.seed}: "
        f"{outcome.trained['metrics']['test_accuracy']:.2%}"
        + (f", int8 {int8:.2%}" if int8 is not None else "")
        + f", {outcome.trained['training_seconds']:.0f} s of training"
    )


def _time(settings, is_new, report):
    """Times all networks that have runs where it is wanted, and records it."""
    record = records.load(settings.record)
    names = list(frontier_report.measured(record))
    lacks = any(not frontier_report.timed(record, frontier_latency.ZOO, name) for name in names)
    if not names or not (is_new or lacks if settings.latency is None else settings.latency):
        return
    backend.start_keras()
    folders = frontier_latency.bundle_folders(names, range(settings.seeds), settings.work)
    timing = frontier_latency.Timing(settings.rounds, settings.calls)
    measured = frontier_latency.measure(names, folders, settings.work, timing, report)
    records.set_latency(measured, settings.record)


@cli.command
def main(argv=None):
    """Parses `argv`, remakes the frontier, prints the table; returns the exit status."""
    settings = cli.parse_settings(FrontierSettings, __doc__, argv)
    failures = []
    if not settings.table:
        try:
            with lock.held(settings.work):
                failures = run(settings, lambda line: print(line, file=sys.stderr, flush=True))
        except KeyboardInterrupt:
            print("what has ended is on record: go on with the same command", file=sys.stderr)
            raise
    record = records.load(settings.record)
    print(frontier_report.table(record) or "no run on record")
    if frontier_report.caption(record):
        print(f"\n{frontier_report.caption(record)}")
    return cli.GATE_FAILED if failures else cli.OK


if __name__ == "__main__":
    sys.exit(main())
