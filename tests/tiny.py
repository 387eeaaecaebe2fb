"""A bundle made in a moment: artifacts of one operator, and data that they classify.

No Keras and no TensorFlow are needed; `model.keras` is a file of zeros that nobody opens.
"""

import dataclasses

import numpy as np

from benchmarks import overhead
from mnist_edge import bundle, manifest, runtimes, schema
from mnist_edge.data.record import ArraySha256, DataRecord
from mnist_edge.manifest import ArtifactEntry, AuditRecord, Manifest, ModelEntry
from mnist_edge.runtimes import Tensor

COUNT = 40
# Flags of a benchmark that only has to check.
QUICK = ["--rounds", "1", "--calls", "3", "--warmup", "1"]


def make(folder):
    """Writes the bundle into a new folder; returns the folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    images[:, 0, :10] = np.eye(10)[rng.integers(0, 10, COUNT)]  # what comes out: probabilities
    inputs = images[..., None].astype(np.float32)
    opened = runtimes.open_artifact(overhead.GRAPHS["onnx"], threads=1)
    probabilities = opened.predict(inputs)
    labels = probabilities.argmax(1).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(folder / "data.npz", **arrays)
    np.savez(folder / bundle.REFERENCE, probabilities=probabilities)
    golden = {f"{format}-float32": probabilities[:10] for format in overhead.GRAPHS}
    np.savez(folder / bundle.GOLDEN, images=inputs[:10], **golden)
    (folder / bundle.MODEL).write_bytes(bytes(100))
    written = Manifest(
        model=ModelEntry(
            **vars(manifest.file_record(folder / bundle.MODEL)),
            name="tiny",
            input_shape=(28, 28, 1),
            input_range=(0.0, 255.0),
            classes=10,
            softmax_added=False,
        ),
        data=DataRecord(
            source=str(folder / "data.npz"),
            classes=10,
            labels=tuple("0123456789"),
            split_seed=0,
            train_count=COUNT,
            validation_count=0,
            test_count=COUNT,
            sha256=ArraySha256(**{k: bundle.sha256_array(array) for k, array in arrays.items()}),
        ),
        reference=manifest.file_record(folder / bundle.REFERENCE),
        golden=manifest.file_record(folder / bundle.GOLDEN),
        artifacts=(),
        versions={},
    )
    schema.write(folder / bundle.MANIFEST, written)
    for format, path in overhead.GRAPHS.items():
        add(folder, f"{format}-float32", path.read_bytes())
    return folder


def add(folder, variant, content):
    """Puts an artifact into the bundle, its hash in the manifest."""
    format, _, precision = variant.partition("-")
    path = folder / f"{variant}.{format}"
    path.write_bytes(content)
    entry = ArtifactEntry(
        **vars(manifest.file_record(path)),
        variant=variant,
        format=format,
        precision=precision,
        size_breakdown={"structure": len(content)},
        inputs=(Tensor("image", (1, 28, 28, 1), "float32"),),
        outputs=(Tensor("probabilities", (1, 10), "float32"),),
        source_model_sha256=bundle.sha256_file(folder / bundle.MODEL),
        calibration=None,
        audit=AuditRecord(opset=1, batch=1, tensors={"float32": 2}, operators={"float32": 1}),
    )
    written = manifest.read(folder, "")
    added = dataclasses.replace(written, artifacts=(*written.artifacts, entry))
    schema.write(folder / bundle.MANIFEST, added)


def vouch(folder, part):
    """Sets a part's hash in the manifest to its file's."""
    written = manifest.read(folder, "")
    record = manifest.file_record(folder / getattr(written, part).file)
    part_now = dataclasses.replace(getattr(written, part), **vars(record))
    schema.write(folder / bundle.MANIFEST, dataclasses.replace(written, **{part: part_now}))
