"""Convert in an isolated subprocess, so that a converter's crash fails one variant and no more.

`Converter` is the side of the parent; the functions below it run in the subprocess. One process
makes all variants, so that TensorFlow is imported once; a process that dies is started again.
"""

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import tqdm

from mnist_edge import backend, cli, schema
from mnist_edge.errors import InputError
from mnist_edge.manifest import ArtifactEntry, CalibrationRecord, Failure, FallbackAttempt
from mnist_edge.models import saving
from mnist_edge.safety import keras_file, supervise
from mnist_edge.safety.isolated import Allowance, OutOfMemory, Process, State, WorkerFailed
from mnist_edge.schema import Text

from .artifact import About, CheckedArtifact, Maker, NotRunnable, Task
from .calibration import Calibration
from .fallback import Step
from .source import Source
from .unsupported import NoRoom
from .variants import KNOWN, Variant

# As long as `supervise` lets a command open a model.
_START_SECONDS = 300
# Most failed checks that are reported of one artifact, and characters of each.
_MOST_REASONS, _MOST_CHARACTERS = 20, 600
# Most bytes of an array answer that precede its elements.
_HEAD_BYTES = 1000


@dataclasses.dataclass(frozen=True)
class Answer:
    """A `CheckedArtifact` as it is sent: its bytes lie in the work folder."""

    entry: ArtifactEntry
    agreement: float
    breaches: tuple[Text, ...]
    remarks: tuple[Text, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class _Tried:
    """A fallback's step: what was tried, and the answer if a file was made."""

    step: Text
    remark: str
    answer: Answer | None = None


_END = _Tried("", "")


class Converter:
    """Makes artifacts in a subprocess, which `close` ends.

    Args:
        source: The model.
        task: What the artifacts are made from and compared with.
        folder: The bundle that the artifacts will be written to.
        work: Folder for intermediate files.
        seconds: Maximum time per variant.
    """

    def __init__(
        self, source: Source, task: Task, folder: Path, work: Path, seconds: float
    ) -> None:
        self._task, self._folder, self._work = task, folder, work
        self._allowance = Allowance(seconds, supervise.allowed_mb())
        self._model = work / f"exported{keras_file.ENDING}"
        self._model.write_bytes(saving.to_bytes(source.model))
        self._process: Process | None = None
        self._starts, self._is_first = 0, True
        self._unprepared: dict[str, Failure] = {}  # by format

    def convert(self, variant: Variant) -> CheckedArtifact | Failure:
        """Makes and checks the artifact of a variant; a failed check is a breach, not a `Failure`.

        Raises:
            NoRoom: The disk is full.
            InputError: The subprocess can't be started.
        """
        if variant.format in self._unprepared:
            return dataclasses.replace(self._unprepared[variant.format], variant=variant.name)
        process, is_prepared = self._running(), False
        is_first, self._is_first = self._is_first, False
        try:
            process.ask("prepare", variant.format)
            is_prepared = True
            return self._received(process, process.ask_for(Answer, "convert", variant.name))
        except NoRoom:
            raise
        except (InputError, WorkerFailed) as error:
            if isinstance(error, OutOfMemory) and not is_first:
                return self.convert(variant)  # in a new process, without what the others left
            cause = "unsupported" if isinstance(error, InputError) else "crash"
            cause = "gate" if isinstance(error, NotRunnable) else cause
            failure = Failure(variant.name, cause, (_reason(error),))
            if not is_prepared:
                self._unprepared[variant.format] = failure
            return failure

    def fallback_steps(
        self, variant: Variant, larger: Calibration, seconds: float
    ) -> Iterator[tuple[FallbackAttempt, CheckedArtifact | None]]:
        """Yields what was tried for a variant that breached the gate, in order.

        Args:
            variant: The quantized variant.
            larger: More calibration images than it was made with.
            seconds: Time for all steps; a converter that takes longer is ended.
        """
        deadline, process = time.monotonic() + seconds, self._running()
        record = schema.encode(larger.record)
        try:
            process.ask("fall back", variant.name, record, larger.images, seconds, seconds=seconds)
            while (left := deadline - time.monotonic()) > 0:
                tried = process.ask_for(_Tried, "next step", seconds=left)
                if tried == _END:
                    return
                made = self._received(process, tried.answer) if tried.answer else None
                yield _attempt(tried, made), made
            remark = f"not tried: the {seconds:g} s of --fallback-seconds are over"
        except NoRoom:
            raise
        except (InputError, WorkerFailed) as error:
            remark = f"not tried: {_reason(error)}"
        yield FallbackAttempt("further steps", None, None, False, remark), None

    def close(self) -> None:
        """Ends the subprocess."""
        if self._process:
            self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> Process:
        """Returns the subprocess, started again if it has died."""
        if self._process and self._process.is_alive():
            return self._process
        self.close()
        self._starts, self._is_first = self._starts + 1, True
        work, task = self._work / str(self._starts), self._task
        work.mkdir()
        self._process = Process(
            REQUESTS, self._allowance, (InputError, NoRoom, NotRunnable), _State
        )
        arrays = (task.images, task.labels, task.expected, task.golden, task.calibration)
        about = schema.encode(task.about)
        try:
            self._process.ask(
                "start", str(self._model), about, str(work), *arrays, seconds=_START_SECONDS
            )
        except WorkerFailed as error:
            raise InputError(
                f"the converters' process must start and load the model. Got: {_reason(error)}. "
                "Free some memory, or give a smaller model."
            ) from error
        return self._process

    def _received(self, process: Process, answer: Answer) -> CheckedArtifact:
        """Returns the artifact that the subprocess has just made."""
        variant, task = KNOWN[answer.entry.variant], self._task
        most = len(task.golden) * task.expected.shape[1] * 4 + _HEAD_BYTES
        return CheckedArtifact(
            path=self._folder / variant.file,
            golden=process.ask("golden", most_bytes=most),
            content=_file(self._work / str(self._starts), variant).read_bytes(),
            **vars(answer),
        )


def _reason(error: Exception) -> str:
    reason = cli.one_line(error, _MOST_CHARACTERS).rstrip(".")
    more = f" (more with {supervise.LIMIT})" if isinstance(error, OutOfMemory) else ""
    return reason + more


def _attempt(tried: _Tried, made: CheckedArtifact | None) -> FallbackAttempt:
    if not made:
        return FallbackAttempt(tried.step, None, None, False, tried.remark)
    passed = not made.breaches
    return FallbackAttempt(tried.step, made.name, made.agreement, passed, tried.remark)


def _file(work: Path, variant: Variant) -> Path:
    return work / f"made-{variant.file}"


# In the subprocess.


@dataclasses.dataclass
class _State(State):
    maker: Maker = dataclasses.field(init=False)
    work: Path = dataclasses.field(init=False)
    golden: np.ndarray = dataclasses.field(init=False)  # of the last artifact
    steps: Iterator[Step] = dataclasses.field(init=False)  # of the fallback


def _start(state: _State, model: str, about: object, work: str, *arrays: np.ndarray) -> None:
    """Loads the model."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the parent may hold all GPU memory
    tqdm.tqdm.set_lock(threading.RLock())  # its own would outlive a process that is killed
    backend.start_keras()
    task = Task(schema.decode(About, about), *arrays)
    with cli.native_logs_held():
        try:
            loaded = keras_file.load(Path(model))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Keras must load the model as it saved it. Got: {cli.in_words(error)}. "
                "Replace the layer that it can't load."
            ) from error
        state.maker = Maker(loaded, task, Path(work))
    state.work = Path(work)


def _prepare(state: _State, format: str) -> None:
    state.maker.prepare(format)


def _convert(state: _State, name: str) -> Answer:
    return _answer(state, state.maker.make(KNOWN[name]))


def _answer(state: _State, made: CheckedArtifact) -> Answer:
    """Puts the artifact's bytes into the work folder."""
    _file(state.work, KNOWN[made.name]).write_bytes(made.content)
    state.golden = made.golden
    breaches = [cli.one_line(breach, _MOST_CHARACTERS) for breach in made.breaches]
    if more := len(breaches) - _MOST_REASONS:
        breaches[_MOST_REASONS:] = [f"breaches {more} more checks"] if more > 0 else []
    return Answer(made.entry, made.agreement, tuple(breaches), made.remarks, made.seconds)


def _golden(state: _State) -> np.ndarray:
    return state.golden


def _fall_back(
    state: _State, name: str, record: object, images: np.ndarray, seconds: float
) -> None:
    """Starts a fallback, whose steps are taken one by one."""
    calibration, until = schema.decode(CalibrationRecord, record), time.monotonic() + seconds / 2
    state.steps = state.maker.fallback_steps(KNOWN[name], images, calibration, until)


def _next_step(state: _State) -> _Tried:
    """Takes the next step of the fallback; `_END` after the last."""
    step = next(state.steps, None)
    if not (step and step.conversion):
        return _Tried(step.name, step.remark) if step else _END
    try:
        made = state.maker.check(step.conversion)
    except NoRoom:
        raise
    except InputError as error:
        return _Tried(step.name, _reason(error))
    return _Tried(step.name, step.remark, _answer(state, made))


# The requests of the subprocess.
REQUESTS: dict[str, Callable[..., Any]] = {
    "start": _start,
    "prepare": _prepare,
    "convert": _convert,
    "golden": _golden,
    "fall back": _fall_back,
    "next step": _next_step,
}
