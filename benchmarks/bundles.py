"""Read bundles: manifest, test set, stored reference, and whether each file is the one meant."""

import dataclasses
import math
from pathlib import Path

import numpy as np

from mnist_edge import bundle, cli, data, metrics
from mnist_edge import manifest as manifests
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.manifest import KERAS_ROW
from mnist_edge.safety import files
from mnist_edge.training import train_record


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A bundle, read.

    Attributes:
        label: What tells it from the run's other bundles.
        folder: Where it is.
        manifest: What `python -m export` wrote.
        images: float32 `[n, ...]`, test images as the model takes them.
        labels: Integers `[n]`.
        reference: float32 `[n, classes]`, the Keras model's probabilities.
    """

    label: str
    folder: Path
    manifest: dict
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray

    @property
    def entries(self):
        """The manifest's entry a row: the Keras model, then the artifacts."""
        keras = {"variant": KERAS_ROW, "format": "keras", "precision": "float32"}
        return [self.manifest["model"] | keras, *self.manifest["artifacts"]]

    @property
    def float_siblings(self):
        """Variant of the same format in float32, by every other variant."""
        return {
            entry["variant"]: f"{entry['format']}-float32"
            for entry in self.manifest["artifacts"]
            if entry["precision"] != "float32"
        }

    def record(self):
        """What the result tells of it, a dict."""
        return {
            "bundle": self.label,
            "model": self.manifest["model"]["name"],
            "model_sha256": self.manifest["model"]["sha256"],
            "test_source": Path(self.manifest["data"]["source"]).name,
            "test_count": len(self.images),
            "test_sha256": self.manifest["data"]["sha256"]["x_test"],
            "classes": self.reference.shape[1],
            "reference_accuracy": float(np.mean(self.reference.argmax(1) == self.labels)),
        }


def load_all(folders):
    """Reads bundles.

    Args:
        folders: Their folders.

    Returns:
        list of `Bundle`.

    Raises:
        InputError: One is missing, damaged, or named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError(f"each bundle must be named once. Got: {' '.join(map(str, folders))}.")
    labels = [cli.printable(folder.resolve().name) for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [cli.printable(folder) for folder in folders]
    if len(set(labels)) < len(labels):  # names that differ in what no terminal shows
        labels = [f"{i}: {label}" for i, label in enumerate(labels, start=1)]
    return [_load(folder, label) for folder, label in zip(folders, labels, strict=True)]


def _load(folder, label):
    remedy = f"Run: python -m export {folder}"
    manifest = manifests.read(folder, ("model", "data", "reference", "artifacts"), remedy)
    _refuse_stale(folder, manifest, remedy)
    images, labels = _load_test_set(manifest)
    reference = _load_reference(folder, manifest, labels, remedy)
    return Bundle(label, folder, manifest, images, labels, reference)


def _refuse_stale(folder, manifest, remedy):
    """Raises `InputError` where the model was trained again since it was exported."""
    if files.kind(folder / bundle.TRAIN) == "nothing":
        return
    trained = train_record.read(folder / bundle.TRAIN, ("model_sha256",), remedy)
    if trained["model_sha256"] != manifest["model"]["sha256"]:
        raise InputError(
            f"{folder}: the artifacts are of another model than {bundle.TRAIN}'s; it was trained "
            f"again since they were made. {remedy}"
        )


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


def _load_reference(folder: Path, manifest: dict, labels: np.ndarray, remedy: str) -> np.ndarray:
    """The Keras model's probabilities, float32, a row a label."""
    path = folder / manifest["reference"]["file"]
    cause = manifests.damage(path, manifest["reference"])
    if cause:
        raise InputError(f"{path}: {cause}. {remedy}")
    shape = (len(labels), len(manifest["data"]["labels"]))
    most_bytes = math.prod(shape) * np.dtype(np.float32).itemsize + npz.HEADER_BYTES
    found = npz.read(path, ["probabilities"], most_bytes, remedy)["probabilities"]
    if found.dtype != np.float32 or found.shape != shape:
        raise InputError(
            f"{path} must hold predictions, float32 {list(shape)}. "
            f"Got: {found.dtype} {list(found.shape)}. {remedy}"
        )
    wrong = metrics.no_probabilities(found)
    if wrong:
        raise InputError(f"{path} must hold probabilities. Got: {wrong}. {remedy}")
    if shape[1] < max(2, int(labels.max()) + 1):
        raise InputError(
            f"{path} must know every class of the test set. Got: {shape[1]} classes, labels up to "
            f"{labels.max()}. {remedy}"
        )
    return found
