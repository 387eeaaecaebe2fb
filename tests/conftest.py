"""A small bundle, trained, exported and judged once for all tests."""

import dataclasses
import shutil

import numpy as np
import pytest

from benchmarks.judge import BenchmarkSettings, judge
from export.exporter import export
from export.settings import ExportSettings
from mnist_edge import backend, data
from mnist_edge.settings import TrainSettings
from mnist_edge.train import train

QUICK = {"rounds": 2, "calls": 10, "warmup": 2}


@dataclasses.dataclass(frozen=True)
class Small:
    """The small bundle and what each stage returned."""

    data: str
    folder: object
    trained: dict
    manifest: dict
    result: dict

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
    trained = train(
        TrainSettings(
            data=small_data, output=folder, epochs=1, batch_size=(32,), quiet=True, plots=False
        )
    )
    manifest = export(ExportSettings(source=folder, calibration_count=50))
    result = judge(BenchmarkSettings(bundle=folder, **QUICK))
    return Small(small_data, folder, trained, manifest, result)
