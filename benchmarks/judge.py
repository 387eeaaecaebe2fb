"""Run every artefact of a bundle, judge it, time it."""

import dataclasses
import os
import platform
from pathlib import Path

import numpy as np

from benchmarks import latency, parity
from benchmarks.runtimes import RuntimeMissing
from benchmarks.worker import Worker, WorkerFailed
from mnist_edge import bundle, data, models
from mnist_edge.cli import InputError, setting

KERAS_ROW = "keras"
PASSED, BREACHED, FAILED, NOT_INSTALLED = "passed", "breached", "failed", "not installed"
_LIMITS = parity.Limits()


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """The settings of one benchmark, and every default of the command line."""

    bundle: Path = setting(bundle.ARTIFACTS / models.DEFAULT, "folder that python -m export wrote")
    min_agreement: float = setting(
        _LIMITS.min_agreement, "least share of images on which an artefact agrees with Keras"
    )
    max_accuracy_drop: float = setting(
        _LIMITS.max_accuracy_drop, "most accuracy lost to Keras, as a share: 0.005 is half a point"
    )
    min_accuracy: float = setting(_LIMITS.min_accuracy, "least accuracy, as a share; 0 is none")
    float_margin: float = setting(
        _LIMITS.float_margin,
        "float32 artefacts agree wherever the reference's two largest probabilities differ by more",
    )
    threads: int = setting(1, "threads a call, in every runtime")
    rounds: int = setting(20, "turns of each artefact in timing")
    calls: int = setting(200, "timed calls a turn")
    warmup: int = setting(200, "calls before the first turn, not counted")

    def __post_init__(self):
        for name in ("threads", "rounds", "calls", "warmup"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be 1 or more. Got: {getattr(self, name)}.")
        for field in dataclasses.fields(parity.Limits):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                flag = "--" + field.name.replace("_", "-")
                raise InputError(f"{flag} must be 0 to 1, a share. Got: {value}.")

    @property
    def limits(self):
        """The gate's limits."""
        names = [field.name for field in dataclasses.fields(parity.Limits)]
        return parity.Limits(**{name: getattr(self, name) for name in names})


def judge(settings):
    """Judges and times every artefact of a bundle, each in a process of its own.

    Args:
        settings: A `BenchmarkSettings`.

    Returns:
        The result, a dict as `benchmark.json` holds it.

    Raises:
        InputError: The bundle is missing or damaged.
    """
    remedy = f"Run: python -m export {settings.bundle}"
    manifest = bundle.read_json(
        settings.bundle / bundle.MANIFEST, ("model", "data", "reference", "artifacts"), remedy
    )
    images, labels = _load_test_set(manifest)
    reference = _load_reference(settings.bundle, manifest, remedy)
    keras_entry = {**manifest["model"], "variant": KERAS_ROW, "precision": "float32"}
    rows, workers = [], {}
    try:
        for entry in (keras_entry, *manifest["artifacts"]):
            row, worker = _judge_one(settings, entry, images, labels, reference)
            rows.append(row)
            if worker:
                workers[entry["variant"]] = worker
        samples = latency.in_rounds(workers, settings.rounds, settings.calls, settings.warmup)
    finally:
        for worker in workers.values():
            worker.close()
    for row in rows:
        if row["variant"] in samples:
            row.update(latency.summary(samples[row["variant"]]))
    _add_ratios(rows)
    breaches = [f"{row['variant']}: {breach}" for row in rows for breach in row["breaches"]]
    if not any(row["status"] == PASSED for row in rows[1:]) and not breaches:
        breaches.append("no artefact could be judged: no runtime for any is installed")
    return {
        "schema": 1,
        "passed": not breaches,
        "breaches": breaches,
        "model": manifest["model"]["name"],
        "test_count": len(images),
        "limits": dataclasses.asdict(settings.limits),
        "timing": {
            name: getattr(settings, name) for name in ("threads", "rounds", "calls", "warmup")
        },
        "machine": _machine(),
        "rows": rows,
    }


def _load_test_set(manifest):
    """Test images as the model takes them, and their labels."""
    dataset = data.load(manifest["data"]["source"])
    for name in ("x_test", "y_test"):
        got = bundle.sha256_array(getattr(dataset, name))
        if got != manifest["data"]["sha256"][name]:
            raise InputError(
                f"{dataset.source}: {name} is not the one that the bundle was exported with "
                f"(SHA-256 {got[:12]}…). Restore it, or train and export again."
            )
    shape = manifest["model"]["input_shape"]
    return data.as_inputs(dataset.x_test, shape), dataset.y_test


def _load_reference(folder, manifest, remedy):
    path = folder / manifest["reference"]["file"]
    cause = _damage(path, manifest["reference"])
    if cause:
        raise InputError(f"{path}: {cause}. {remedy}")
    with np.load(path, allow_pickle=False) as archive:
        return archive["probabilities"]


def _damage(path, entry):
    """Why a file is not the one that the manifest describes; None where it is."""
    if not path.is_file():
        return "is missing"
    if bundle.sha256_file(path) == entry["sha256"]:
        return None
    size, expected = path.stat().st_size, entry.get("size_bytes")
    if expected and size < expected:
        return f"truncated or replaced: {size} bytes, {expected} in the manifest"
    return "replaced or damaged: its SHA-256 is not the manifest's"


def _judge_one(settings, entry, images, labels, reference):
    """One row, and the worker that is to be timed, None where there is none."""
    path = settings.bundle / entry["file"]
    row = {
        "variant": entry["variant"],
        "file": entry["file"],
        "size_bytes": entry["size_bytes"],
        "status": PASSED,
        "breaches": [],
    }
    cause = _damage(path, entry)
    if cause:
        return row | {"status": FAILED, "breaches": [cause]}, None
    worker = None
    try:
        worker = Worker(path, settings.threads)
        probabilities = worker.predict(images)
    except RuntimeMissing:
        return row | {"status": NOT_INSTALLED}, None
    except WorkerFailed as error:
        if worker:
            worker.close()
        return row | {"status": FAILED, "breaches": [str(error)]}, None
    is_float32 = entry["precision"] == "float32"
    row["runtime"] = worker.runtime
    row["breaches"] = parity.breaches(probabilities, reference, labels, settings.limits, is_float32)
    if row["breaches"]:
        row["status"] = BREACHED
    if probabilities.shape == reference.shape and np.isfinite(probabilities).all():
        row |= parity.measure(probabilities, reference, labels)
    return row, worker


def _add_ratios(rows):
    """Adds how many times faster than the Keras row each row's median is."""
    keras_us = rows[0].get("latency_p50_us")
    for row in rows:
        if keras_us and "latency_p50_us" in row:
            row["speedup_over_keras"] = round(keras_us / row["latency_p50_us"], 1)


def _machine():
    names = []
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": (names or [platform.processor() or platform.machine()])[0],
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
