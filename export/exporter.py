"""Export a bundle: convert, reopen, compare, then write every file and the manifest."""

import dataclasses
import platform
import time
import zipfile
from pathlib import Path

import numpy as np

import mnist_edge
from export import calibration, reopen, to_onnx, to_tflite
from export.variants import VARIANTS
from mnist_edge import bundle, cli, data, models
from mnist_edge.cli import InputError, setting

_CONVERT = {"tflite": to_tflite.convert, "onnx": to_onnx.convert}
_PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy")
# Enough images to tell a wrong graph from a right one; the benchmarks judge on the
# whole test set. Validation images, so that the test set chooses nothing.
_CHECK_COUNT = 500
_MIN_AGREEMENT = 0.98


class ExportMismatch(Exception):
    """An artefact that computes something else than its model."""


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """The settings of one export, and every default of the command line."""

    bundle: Path = setting(
        bundle.ARTIFACTS / models.DEFAULT, "folder that python -m mnist_edge.train wrote"
    )
    calibration_count: int = setting(500, "training images that calibrate integer variants")
    calibration_seed: int = setting(0, "seed of their choice")

    def __post_init__(self):
        if self.calibration_count < 1:
            raise InputError(
                f"--calibration-count must be 1 or more. Got: {self.calibration_count}."
            )
        if self.calibration_seed < 0:
            raise InputError(f"--calibration-seed must be 0 or more. Got: {self.calibration_seed}.")


def export(settings, report=print):
    """Exports every variant of a bundle's model.

    Args:
        settings: An `ExportSettings`.
        report: Called with a line as each artefact is made.

    Returns:
        The manifest, a dict.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
        ExportMismatch: An artefact disagrees with the model; nothing is written.
    """
    trained = bundle.read_json(
        settings.bundle / bundle.TRAIN, ("model", "data", "model_sha256"), _retrain(settings.bundle)
    )
    model, model_sha256 = _load_model(settings.bundle, trained)
    dataset = data.load(trained["data"]["source"])
    split_seed = trained["data"]["split_seed"]
    _, validation_indices = data.split_indices(len(dataset.x_train), split_seed)
    shape = model.input.shape[1:]
    check_images = data.as_inputs(dataset.x_train[validation_indices[:_CHECK_COUNT]], shape)
    expected = model.predict(check_images, batch_size=_CHECK_COUNT, verbose=0)
    chosen = calibration.choose(
        dataset, shape, split_seed, settings.calibration_count, settings.calibration_seed
    )
    entries = []
    with bundle.staged(settings.bundle) as stage:
        for variant in VARIANTS.values():
            started = time.perf_counter()
            path = stage / variant.file
            with cli.native_logs_held():
                _CONVERT[variant.format](model, variant, path, chosen)
                computed, inputs, outputs = reopen.run(path, check_images)
            _compare(variant, computed, expected)
            entry = {
                "variant": variant.name,
                "format": variant.format,
                "precision": variant.precision,
                "file": variant.file,
                "size_bytes": path.stat().st_size,
                "sha256": bundle.sha256_file(path),
                "inputs": [dataclasses.asdict(inputs)],
                "outputs": [dataclasses.asdict(outputs)],
                "source_model_sha256": model_sha256,
                "calibration": chosen.record() if variant.calibrated else None,
            }
            entries.append(entry)
            seconds = time.perf_counter() - started
            report(f"{variant.file:<20} {entry['size_bytes'] / 1000:7.1f} kB  {seconds:4.1f} s")
        probabilities = model.predict(
            data.as_inputs(dataset.x_test, shape), batch_size=500, verbose=0
        )
        np.savez_compressed(stage / bundle.REFERENCE, probabilities=probabilities)
        manifest = {
            "schema": 1,
            "model": {
                "name": trained["model"],
                "input_shape": list(shape),
                "classes": model.output.shape[-1],
                "file": bundle.MODEL,
                "sha256": model_sha256,
                "size_bytes": (settings.bundle / bundle.MODEL).stat().st_size,
            },
            "data": trained["data"],
            "reference": {
                "file": bundle.REFERENCE,
                "sha256": bundle.sha256_file(stage / bundle.REFERENCE),
            },
            "artifacts": entries,
            "versions": _versions(),
        }
        bundle.write_json(stage / bundle.MANIFEST, manifest)
    return manifest


def _retrain(folder):
    return f"Run: python -m mnist_edge.train --output {folder}"


def _load_model(folder, trained):
    """Loads a bundle's model, after its hash; returns it and the hash."""
    import keras

    path = folder / bundle.MODEL
    if not path.is_file():
        raise InputError(f"{path} is required and does not exist. {_retrain(folder)}")
    got = bundle.sha256_file(path)
    if got != trained["model_sha256"]:
        raise InputError(
            f"{path} is not the model that {bundle.TRAIN} describes: SHA-256 {got[:12]}… "
            f"instead of {str(trained.get('model_sha256'))[:12]}…. {_retrain(folder)}"
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True), got
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} can't be loaded. Got: {error}. {_retrain(folder)}") from error


def _compare(variant, computed, expected):
    if computed.shape != expected.shape or not np.isfinite(computed).all():
        raise ExportMismatch(
            f"{variant.name} must give finite probabilities {list(expected.shape)}. "
            f"Got: {list(computed.shape)}, {np.isfinite(computed).mean():.1%} finite."
        )
    agreement = np.mean(computed.argmax(1) == expected.argmax(1))
    if agreement < _MIN_AGREEMENT:
        raise ExportMismatch(
            f"{variant.name} must agree with the Keras model on {_MIN_AGREEMENT:.0%} of "
            f"{len(expected)} validation images. Got: {agreement:.1%}."
        )


def _versions():
    from importlib.metadata import version

    return {
        "mnist-edge": mnist_edge.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }
