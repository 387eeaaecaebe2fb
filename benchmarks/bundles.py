"""Loads bundles: manifest, test set, stored reference predictions and artifacts."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge import bundle, cli, data, drawing, gate, heads, runtimes, schema
from mnist_edge import manifest as manifests
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
from mnist_edge.manifest import FileRecord, Manifest
from mnist_edge.models import opened
from mnist_edge.safety import c_source
from mnist_edge.training.train_record import TrainRecord

from . import parity
from .measurement import KERAS_ROW, BundleRecord


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A file to measure: the Keras model or an artifact exported from it.

    Attributes:
        variant: Name of the variant.
        format: "keras", "tflite", "onnx" or "c".
        precision: Precision, as in the variant's name.
        path: Path of the file.
        record: The manifest's size and hash of the file.
        unfinished: The model's outputs if this file lacks the activations that export appended
            to the artifacts; else empty.
        kernels: The kernel set that runs it; None for the runtime's own choice.
    """

    variant: str
    format: str
    precision: str
    path: Path
    record: FileRecord
    unfinished: tuple[Head, ...] = ()
    kernels: str | None = None

    @property
    def name(self) -> str:
        """Name of its row."""
        return runtimes.row_name(self.variant, self.kernels)

    @property
    def weights(self) -> str:
        """Name of the variant whose weights and rounding it has: C is made from TFLite."""
        return f"tflite-{self.precision}" if self.format == "c" else self.variant

    @property
    def float_sibling(self) -> str:
        """Name of the row of the float32 variant of the same format and kernels."""
        return runtimes.row_name(f"{self.format}-float32", self.kernels)

    @property
    def is_float32(self) -> bool:
        """Whether the artifact computes in float32."""
        return self.precision == "float32"

    def missing(self) -> str | None:
        """Returns what its row needs and is not installed; None if nothing is missing."""
        kernels = self.kernels or ""
        if not runtimes.is_installed(self.path, kernels):
            return runtimes.missing(self.path, kernels)
        return c_source.missing() if self.format == "c" else None

    def damage(self) -> str | None:
        """Returns why the file must not be opened; None if it may be.

        It must match its manifest entry, and C must be what the exporter makes: it is code.
        """
        cause = manifests.damage(self.path, self.record)
        if cause or self.format != "c":
            return cause
        return c_source.fault(self.path, self.record.sha256)

    def finish(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the file's outputs `[n, width]` as the artifacts give them."""
        return heads.finish(self.unfinished, outputs)


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        label: Name of the bundle, unique within a run.
        folder: Path of the bundle.
        manifest: The manifest written by `python -m export`.
        images: Numbers `[n, ...]`, test images in the model's input shape, of the data's type:
            in float32 they may not fit into memory. A `Worker` casts the few that it sends.
        labels: The true answers: integers `[n]`, or the columns of the outputs' targets.
        reference: float32 `[n, width]`, the Keras model's predictions.
        indices: int64 `[n]`, ascending: the images' places in the test set.
        test_set_count: Number of images in the test set, of which these are all or a part.
        example_shape: Shape of an example in the data set, which the model may take flat.
    """

    label: str
    folder: Path
    manifest: Manifest
    images: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    indices: np.ndarray
    test_set_count: int
    example_shape: tuple[int, ...]

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the columns of the predictions mean."""
        return self.manifest.heads

    def pictures(self, indices: Sequence[int]) -> np.ndarray | None:
        """Returns test images to draw, uint8 `[n, height, width, 3]`; None if they are none."""
        if not drawing.is_picture(self.example_shape):
            return None
        chosen = self.images[list(indices)].reshape(-1, *self.example_shape)
        is_ink = opened.is_trained_here(self.folder)
        return drawing.as_pictures(chosen, self.manifest.model.input_range, is_ink)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The Keras model, then the exported artifacts."""
        return artifacts(self.folder, self.manifest)

    def rows(self, kernels: Sequence[str]) -> list[Artifact]:
        """Returns the artifacts, each followed by itself on those kernel sets that run its format.

        Args:
            kernels: Names of `runtimes.KERNELS`.
        """
        return [
            dataclasses.replace(one, kernels=name)
            for one in self.artifacts
            for name in (None, *kernels)
            if name is None or runtimes.KERNELS[name].suffix == one.path.suffix
        ]

    def _reference_accuracy(self) -> float:
        own, thresholds = self.reference, gate.Thresholds()
        return parity.of_outputs(own, own, self.labels, self.heads, thresholds).accuracy

    def record(self) -> BundleRecord:
        """Returns the bundle's entry in the report."""
        return BundleRecord(
            bundle=self.label,
            model=self.manifest.model.name,
            model_sha256=self.manifest.model.sha256,
            test_source=cli.printable(Path(self.manifest.data.source).name),
            test_count=len(self.images),
            test_set_count=self.test_set_count,
            test_sha256=self.manifest.data.sha256.x_test,
            classes=self.reference.shape[1],
            labels=self.manifest.data.labels,
            reference_accuracy=self._reference_accuracy(),
        )


def artifacts(folder: Path, manifest: Manifest) -> tuple[Artifact, ...]:
    """Returns a bundle's Keras model, followed by its exported artifacts."""
    model = manifest.model
    keras = Artifact(KERAS_ROW, "keras", "float32", folder / model.file, model, manifest.heads)
    exported = (
        Artifact(entry.variant, entry.format, entry.precision, folder / entry.file, entry)
        for entry in manifest.artifacts
    )
    return (keras, *exported)


def load_all(folders: Sequence[Path], limit: int | None = None) -> list[Bundle]:
    """Loads bundles.

    Args:
        folders: Folders of the bundles.
        limit: Most test images to load, evenly spaced, as a test set may be sorted by class.

    Raises:
        InputError: A bundle is missing, damaged or named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError(f"each bundle must be named once. Got: {' '.join(map(str, folders))}.")
    labels = [cli.printable(folder.resolve().name) for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [cli.printable(folder) for folder in folders]
    if len(set(labels)) < len(labels):  # differ in unprintable characters only
        labels = [f"{i}: {label}" for i, label in enumerate(labels, start=1)]
    return [_load(folder, label, limit) for folder, label in zip(folders, labels, strict=True)]


def spaced(count: int, wanted: int) -> np.ndarray:
    """Returns `wanted` evenly spaced indices below `count`, or all of them if there are fewer."""
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int)


def _load(folder: Path, label: str, limit: int | None) -> Bundle:
    remedy = f"Run: python -m export {folder}"
    manifest = manifests.read(folder, remedy)
    _refuse_stale(folder, manifest, remedy)
    dataset = _load_test_set(folder, manifest)
    images, labels = data.in_shape(dataset.x_test, manifest.model.input_shape), dataset.y_test
    reference = _load_reference(folder, manifest, labels, remedy)
    indices, count = spaced(len(labels), limit or len(labels)), len(labels)
    if len(indices) < count:
        images, labels, reference = images[indices], labels[indices], reference[indices]
    example_shape = dataset.x_test.shape[1:]
    return Bundle(
        *(label, folder, manifest, images, labels, reference, indices, count, example_shape)
    )


def _refuse_stale(folder: Path, manifest: Manifest, remedy: str) -> None:
    """Raises `InputError` if the model was trained again after it was exported."""
    if not opened.is_trained_here(folder):
        return
    if (
        schema.read(TrainRecord, folder / bundle.TRAIN, remedy).model_sha256
        != manifest.model.sha256
    ):
        raise InputError(
            f"{folder}: the artifacts must be exports of the model in {bundle.TRAIN}. Got: exports "
            f"of another model; it was trained again since they were made. {remedy}"
        )


def _load_test_set(folder: Path, manifest: Manifest) -> data.Dataset:
    """Loads the data set that a bundle was exported with, and checks its test set."""
    dataset = data.load_recorded(manifest.data.source, folder)
    for name in ("x_test", "y_test"):
        got = bundle.sha256_array(getattr(dataset, name))
        if got != getattr(manifest.data.sha256, name):
            raise InputError(
                f"{dataset.source}: {name} must be the one that the bundle was exported with. "
                f"Got: SHA-256 {got[:12]}…. Restore it, or train and export again."
            )
    return dataset


def _load_reference(
    folder: Path, manifest: Manifest, labels: np.ndarray, remedy: str
) -> np.ndarray:
    """Loads the Keras model's predictions: float32 `[len(labels), width]`."""
    path = folder / manifest.reference.file
    cause = manifests.damage(path, manifest.reference)
    if cause:
        raise InputError(f"{path}: {cause}. {remedy}")
    shape = (len(labels), heads.width(manifest.heads))
    most_bytes = math.prod(shape) * np.dtype(np.float32).itemsize + npz.HEADER_BYTES
    found = npz.read(path, ["probabilities"], most_bytes, remedy)["probabilities"]
    if found.dtype != np.float32 or found.shape != shape:
        raise InputError(
            f"{path} must hold predictions, float32 {list(shape)}. "
            f"Got: {found.dtype} {list(found.shape)}. {remedy}"
        )
    wrong = heads.fault(manifest.heads, found)
    if wrong:
        raise InputError(f"{path} must hold probabilities. Got: {wrong}. {remedy}")
    uncovered = heads.uncovered(manifest.heads, labels)
    if uncovered:
        raise InputError(f"{path} must cover the test set. Got: {uncovered}. {remedy}")
    return found
