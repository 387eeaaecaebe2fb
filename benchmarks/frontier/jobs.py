"""One job of the frontier: train a network by one seed, export it, measure its exports.

Each stage is the documented command in a process of its own, so that a job runs wherever it
is sent: in a thread of this process, or on a cluster's worker. A job that was cut goes on
from what its folder holds.
"""

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

from mnist_edge import bundle, cli, data, manifest, models
from mnist_edge.data.record import ArraySha256
from mnist_edge.errors import InputError
from mnist_edge.safety import limits
from mnist_edge.training import train_record
from mnist_edge.training.train_record import TrainRecord

from .. import measurement
from .records import VARIANTS, ExportResult, share

# Installed, `export` and `benchmarks` are packages in `mnist_edge`.
PARENT = __name__.removesuffix("benchmarks.frontier.jobs")
_ROOT = Path(__file__).parents[__name__.count(".")]
_LINUX = sys.platform == "linux"
# The stages that run now, of this process.
_running: set[subprocess.Popen[str]] = set()


@dataclasses.dataclass(frozen=True)
class Job:
    """What to do.

    Attributes:
        model: A name of the zoo.
        folder: The bundle; all of a cluster's machines must see it under this path.
        data: What `mnist_edge.data.load` takes.
    """

    model: str
    seed: int
    folder: Path
    data: str = data.MNIST

    def __str__(self) -> str:
        return f"{self.model} seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a job reached.

    Attributes:
        exports: By variant.
        breaches: Of the gate on the test images, a line each.
    """

    trained: TrainRecord
    exports: dict[str, ExportResult]
    breaches: tuple[str, ...]


class StageFailed(Exception):
    """A command ended with another status than 0; the message is its last line."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def run(job: Job) -> Result | str:
    """Does a job, or what is left of it; returns a line where it fails, and raises nothing."""
    try:
        trained = _trained(job) or _train(job)
        if not is_exported(job.folder):
            run_stage(f"{PARENT}export", job.folder, "--variants", *VARIANTS)
        return Result(trained, *_measure(job.folder))
    except Exception as error:  # a job that fails is a line and must not stop the others
        is_expected = isinstance(error, (InputError, OSError, StageFailed))
        return cli.one_line(error, most=None) if is_expected else cli.in_words(error)


def _trained(job: Job) -> TrainRecord | None:
    """The record of a finished training of this very job; None where there is none."""
    try:
        record = train_record.read(job.folder / bundle.TRAIN, "")
        model_sha256 = bundle.sha256_file(job.folder / bundle.MODEL)
    except (InputError, OSError):
        return None
    found = (record.model, record.seed, record.recipe, record.model_sha256, record.data.sha256)
    sha256 = ArraySha256(**data.load(job.data).sha256())
    wanted = (job.model, job.seed, models.ZOO[job.model].full_recipe, model_sha256, sha256)
    return record if found == wanted else None


def _train(job: Job) -> TrainRecord:
    words = ["--model", job.model, "--seed", job.seed, "--data", job.data, "--output", job.folder]
    words += ["--full", "--quiet", "--no-plots"]
    try:
        run_stage("mnist_edge.train", *words, "--resume")
    except StageFailed as error:
        # Of another recipe or another Keras: what it began can't be gone on from.
        if error.status != cli.BAD_INPUT or not (job.folder / bundle.CHECKPOINT).exists():
            raise
        run_stage("mnist_edge.train", *words)
    return train_record.read(job.folder / bundle.TRAIN, "")


def is_exported(folder: Path) -> bool:
    """Whether a folder holds undamaged exports, `VARIANTS`, of the very model that it holds."""
    try:
        read = manifest.read(folder, "")
        model_sha256 = bundle.sha256_file(folder / bundle.MODEL)
    except (InputError, OSError):
        return False
    if not set(VARIANTS) <= {entry.variant for entry in read.artifacts}:
        return False
    return read.model.sha256 == model_sha256 and not any(
        manifest.damage(folder / entry.file, entry) for entry in (*read.artifacts, read.reference)
    )


def _measure(folder: Path) -> tuple[dict[str, ExportResult], tuple[str, ...]]:
    """What each export reaches on the test images, and breaches of the gate."""
    quick = ("--rounds", 1, "--calls", 1, "--warmup", 1)  # networks are timed beside each other
    try:
        run_stage(f"{PARENT}benchmarks", folder, *quick)
    except StageFailed as error:
        if error.status != cli.GATE_FAILED:
            raise
    report = measurement.read(folder / measurement.BENCHMARK_JSON, "")
    exports = {}
    for row in report.measurements:
        if not row.parity:
            raise InputError(f"{row.variant}: {row.status}: {'; '.join(row.breaches)}")
        exports[row.variant] = ExportResult(
            share(row.parity.accuracy), share(row.parity.agreement), row.size_bytes
        )
    del exports[measurement.KERAS_ROW]
    return exports, report.breaches


def run_stage(module: str, *words: object) -> str:
    """Runs `python -m MODULE WORD ...` and returns its standard output.

    It ends with this process, where that is Linux's to see to.

    Raises:
        StageFailed: It ended with another status than 0.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The thread that starts it waits for it, so its end is the process's.
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
    """Asks the stages that run now, in any thread, to end: what they began is undone."""
    for process in tuple(_running):
        process.terminate()


def _cause(errors: str, status: int) -> str:
    """The line that a command ended with: its first error, or the last that it wrote."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter(told or lines[-1:]), f"ended with status {status}")
