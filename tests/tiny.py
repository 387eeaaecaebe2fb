"""A bundle made in a moment: its artifacts are the empty graphs, its data what these give.

No Keras and no TensorFlow are needed; `model.keras` is a file of zeros that nobody opens.
"""

import numpy as np

from benchmarks import overhead
from mnist_edge import bundle, runtimes

COUNT = 40
# Flags of a benchmark that only has to judge.
QUICK = ["--rounds", "1", "--calls", "3", "--warmup", "1", "--no-progress"]


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
    manifest = {
        "model": {"name": "tiny", "input_shape": [28, 28, 1], **_record(folder / bundle.MODEL)},
        "data": {
            "source": str(folder / "data.npz"),
            "labels": list("0123456789"),
            "sha256": {name: bundle.sha256_array(array) for name, array in arrays.items()},
        },
        "reference": _record(folder / bundle.REFERENCE),
        "golden": _record(folder / bundle.GOLDEN),
        "artifacts": [],
    }
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    for format, path in overhead.GRAPHS.items():
        add(folder, f"{format}-float32", path.read_bytes())
    return folder


def add(folder, variant, content):
    """Puts an artifact into the bundle, its hash in the manifest."""
    format, _, precision = variant.partition("-")
    path = folder / f"{variant}.{format}"
    path.write_bytes(content)
    names = {"variant": variant, "format": format, "precision": precision}
    manifest = bundle.read_json(folder / bundle.MANIFEST, (), "")
    manifest["artifacts"].append(names | _record(path))
    bundle.write_json(folder / bundle.MANIFEST, manifest)


def vouch(folder, part):
    """Sets a part's hash in the manifest to its file's."""
    manifest = bundle.read_json(folder / bundle.MANIFEST, (), "")
    manifest[part] |= _record(folder / manifest[part]["file"])
    bundle.write_json(folder / bundle.MANIFEST, manifest)


def _record(path):
    return {
        "file": path.name,
        "sha256": bundle.sha256_file(path),
        "size_bytes": path.stat().st_size,
    }
