"""One job of the frontier: train a model by one seed, export it, measure its exports.

Each stage is the documented command in a process of its own, so a job runs wherever
joblib sends it: in this process, another, or a cluster's worker, whose own processes may
start none by `multiprocessing`. A job that was cut goes on from what its folder holds.
"""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from mnist_edge import bundle, cli, data, manifest
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.safety import limits

from . import records

_ROOT = Path(__file__).parents[2]
_LINUX = sys.platform == "linux"


@dataclasses.dataclass(frozen=True)
class Job:
    """What to do.

    Attributes:
        model: A name of the zoo.
        seed: int.
        folder: The bundle; of a cluster's machines, all must see it under this path.
        data: What `mnist_edge.data.load` takes.
        variants: Names of the exports to measure; none are all.
    """

    model: str
    seed: int
    folder: Path
    data: str = data.MNIST
    variants: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        job: The `Job`.
        trained: What `train.json` holds, or None.
        variants: What each export reaches, as the record holds it, or None.
        breaches: list of str, exports that breach the gate on the test set.
        error: Why it failed, a line; None where it did not.
        process: Id of the process that did it.
    """

    job: Job
    trained: dict | None = None
    variants: dict | None = None
    breaches: tuple[str, ...] = ()
    error: str | None = None
    process: int | None = None


class StageFailed(Exception):
    """A command ended with another status than 0; the message is its last line.

    Attributes:
        status: The exit status.
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


def run(job):
    """Does a job, or what is left of it.

    Args:
        job: A `Job`.

    Returns:
        An `Outcome`; no exception leaves here but `KeyboardInterrupt`.
    """
    try:
        record = _train(job)
        if not is_exported(job.folder, job.variants):
            chosen = ("--variants", *job.variants) if job.variants else ()
            run_stage("export", job.folder, *chosen)
        measured = json.loads(run_stage("benchmarks.frontier.accuracy", job.folder))
    except Exception as error:  # a job that fails is a line and must not stop the others
        is_expected = isinstance(error, (InputError, OSError, StageFailed))
        cause = cli.one_line(error, most=None) if is_expected else cli.in_words(error)
        return Outcome(job, error=cause, process=os.getpid())
    return Outcome(
        job, record, measured["variants"], tuple(measured["breaches"]), process=os.getpid()
    )


def _train(job):
    """Trains where the folder does not hold the job's model yet; returns its record."""
    record = _trained(job)
    if record:
        return record
    words = ["--model", job.model, "--seed", job.seed, "--data", job.data, "--output", job.folder]
    words += ["--full", "--quiet", "--no-plots"]
    try:
        run_stage("mnist_edge.train", *words, "--resume")
    except StageFailed as error:
        # Of another recipe or another Keras: what it began can't be gone on from.
        if error.status != cli.BAD_INPUT or not (job.folder / bundle.CHECKPOINT).exists():
            raise
        run_stage("mnist_edge.train", *words)
    return trained.check(job.folder)[1]


def _trained(job):
    """The record of a finished training of this very job, None where there is none."""
    try:
        _, record, _ = trained.check(job.folder, "seed", "recipe")
    except InputError:
        return None
    found = (record["model"], record["seed"], record["data"]["sha256"])
    wanted = (job.model, job.seed, data.load(job.data).sha256())
    is_same = found == wanted and records.is_of_today(record["recipe"], job.model)
    return record if is_same else None


def is_exported(folder, variants=()):
    """Whether a folder holds undamaged exports of the very model that it holds.

    Args:
        folder: `pathlib.Path` of a bundle.
        variants: Names of those that must be among them.
    """
    try:
        read = manifest.read(folder, ("model", "artifacts", "reference"), "")
        model = bundle.sha256_file(folder / bundle.MODEL)
    except (InputError, OSError):
        return False
    files = [*read["artifacts"], read["reference"]]
    if not set(variants) <= {entry["variant"] for entry in read["artifacts"]}:
        return False
    return read["model"]["sha256"] == model and not any(
        manifest.damage(folder / entry["file"], entry) for entry in files
    )


def run_stage(module: str, *words: object) -> str:
    """Runs `python -m MODULE WORD ...` and returns its standard output.

    It ends with this process, where that is Linux's to see to.

    Raises:
        StageFailed: It ended with another status than 0.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        # The thread that starts it waits for it, so its end is the process's.
        preexec_fn=functools.partial(limits.die_with_parent, os.getpid()) if _LINUX else None,
    )
    if ran.returncode:
        raise StageFailed(f"{module}: {_cause(ran)}", ran.returncode)
    return ran.stdout


def _cause(ran):
    """The line that a command ended with: its first error, or the last that it wrote."""
    lines = [line.strip() for line in ran.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter(errors or lines[-1:]), f"ended with status {ran.returncode}")
