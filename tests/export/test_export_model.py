"""A model in memory with arrays becomes a bundle, as `python -m export` writes one."""

import keras
import numpy as np
import onnx
import pytest

from benchmarks import bundles
from export import pipeline, write
from mnist_edge import data, manifest, runtimes
from mnist_edge.errors import InputError
from mnist_edge.models import opened

FLOATS = ("tflite-float32", "onnx-float32")


@pytest.fixture(scope="module")
def dataset():
    """Sixty images of 4 x 4 pixels, three classes."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (90, 4, 4), np.uint8), np.arange(90, dtype=np.uint8) % 3
    return data.Dataset(x[:60], y[:60], x[60:], y[60:], labels=("ant", "bee", "cat"))


def classifier(classes=3):
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x), name="small")


def test_arrays_and_a_model_give_a_bundle(dataset, tmp_path, converted_once):
    model, folder, lines = classifier(), tmp_path / "bundle", []
    artifacts = pipeline.export_model(
        model, dataset, folder, report=lines.append, variants=FLOATS, calibration_count=10
    )
    assert [artifact.name for artifact in artifacts] == list(FLOATS)
    assert lines[0].startswith("the model: small, 51 parameters, input [4, 4, 1], output 3 classes")
    assert len([line for line in lines if "agreement" in line]) == 2
    images = data.as_inputs(dataset.x_test, (4, 4, 1))
    expected = model.predict(images, verbose=0)
    for artifact in artifacts:
        found = runtimes.open_artifact(artifact.path).predict(images)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    written = manifest.read(folder, "")
    assert written.artifacts == tuple(artifact.entry for artifact in artifacts)
    assert (written.model.name, written.data.labels) == ("small", dataset.labels)
    (read,) = bundles.load_all([folder])  # the data set lies in the bundle, wherever that goes
    np.testing.assert_array_equal(read.images, images)
    # The next export keeps what it does not make again.
    again = pipeline.export_model(model, dataset, folder, variants=FLOATS[:1], calibration_count=10)
    assert [artifact.name for artifact in again] == list(FLOATS)


def test_a_tflite_export_asks_for_no_package_of_onnx(dataset, tmp_path, monkeypatch):
    def version(package):
        assert "onnx" not in package
        return "1"

    monkeypatch.setattr(write, "version", version)
    options = {"variants": FLOATS[:1], "calibration_count": 10}
    pipeline.export_model(classifier(), dataset, tmp_path / "bundle", **options)
    written = manifest.read(tmp_path / "bundle", "")
    assert {"keras", "tensorflow", "ai-edge-litert"} < set(written.versions)


@pytest.mark.parametrize(
    ("model", "options", "line"),
    [
        (
            lambda: classifier(2),
            {},
            r"^the model knows 2 classes\. Got: labels up to 2 in arrays in memory",
        ),
        (classifier, {"variants": ("tflite-int4",)}, r"^a variant must be one of tflite-float32, "),
        (classifier, {"batch": 0}, r"^--batch must be 1 or more\. Got: 0\."),
    ],
)
def test_what_can_not_be_exported_is_one_line(dataset, tmp_path, model, options, line):
    with pytest.raises(InputError, match=line):
        pipeline.export_model(model(), dataset, tmp_path / "bundle", **options)
    assert not (tmp_path / "bundle").exists()


def test_a_trained_model_gives_the_commands_graph_and_its_records_split(small, tmp_path):
    model = opened.open_bundle(small.folder)
    name = "onnx-float32"
    options = {"variants": (name,), "calibration_count": 50}
    (artifact,) = pipeline.export_model(model, data.load(small.data), tmp_path, **options)
    assert onnx.load(artifact.path).graph == onnx.load(small.folder / f"{name}.onnx").graph
    written = manifest.read(tmp_path, "")
    assert (written.model.name, written.data) == ("edge", manifest.read(small.folder, "").data)
