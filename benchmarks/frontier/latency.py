"""Time all networks of the frontier together, in turn, round after round, in one run.

What a call takes depends on the layers, not on the weights. So a published network is
timed here as its layers, barely trained, and so is one of the zoo whose bundle is gone.
"""

import contextlib
import datetime
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from mnist_edge import bundle, cli, data, models, staging
from mnist_edge.errors import InputError

from .. import bundles, latency, machine, progress
from ..worker import Allowance, Worker, WorkerFailed
from . import jobs as frontier_jobs
from .jobs import StageFailed
from .published import PUBLISHED
from .records import FLOAT, INT8, ONNX_FLOAT, CallTime, Latency, Timing

if TYPE_CHECKING:
    import keras

# Ratios are to `UNIT`'s export of the same format in float32.
UNIT = "classic"
TIMED = {FLOAT: FLOAT, INT8: FLOAT, ONNX_FLOAT: ONNX_FLOAT}
_IMAGES = 1000  # test images that calls are timed on, in turn
# Of layers without trained weights: int8 exports of random ones don't answer as Keras does,
# and the export refuses them.
_STAND_IN_COUNT, _STAND_IN_EPOCHS, _STAND_IN_RATE = 6400, 10, 3e-3


def measure(
    names: Iterable[str],
    folders: dict[str, Path],
    work: Path,
    report: Callable[[str], None],
) -> Latency:
    """Times networks of the zoo and published ones, all in one run.

    Args:
        names: Networks of the zoo; `UNIT` is timed whether it is named or not.
        folders: Their bundles, as far as they are there.
        work: Where the bundles of stand-ins go.
        report: Called with a line as each stand-in is made.

    Raises:
        InputError: A bundle is damaged, or an export can't be run.
        StageFailed: A stand-in could not be exported.
    """
    builders: dict[str, Callable[[], keras.Model]] = {
        name: functools.partial(models.build, name)
        for name in dict.fromkeys([UNIT, *names])
        if name not in folders
    }
    builders |= {network.name: network.build for network in PUBLISHED.networks if network.layers}
    timed = dict(folders)
    for name, build in builders.items():
        report(f"making {name}'s layers, to be timed")
        timed[name] = _stand_in(build, work)
    timing = Timing(pinned_cores=machine.cores_for(1))
    samples, runtimes = _time(timed, timing)
    networks: dict[str, dict[str, CallTime]] = {name: {} for name in timed}
    for (name, variant), taken_us in samples.items():
        networks[name][variant] = _call_time(taken_us, samples[UNIT, TIMED[variant]])
    return Latency(
        date=datetime.date.today().isoformat(),
        machine=machine.fingerprint(),
        runtimes=tuple(sorted(runtimes)),
        unit=UNIT,
        timing=timing,
        layers_alone=tuple(builders),
        networks=networks,
    )


def _call_time(taken_us: np.ndarray, unit_us: np.ndarray) -> CallTime:
    """Summary of one export, beside the unit's; both float64 `[rounds, calls]`."""
    times = latency.summarize({1: taken_us})
    ratios = np.median(taken_us, axis=1) / np.median(unit_us, axis=1)
    return CallTime(times.p50_us, times.p50_interval_us, round(float(np.median(ratios)), 4))


def _stand_in(build: "Callable[[], keras.Model]", work: Path) -> Path:
    """Trains a network on MNIST until its exports pass the gate, no further; returns the bundle."""
    import keras

    keras.utils.set_random_seed(0)
    model, dataset = build(), data.load()
    folder = work / f"layers-{model.name}"
    x = data.as_inputs(dataset.x_train[:_STAND_IN_COUNT], model.input.shape[1:])
    model.compile(keras.optimizers.Adam(_STAND_IN_RATE), "sparse_categorical_crossentropy")
    words = (folder / bundle.MODEL, "--data", data.MNIST, "--output", folder, "--variants", *TIMED)
    for left in reversed(range(_STAND_IN_EPOCHS)):
        with cli.native_logs_held():
            model.fit(x, dataset.y_train[:_STAND_IN_COUNT], verbose=0)
        with staging.staged(folder) as stage:
            model.save(stage / bundle.MODEL)
        try:
            frontier_jobs.run_stage("export", *words)
        except StageFailed as error:
            if not left or error.status != cli.GATE_FAILED:
                raise
        else:
            break
    return folder


def _time(
    folders: dict[str, Path], timing: Timing
) -> tuple[dict[tuple[str, str], np.ndarray], set[str]]:
    """Float64 `[rounds, calls]` in µs, by network and variant; and the runtimes."""
    workers = {}
    with contextlib.ExitStack() as stack:
        for name, folder in folders.items():
            (read,) = bundles.load_all([folder])
            for artifact in read.artifacts:
                if artifact.variant in TIMED:
                    key = name, artifact.variant
                    try:
                        worker = Worker(artifact.path, 1, Allowance(cores=timing.pinned_cores))
                    except WorkerFailed as error:
                        _failed(key, error)
                    workers[key] = stack.enter_context(worker)
                    worker.keep(read.images[:_IMAGES])
        turns = (timing.rounds + 1) * len(workers)
        with progress.bar(turns, "timing") as done:
            samples = latency.in_rounds(
                workers, timing.rounds, timing.calls, timing.warmup, _failed, done
            )
        runtimes = {worker.opened.runtime for worker in workers.values()}
    return {key: by_batch[1] for key, by_batch in samples.items()}, runtimes


def _failed(key: tuple[str, str], error: WorkerFailed) -> NoReturn:
    raise InputError(f"{'/'.join(key)} can't be timed: {error}") from error
