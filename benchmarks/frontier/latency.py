"""Time all networks of the frontier together, in turn, round after round, in one run.

What a call takes depends on the layers, not on the weights. So a published network is
timed here as its layers, barely trained, and so is one of the zoo whose bundle is gone.
"""

import contextlib
import dataclasses
import datetime
import functools
from pathlib import Path

import numpy as np

from mnist_edge import bundle, cli, data, manifest, models
from mnist_edge.errors import InputError

from .. import bundles, latency, machine, progress, rounds
from ..worker import Allowance, Worker, WorkerFailed
from . import jobs as frontier_jobs
from . import published
from .jobs import StageFailed

# Ratios are to `UNIT`'s export of the same format in float32.
UNIT = "classic"
TIMED = {
    "tflite-float32": "tflite-float32",
    "tflite-int8": "tflite-float32",
    "onnx-float32": "onnx-float32",
}
ZOO, PUBLISHED = "models", "published"
_IMAGES = 1000  # test images that calls are timed on, in turn
# Of layers without trained weights: int8 exports of random ones don't answer as Keras does,
# and the export refuses them.
_STAND_IN_COUNT, _STAND_IN_EPOCHS, _STAND_IN_RATE = 6400, 10, 3e-3


@dataclasses.dataclass(frozen=True)
class Timing:
    """How to time.

    Attributes:
        rounds: Turns of each export.
        calls: Timed calls a turn.
        warmup: Calls before the first turn, not counted.
        progress: Whether to show progress bars.
    """

    rounds: int = 20
    calls: int = 200
    warmup: int = 200
    progress: bool = True


def bundle_folders(names, seeds, work):
    """The bundle of each model's lowest seed that is there, exported and undamaged.

    Args:
        names: Models of the zoo.
        seeds: ints, in order.
        work: The folder that holds the jobs' bundles.

    Returns:
        dict, folder by model; without the models that have none.
    """
    found = {}
    for name in names:
        folders = (work / f"{name}-{seed}" for seed in seeds)
        folder = next(filter(frontier_jobs.is_exported, folders), None)
        if folder:
            found[name] = folder
    return found


def measure(names, folders, work, timing, report):
    """Times models of the zoo and published networks, all in one run.

    Args:
        names: Models of the zoo; `UNIT` is timed whether it is named or not.
        folders: Their bundles, by model, as far as they are there.
        work: Where the bundles of stand-ins go.
        timing: A `Timing`.
        report: Called with a line as each stand-in is made.

    Returns:
        dict, as the record's `latency` holds it.

    Raises:
        InputError: A bundle is damaged, or an export can't be run.
        StageFailed: A stand-in could not be exported.
    """
    builders = {
        (ZOO, name): functools.partial(models.build, name)
        for name in dict.fromkeys([UNIT, *names])
        if name not in folders
    }
    builders |= {
        (PUBLISHED, one.name): functools.partial(published.build, one)
        for one in published.PUBLISHED
        if one.hidden_layers
    }
    fleet = {(ZOO, name): folder for name, folder in folders.items()}
    for (kind, name), build in builders.items():
        report(f"making {name}'s layers, to be timed")
        fleet[kind, name] = _stand_in(build, work / f"layers-{published.folder_name(name)}")
    samples, runtimes, cores = _time(fleet, timing)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine.fingerprint(),
        "runtimes": sorted(runtimes),
        "unit": UNIT,
        "timing": {name: getattr(timing, name) for name in ("rounds", "calls", "warmup")}
        | {"threads": 1, "pinned_cores": cores},
        **{kind: _table(samples, kind, set(builders)) for kind in (ZOO, PUBLISHED)},
    }


def _table(samples, kind, stand_ins):
    """What the record holds of one kind, by network: its exports' figures."""
    table = {}
    for (found, name, variant), taken in samples.items():
        if found == kind:
            block = table.setdefault(name, {"layers_alone": (kind, name) in stand_ins})
            block[variant] = _figures(taken, samples[ZOO, UNIT, TIMED[variant]])
    return table


def _figures(taken, unit):
    """Median and interval in µs; and the median, over rounds, of the ratio to the unit's."""
    figures = latency.summary({1: taken})
    ratios = np.median(taken, axis=1) / np.median(unit, axis=1)
    return {
        "p50_us": figures["p50_us"],
        "p50_interval_us": figures["p50_interval_us"],
        "over_unit": round(float(np.median(ratios)), 4),
    }


def _stand_in(build, folder):
    """Trains a network on MNIST until its exports pass the gate, no further; returns the bundle."""
    import keras

    keras.utils.set_random_seed(0)
    model, dataset = build(), data.load()
    x = data.as_inputs(dataset.x_train[:_STAND_IN_COUNT], model.input.shape[1:])
    model.compile(keras.optimizers.Adam(_STAND_IN_RATE), "sparse_categorical_crossentropy")
    words = (folder / bundle.MODEL, "--data", data.MNIST, "--output", folder, "--variants", *TIMED)
    for left in reversed(range(_STAND_IN_EPOCHS)):
        with cli.native_logs_held():
            model.fit(x, dataset.y_train[:_STAND_IN_COUNT], verbose=0)
        with bundle.staged(folder) as stage:
            model.save(stage / bundle.MODEL)
        try:
            frontier_jobs.run_stage("export", *words)
        except StageFailed as error:
            if not left or error.status != cli.GATE_FAILED:
                raise
        else:
            break
    return folder


def _time(fleet, timing):
    """`(samples, runtimes, cores)`: float64 `[rounds, calls]` in µs by (kind, name, variant)."""
    cores = machine.cores_for(1)
    workers = {}
    with contextlib.ExitStack() as stack:
        for (kind, name), folder in fleet.items():
            (read,) = bundles.load_all([Path(folder)])
            entries = {entry["variant"]: entry for entry in read.manifest["artifacts"]}
            for variant in TIMED:
                path = _checked(read, entries, variant)
                one = stack.enter_context(_opened(path, cores))
                one.keep(read.images[:_IMAGES])
                workers[kind, name, variant] = one

        def failed(key, error):
            raise InputError(f"{'/'.join(key)} can't be timed: {error}") from error

        turns = (timing.rounds + 1) * len(workers)
        with progress.bar(turns, "timing", timing.progress) as done:
            samples = rounds.in_rounds(
                workers, timing.rounds, timing.calls, timing.warmup, failed, done
            )
        runtimes = {one.opened["runtime"] for one in workers.values()}
    return {key: by_batch[1] for key, by_batch in samples.items()}, runtimes, cores


def _checked(read, entries, variant):
    """An export's path; `InputError` where it is missing or damaged."""
    remedy = f"Run: python -m export {read.folder}"
    if variant not in entries:
        raise InputError(f"{read.folder} must hold {variant} and does not. {remedy}")
    path = read.folder / entries[variant]["file"]
    cause = manifest.damage(path, entries[variant])
    if cause:
        raise InputError(f"{path}: {cause}. {remedy}")
    return path


def _opened(path, cores):
    try:
        return Worker(path, 1, Allowance(cores=cores))
    except WorkerFailed as error:
        raise InputError(f"{path} can't be run: {error}") from error
