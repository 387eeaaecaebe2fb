"""`c-int8` is a variant like the others, made from the very bytes of the bundle's `tflite-int8`."""

import keras
import numpy as np
import pytest

from export import audit, pipeline
from export.c import reference
from export.formats import FORMATS
from mnist_edge import bundle, data, manifest, runtimes
from mnist_edge.errors import GateError
from mnist_edge.runtimes import litert

BOTH = ("tflite-int8", "c-int8")
pytestmark = pytest.mark.usefixtures("converted_here")


@pytest.fixture(scope="module")
def dataset():
    """Images of 8 x 8 pixels, three classes that a bright third tells apart."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 90, (90, 8, 9), np.uint8), np.arange(90, dtype=np.uint8) % 3
    for image, label in zip(x, y, strict=True):
        image[:, 3 * label : 3 * label + 3] += 150
    return data.Dataset(x[:60], y[:60], x[60:], y[60:])


@pytest.fixture(scope="module")
def model(dataset):
    image = keras.Input((8, 9, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(
        keras.layers.Rescaling(1 / 255)(image)
    )
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(x))
    made = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x), name="thirds")
    made.compile("adam", "sparse_categorical_crossentropy")
    images = data.as_inputs(dataset.x_train, (8, 9, 1))
    made.fit(images, dataset.y_train, epochs=40, verbose=0)
    return made


def export(model, dataset, folder, variants=BOTH, **options):
    return pipeline.export_model(
        model, dataset, folder, variants=variants, calibration_count=40, **options
    )


def test_the_bundle_holds_source_header_and_example(model, dataset, tmp_path):
    folder = tmp_path / "bundle"
    tflite, c = (artifact.entry for artifact in export(model, dataset, folder))
    assert c.made_from_sha256 == tflite.sha256 == bundle.sha256_file(folder / "tflite-int8.tflite")
    assert [record.file for record in c.companions] == ["c-int8.h", "c-int8.main.c"]
    for record in c.companions:
        assert not manifest.damage(folder / record.file, record)
    assert manifest.read(folder, "").artifacts == (tflite, c)
    assert audit.report(folder / "c-int8.c").passed
    images = data.as_inputs(dataset.x_test, (8, 9, 1))
    opened = litert.of_interpreter(
        reference.interpreter((folder / "tflite-int8.tflite").read_bytes())
    )
    found = runtimes.open_artifact(folder / "c-int8.c").predict(images)
    np.testing.assert_array_equal(found, opened.predict(images))
    # Another calibration gives another TFLite file, which the source is not made from.
    lines = []
    again = pipeline.export_model(
        model, dataset, folder, lines.append, variants=BOTH[:1], calibration_count=3
    )
    assert [artifact.name for artifact in again] == list(BOTH[:1])
    assert any(line.startswith("c-int8.c left out") for line in lines)
    assert not (folder / "c-int8.c").exists()


def test_a_source_that_computes_something_else_fails_the_gate(
    model, dataset, tmp_path, patch_format
):
    embed = FORMATS["c"].embed

    def other(*given):
        exact = b"high_multiply(scale, "
        content = embed(*given)
        assert exact in content
        return content.replace(exact, b"high_multiply(scale - (1 << 24), ")

    patch_format("c", embed=other)
    with pytest.raises(GateError, match="different outputs than the converter's file"):
        export(model, dataset, tmp_path / "bundle", ("c-int8",))


def test_an_operator_without_c_is_named_with_its_layer(dataset, tmp_path):
    image = keras.Input((8, 9, 1))
    x = keras.ops.sum(image, axis=(2, 3))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x), name="summed")
    with pytest.raises(GateError, match=r"operator SUM of layer summed\w*/Sum has no kernel in C"):
        export(model, dataset, tmp_path / "bundle", ("c-int8",))
