"""A converter that crashes, hangs or takes too much memory fails its variant alone."""

import types

import keras
import numpy as np
import pytest

from export import pipeline, worker
from export.artifact import About, Task
from export.variants import VARIANTS
from mnist_edge import bundle, data, manifest
from mnist_edge.errors import GateError, InputError
from mnist_edge.manifest import CalibrationRecord
from tests.safety import culprits
from tests.safety.culprits import nothing

pytestmark = pytest.mark.usefixtures("converted_apart")


@pytest.fixture(scope="module")
def model():
    image = keras.Input((2,))
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(image))


@pytest.fixture
def converter(model, tmp_path, monkeypatch):
    """Returns a converter some of whose requests are other functions."""
    opened = []

    def make(seconds=120, **requests):
        monkeypatch.setattr(worker, "REQUESTS", dict.fromkeys(worker.REQUESTS, nothing) | requests)
        record = CalibrationRecord(1, 0, "0" * 64, 0)
        about = About("x", "0" * 64, ("a", "b"), (2,), (0.0, 1.0), None, 18, record)
        task = Task(about, *[np.zeros((1, 2), np.float32)] * 5)
        source = types.SimpleNamespace(model=model)
        opened.append(worker.Converter(source, task, tmp_path, tmp_path, seconds))
        return opened[0]

    yield make
    for one in opened:
        one.close()


INT8 = VARIANTS["tflite-int8"]


def test_a_variant_that_takes_too_much_memory_after_others_gets_a_new_process(
    converter, monkeypatch
):
    monkeypatch.setenv("MNIST_EDGE_MEMORY_MB", "800")
    made = converter(convert=culprits.hog_from_the_second_on)
    for _ in range(2):
        assert made.convert(INT8).reasons == ("layer 'odd' can't be exported",)
    assert made._starts == 2


@pytest.mark.parametrize(
    ("convert", "cause", "reason"),
    [
        (culprits.crash, "crash", "runtime crashed by SIGABRT in 'convert'"),
        (culprits.leave, "crash", "process ended with status 3 in 'convert'"),
        (culprits.hang, "crash", "no answer to 'convert' in 1 s"),
        (culprits.hog, "crash", "at most 800 allowed (more with MNIST_EDGE_MEMORY_MB)"),
        (culprits.refuse, "unsupported", "layer 'odd' can't be exported"),
    ],
)
def test_each_end_of_a_converter_is_a_failed_variant(
    converter, monkeypatch, convert, cause, reason
):
    monkeypatch.setenv("MNIST_EDGE_MEMORY_MB", "800")
    made = converter(seconds=1 if convert is culprits.hang else 120, convert=convert)
    failure = made.convert(INT8)
    assert (failure.variant, failure.cause) == ("tflite-int8", cause)
    assert reason in failure.reasons[0]


def test_a_format_that_can_not_be_prepared_is_tried_once(converter):
    made = converter(prepare=culprits.crash)
    assert "SIGABRT in 'prepare'" in made.convert(INT8).reasons[0]
    other = made.convert(VARIANTS["tflite-float32"])
    assert (other.variant, made._starts) == ("tflite-float32", 1)
    assert "SIGABRT in 'prepare'" in other.reasons[0]
    assert "SIGABRT" in made.convert(VARIANTS["onnx-int8"]).reasons[0]
    assert made._starts == 2  # a process that died is started again


def test_a_model_that_can_not_be_loaded_again_stops_the_export(converter):
    made = converter(start=culprits.leave)
    with pytest.raises(InputError, match=r"must start and load the model\. Got: process ended"):
        made.convert(INT8)


def test_a_crash_of_a_converter_fails_its_variant_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(worker.REQUESTS, "convert", culprits.crash_for_int8)
    rows = keras.Input((28, 28))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(rows))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1, (90, 28, 28)).astype(np.float32), np.arange(90) % 3
    dataset = data.Dataset(x[:60], y[:60], x[60:], y[60:])
    folder = tmp_path / "bundle"
    with pytest.raises(GateError, match="tflite-int8: runtime crashed by SIGABRT") as caught:
        pipeline.export_model(
            keras.Model(rows, outputs),
            dataset,
            folder,
            variants=("tflite-float32", "tflite-int8"),
            calibration_count=10,
        )
    exported = caught.value.exported
    assert [artifact.name for artifact in exported] == ["tflite-float32"]
    written = manifest.read(folder, "")
    (failure,) = written.failures
    assert (failure.variant, failure.cause) == ("tflite-int8", "crash")
    assert [entry.variant for entry in written.artifacts] == ["tflite-float32"]
    assert {path.name for path in folder.iterdir()} == {
        bundle.MODEL,
        bundle.DATA,
        bundle.REFERENCE,
        bundle.GOLDEN,
        bundle.MANIFEST,
        "tflite-float32.tflite",
    }
