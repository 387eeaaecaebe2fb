import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import overhead
from export.variants import VARIANTS
from mnist_edge import bundle, data, runtimes
from mnist_edge.runtimes import predictor

SHAPE = (28, 28, 1)


@pytest.mark.parametrize("file", [bundle.MODEL, *(v.file for v in VARIANTS.values())])
def test_every_runtime_computes_the_reference(small, file):
    images = data.as_inputs(data.load(small.data).x_test[:40], SHAPE)
    opened = runtimes.open_artifact(small.folder / file, threads=1)
    batch = opened.batch or 40
    inputs = opened.encode(images)
    outputs = [opened.call(inputs[i : i + batch]) for i in range(0, 40, batch)]
    with np.load(small.folder / bundle.REFERENCE) as archive:
        reference = archive["probabilities"][:40]
    tolerance = 1e-5 if "float32" in file or file == bundle.MODEL else 0.25
    assert np.abs(opened.decode(np.concatenate(outputs)) - reference).max() < tolerance


def test_a_missing_runtime_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not runtimes.is_installed(Path("x.onnx"))
    with pytest.raises(runtimes.RuntimeMissing, match="onnxruntime is not installed"):
        runtimes.open_artifact(small.folder / "onnx-float32.onnx", threads=1)


def test_an_installed_runtime_is_found_without_opening_a_file():
    assert all(map(runtimes.is_installed, map(Path, ("x.keras", "x.tflite", "x.onnx"))))


def test_the_empty_call_gives_back_what_it_is_given():
    values = np.ones((1, 3), np.float32)
    assert overhead.open_artifact(overhead.EMPTY_CALL, threads=1).call(values) is values


def test_the_reference_workload_computes_the_same_whatever_it_is_given():
    call = overhead.open_artifact(overhead.REFERENCE_WORKLOAD, threads=1).call
    assert np.array_equal(call(np.zeros(1)).copy(), call(np.ones(5)))


def test_an_artifact_of_any_batch_size_gets_large_images_in_parts(monkeypatch):
    sizes = []

    def call(values):
        sizes.append(len(values))
        return values

    opened = runtimes.Predictor("none", None, np.asarray, call, np.asarray)
    images = np.arange(28.0, dtype=np.float32).reshape(7, 4)
    monkeypatch.setattr(predictor, "MOST_VALUES", 12)
    np.testing.assert_array_equal(opened.predict(images), images)
    assert sizes == [3, 3, 1]
