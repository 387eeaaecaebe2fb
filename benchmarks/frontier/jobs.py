"""Runs one job of the frontier: train a network with one seed, export it, measure the exports.

Each stage is the documented command in a subprocess, so a job runs equally in a thread of this
process and on a cluster's worker. An interrupted job resumes from the contents of its folder.
"""

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

from mnist_edge import bundle, cli, data, manifest, models, schema
from mnist_edge.data.record import ArraySha256
from mnist_edge.errors import InputError
from mnist_edge.safety import limits
from mnist_edge.training.train_record import TrainRecord

from .. import measurement
from .records import VARIANTS, ExportResult, share

# Installed, `export` and `benchmarks` are packages in `mnist_edge`.
PARENT = __name__.removesuffix("benchmarks.frontier.jobs")
_ROOT = Path(__file__).parents[__name__.count(".")]
_LINUX = sys.platform == "linux"
# Running stages of this process.
_running: set[subprocess.Popen[str]] = set()


@dataclasses.dataclass(frozen=True)
class Job:
    """A network to train, export and measure.

    Attributes:
        model: Name of a network of the zoo.
        seed: Seed of the training.
        folder: The bundle; every machine of a cluster must see it under this path.
        data: Data source, as for `mnist_edge.data.load`.
    """

    model: str
    seed: int
    folder: Path
    data: str = data.MNIST

    def __str__(self) -> str:
        return f"{self.model} seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Result:
    """The results of a job.

    Attributes:
        trained: The training record.
        exports: Results of the exports, by variant.
        breaches: Breaches of the gate on the test images, one line each.
    """

    trained: TrainRecord
    exports: dict[str, ExportResult]
    breaches: tuple[str, ...]


class StageFailed(Exception):
    """A command exited with a status other than 0; the message is its error line."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def run(job: Job) -> Result | str:
    """Runs or resumes a job; returns a line if it fails, and never raises an `Exception`."""
    try:
        trained = _trained(job) or _train(job)
        if not is_exported(job.folder):
            export(job.folder)
        return Result(trained, *_measure(job.folder))
    except Exception as error:  # a failing job must not stop the others
        is_expected = isinstance(error, (InputError, OSError, StageFailed))
        return cli.one_line(error, most=None) if is_expected else cli.in_words(error)


def _trained(job: Job) -> TrainRecord | None:
    """Returns the record of this job's training if it is finished; otherwise None."""
    try:
        record = schema.read(TrainRecord, job.folder / bundle.TRAIN, "")
        model_sha256 = bundle.sha256_file(job.folder / bundle.MODEL)
    except (InputError, OSError):
        return None
    found = (record.model, record.seed, record.recipe, record.model_sha256, record.data.sha256)
    sha256 = ArraySha256(**data.load(job.data).sha256())
    wanted = (job.model, job.seed, models.ZOO[job.model].full_recipe, model_sha256, sha256)
    return record if found == wanted else None


def _train(job: Job) -> TrainRecord:
    arguments = [
        "--model",
        job.model,
        "--seed",
        job.seed,
        "--data",
        job.data,
        "--output",
        job.folder,
    ]
    arguments += ["--full", "--quiet", "--no-plots"]
    try:
        run_stage("mnist_edge.train", *arguments, "--resume")
    except StageFailed as error:
        # The checkpoint is from another recipe or Keras version: train from scratch.
        if error.status != cli.BAD_INPUT or not (job.folder / bundle.CHECKPOINT).exists():
            raise
        run_stage("mnist_edge.train", *arguments)
    return schema.read(TrainRecord, job.folder / bundle.TRAIN, "")


def is_exported(folder: Path) -> bool:
    """Whether a folder holds its model's exports of all `VARIANTS`, undamaged."""
    try:
        loaded = manifest.read(folder, "")
        model_sha256 = bundle.sha256_file(folder / bundle.MODEL)
    except (InputError, OSError):
        return False
    if not set(VARIANTS) <= {entry.variant for entry in loaded.artifacts}:
        return False
    return loaded.model.sha256 == model_sha256 and not any(
        manifest.damage(folder / entry.file, entry)
        for entry in (*loaded.artifacts, loaded.reference)
    )


def export(bundle_or_model: Path, *arguments: object) -> None:
    """Exports all `VARIANTS`; no fallback replaces one that fails the gate.

    Raises:
        StageFailed: A variant could not be exported.
    """
    variants = ("--variants", *VARIANTS, "--no-fallback")
    run_stage(f"{PARENT}export", bundle_or_model, *arguments, *variants)


def _measure(folder: Path) -> tuple[dict[str, ExportResult], tuple[str, ...]]:
    """Measures the exports on the test images; returns results by variant, and breaches."""
    quick = ("--rounds", 1, "--calls", 1, "--warmup", 1)  # the networks are timed together later
    try:
        run_stage(f"{PARENT}benchmarks", folder, *quick)
    except StageFailed as error:
        if error.status != cli.GATE_FAILED:
            raise
    report = schema.read(measurement.Report, folder / measurement.BENCHMARK_JSON, "")
    exports = {}
    for row in report.measurements:
        if not row.parity:
            raise InputError(f"{row.variant}: {row.status}: {'; '.join(row.breaches)}")
        exports[row.variant] = ExportResult(
            share(row.parity.accuracy), share(row.parity.agreement), row.size_bytes
        )
    del exports[measurement.KERAS_ROW]
    return exports, report.breaches


def run_stage(module: str, *arguments: object) -> str:
    """Runs `python -m MODULE ARGUMENT ...` and returns its standard output.

    On Linux, the command is killed if this process dies.

    Raises:
        StageFailed: The command exited with a status other than 0.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Linux's "parent" is the starting thread; it waits for the command below.
        preexec_fn=functools.partial(limits.die_with_parent, os.getpid()) if _LINUX else None,
    ) as process:
        _running.add(process)
        try:
            output, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            _running.remove(process)
    if process.returncode:
        raise StageFailed(f"{module}: {_cause(errors, process.returncode)}", process.returncode)
    return output


def end_stages() -> None:
    """Terminates the running stages of all threads, which undo unfinished work."""
    for process in tuple(_running):
        process.terminate()


def _cause(errors: str, status: int) -> str:
    """Returns a command's first error line, or else the last line of its standard error."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    messages = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter(messages or lines[-1:]), f"exited with status {status}")
