"""A small bundle, trained, exported and measured once for all tests."""

import dataclasses
import json
import os
import shutil
import sys

import numpy as np
import pytest

from benchmarks.measurement import Report
from benchmarks.run import benchmark
from export.pipeline import export
from export.settings import ExportSettings
from mnist_edge import backend, bundle, data, runtimes
from mnist_edge.train import train
from mnist_edge.training.settings import TrainSettings
from tests import tiny
from tests.safety import culprits

QUICK = {"rounds": 2, "calls": 10, "warmup": 2}


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """What commands record among the user's own files goes to a folder of the tests'."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@dataclasses.dataclass(frozen=True)
class Small:
    """The small bundle and what each stage returned."""

    data: str
    folder: object
    trained: dict
    manifest: dict
    report: Report

    def copy(self, folder):
        """A copy that a test may damage."""
        shutil.copytree(self.folder, folder)
        return folder


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """Path of an .npz of 6,000 training and 500 test images of MNIST."""
    mnist = data.load()
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez_compressed(
        path,
        x_train=mnist.x_train[:6000],
        y_train=mnist.y_train[:6000],
        x_test=mnist.x_test[:500],
        y_test=mnist.y_test[:500],
    )
    return str(path)


@pytest.fixture(scope="session")
def small(small_data, tmp_path_factory):
    backend.start_keras()
    folder = tmp_path_factory.mktemp("artifacts") / "small"
    train(
        TrainSettings(
            data=small_data, output=folder, epochs=2, batch_size=32, quiet=True, plots=False
        )
    )
    trained = json.loads((folder / bundle.TRAIN).read_text())
    export(ExportSettings(source=folder, calibration_count=50))
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    return Small(small_data, folder, trained, manifest, benchmark(folder, **QUICK))


@pytest.fixture
def without_keras(monkeypatch):
    """The benchmarks as on a device without Keras: quicker by Keras's start."""
    is_installed = runtimes.is_installed
    monkeypatch.setattr(
        runtimes, "is_installed", lambda path: path.suffix != ".keras" and is_installed(path)
    )


@pytest.fixture
def bundle_of_three(small, tmp_path):
    """A copy of the small bundle that a test may damage, with three artifacts listed."""
    folder = small.copy(tmp_path / "bundle")
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    kept = ("tflite-float32", "tflite-int8", "onnx-float32")
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["variant"] in kept]
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    return folder


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The members of a small classifier's file, by name."""
    keras = backend.start_keras()
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    image = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(10, activation="softmax")(x)).save(path)
    return culprits.members(path)


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that must not appear; the module `evil` makes it when it is imported."""
    path = tmp_path / "marker"
    (tmp_path / "evil.py").write_text(f"open({str(path)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    yield path
    assert not path.exists()


@pytest.fixture(scope="session")
def kept_tiny(tmp_path_factory):
    """The bundle of `tests.tiny`, made once."""
    return tiny.make(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def tiny_bundle(kept_tiny, tmp_path):
    """A copy of the tiny bundle that a test may damage."""
    return shutil.copytree(kept_tiny, tmp_path / "bundle")
