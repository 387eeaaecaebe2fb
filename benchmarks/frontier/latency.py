"""Times all networks of the frontier together, in the same rounds of one run.

Latency depends on the layers, not on the weights. Published networks, and networks of the zoo
without a bundle, are therefore timed as stand-ins: the same layers, trained only briefly.
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
from ..latency import Effort
from ..worker import Allowance, Worker, WorkerFailed
from . import jobs as frontier_jobs
from .jobs import StageFailed
from .published import PUBLISHED
from .records import FLOAT, INT8, ONNX_FLOAT, CallTime, Latency, Timing

if TYPE_CHECKING:
    import keras

# Ratios are relative to `UNIT`'s float32 export of the same format.
UNIT = "classic"
TIMED = {FLOAT: FLOAT, INT8: FLOAT, ONNX_FLOAT: ONNX_FLOAT}
_IMAGES = 1000  # test images that calls are timed on, in turn
# Training of stand-ins: int8 exports of random weights don't agree with Keras, so the
# export's gate refuses them.
_STAND_IN_COUNT, _STAND_IN_EPOCHS, _STAND_IN_RATE = 6400, 10, 3e-3


def measure(
    names: Iterable[str],
    folders: dict[str, Path],
    work: Path,
    report: Callable[[str], None],
) -> Latency:
    """Times networks of the zoo and published ones in one run.

    Args:
        names: Networks of the zoo; `UNIT` is always timed.
        folders: Their existing bundles, by network.
        work: Folder for the bundles of stand-ins.
        report: Called with a line of progress before each stand-in.

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
        report(f"training a stand-in for {name}, for timing")
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
    """Summarizes one export relative to the unit's; both are float64 `[rounds, calls]`, in µs."""
    times = latency.summarize({1: taken_us})
    ratios = np.median(taken_us, axis=1) / np.median(unit_us, axis=1)
    return CallTime(times.p50_us, times.p50_interval_us, round(float(np.median(ratios)), 4))


def _stand_in(build: "Callable[[], keras.Model]", work: Path) -> Path:
    """Trains a network on MNIST until its exports pass the gate; returns the bundle's folder."""
    import keras

    keras.utils.set_random_seed(0)
    model, dataset = build(), data.load()
    folder = work / f"layers-{model.name}"
    x = data.as_inputs(dataset.x_train[:_STAND_IN_COUNT], model.input.shape[1:])
    model.compile(keras.optimizers.Adam(_STAND_IN_RATE), "sparse_categorical_crossentropy")
    for epochs_left in reversed(range(_STAND_IN_EPOCHS)):
        with cli.native_logs_held():
            model.fit(x, dataset.y_train[:_STAND_IN_COUNT], verbose=0)
        with staging.staged(folder) as stage:
            model.save(stage / bundle.MODEL)
        try:
            frontier_jobs.export(folder / bundle.MODEL, "--data", data.MNIST, "--output", folder)
        except StageFailed as error:
            if not epochs_left or error.status != cli.GATE_FAILED:
                raise
        else:
            break
    return folder


def _time(
    folders: dict[str, Path], timing: Timing
) -> tuple[dict[tuple[str, str], np.ndarray], set[str]]:
    """Returns float64 `[rounds, calls]` in µs by network and variant, and the runtimes."""
    workers = {}
    with contextlib.ExitStack() as stack:
        for name, folder in folders.items():
            (loaded,) = bundles.load_all([folder])
            for artifact in loaded.artifacts:
                if artifact.variant in TIMED:
                    key = name, artifact.variant
                    try:
                        worker = Worker(artifact.path, 1, Allowance(cores=timing.pinned_cores))
                    except WorkerFailed as error:
                        _failed(key, error)
                    workers[key] = stack.enter_context(worker)
                    worker.keep(loaded.images[:_IMAGES])
        turns = (timing.rounds + 1) * len(workers)
        effort = Effort(None, timing.rounds, timing.calls, timing.warmup)
        with progress.bar(turns, "timing") as done:
            samples = latency.in_rounds(
                workers, effort, _failed, lambda key, _: done(name="/".join(key))
            )
        runtimes = {worker.opened.runtime for worker in workers.values()}
    return {key: by_batch[1] for key, by_batch in samples.items()}, runtimes


def _failed(key: tuple[str, str], error: WorkerFailed) -> NoReturn:
    raise InputError(f"{'/'.join(key)} can't be timed: {error}") from error
