"""A model made to quantize badly falls back, and the manifest tells how."""

import json

import keras
import numpy as np
import onnx
import pytest

from export import __main__ as command
from export import audit, fallback
from export.tflite import convert
from export.variants import KNOWN
from mnist_edge import bundle, runtimes
from tests.safety import culprits


@pytest.fixture(scope="module")
def spoiled(small, tmp_path_factory):
    """The small model with one layer of weights of very unequal scale, same function."""
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    normalization = model.layers[model.layers.index(convolutions[2]) + 1]
    factors = np.ones(16, np.float32)
    factors[:4] = [1000, 3000, 500, 2000]  # undone by the next layer's weights
    gamma, beta, *moments = normalization.get_weights()
    normalization.set_weights([gamma * factors, beta * factors, *moments])
    (kernel,) = convolutions[3].get_weights()
    convolutions[3].set_weights([kernel / factors[:, None]])
    path = tmp_path_factory.mktemp("spoiled") / "spoiled.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def mixed(spoiled, small, tmp_path_factory):
    """The bundle of what was made in place of what breached the gate."""
    folder = tmp_path_factory.mktemp("mixed") / "bundle"
    argv = [str(spoiled), "--data", small.data, "--output", str(folder)]
    chosen = ["--variants", "tflite-int8", "onnx-int8", "onnx-float32"]
    with pytest.MonkeyPatch.context() as patch:
        culprits.tried_here(patch)
        assert command.main([*argv, "--calibration-count", "50", *chosen]) == 0
    return folder


@pytest.mark.long  # quick: tests/export/test_pipeline.py::test_a_variant_that_is_named_must_pass
def test_without_fallback_it_breaches_the_gate(spoiled, small, tmp_path, monkeypatch, capsys):
    culprits.tried_here(monkeypatch)
    argv = [str(spoiled), "--data", small.data, "--output", str(tmp_path / "bundle")]
    assert command.main([*argv, "--no-fallback", "--variants", "tflite-int8", "onnx-int8"]) == 1
    error = capsys.readouterr().err
    assert "error: tflite-int8 agrees with the reference on" in error
    assert "error: onnx-int8 agrees with the reference on" in error
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_attempts_stand_in_the_manifest_in_order(mixed, spoiled, format):
    manifest = json.loads((mixed / bundle.MANIFEST).read_text())
    (told,) = [r for r in manifest["fallbacks"] if r["variant"] == f"{format}-int8"]
    assert told["made"] == f"{format}-int8-mixed"
    steps = [attempt["step"] for attempt in told["attempts"]]
    assert steps[0] == "calibration on 200 images"
    assert steps[1] == "per-channel weights"
    assert "worst of" in steps[2]
    *tried, last = told["attempts"]
    assert not any(attempt["passed"] for attempt in tried)
    assert last["passed"]
    assert last["agreement"] >= 0.98
    assert told["attempts"][0]["agreement"] < 0.98
    named = last["remark"].removeprefix("in float32: ").split(", ")
    assert {layer.name for layer in keras.saving.load_model(spoiled).layers} & set(named)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_mixed_file_is_one_and_is_called_so(mixed, format):
    variant = KNOWN[f"{format}-int8-mixed"]
    read = audit.read(mixed / variant.file)
    assert audit.findings(read, variant) == []
    assert audit.findings(read, KNOWN[f"{format}-int8"]) != []
    assert not (mixed / KNOWN[f"{format}-int8"].file).exists()


def test_a_float_variant_needs_no_fallback(mixed):
    manifest = json.loads((mixed / bundle.MANIFEST).read_text())
    assert "onnx-float32" not in [told["variant"] for told in manifest["fallbacks"]]


@pytest.mark.parametrize("name", ["tflite-dynamic-int8", "tflite-int8", "tflite-int16x8"])
def test_tflite_weights_are_per_channel_as_the_fallback_says(small, name):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(small.folder / KNOWN[name].file))
    interpreter.allocate_tensors()
    scales = [
        (details["shape"][0], len(details["quantization_parameters"]["scales"]))
        for details in interpreter.get_tensor_details()
        if details["dtype"] == np.int8 and len(details["shape"]) == 4 and details["shape"][0] > 1
    ]
    assert len(scales) >= 5
    assert all(channels == count for channels, count in scales)


def scale_shapes(path):
    """Shapes of the scales of an ONNX file's convolutions' weights."""
    graph = onnx.load(path).graph
    shapes = {t.name: tuple(t.dims) for t in graph.initializer}
    return [
        shape
        for name, shape in shapes.items()
        if name.startswith("Conv_") and "_constant_1" in name and name.endswith("_scale")
    ]


def test_onnx_weights_are_per_channel_in_the_static_file_alone(small):
    static, dynamic = (
        scale_shapes(small.folder / KNOWN[name].file) for name in ("onnx-int8", "onnx-dynamic-int8")
    )
    assert len(static) == len(dynamic) == 6
    assert all(len(shape) == 1 and shape[0] > 1 for shape in static)
    assert dynamic == [()] * 6


def test_a_dynamic_onnx_file_is_offered_per_channel_weights():
    steps = fallback.steps(KNOWN["onnx-dynamic-int8"], None, np.zeros((8, 1)), None, None)
    assert next(steps).conversion is None
    second = next(steps)
    assert (second.name, second.conversion.variant) == ("per-channel weights", KNOWN["onnx-int8"])


NAMES = tuple("abcdefghijklmnop")


def test_the_worst_of_16_layers_is_found_in_8_conversions():
    errors, asked = dict.fromkeys(NAMES, 1) | {"k": 100, "c": 50}, []

    def error_of(names):
        asked.append(names)
        return sum(errors[name] for name in names)

    found = fallback._worst_first(NAMES, error_of, np.inf)
    assert next(found) == ("k",)
    assert len(asked) == 8
    assert next(found) == ("c",)
    assert sorted(name for (name,) in found) == sorted(NAMES[:2] + NAMES[3:10] + NAMES[11:])


def test_when_the_time_is_over_layers_are_not_divided_further():
    found = fallback._worst_first(NAMES, lambda names: "k" in names, until=-np.inf)
    assert list(found) == [NAMES]


@pytest.mark.parametrize("variant", ["tflite-int8", "tflite-int8-mixed"])
def test_the_graph_that_was_calibrated_once_gives_the_converters_file(variant, tmp_path):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    images = np.random.default_rng(0).random((20, 6, 6, 1), np.float32)
    prepared = convert.prepare(model, 1, tmp_path)
    calibrated, front = convert.calibrated(prepared, images)
    quantized = convert.quantize(calibrated, front, (), KNOWN[variant].io)
    (tmp_path / "found.tflite").write_bytes(quantized)
    (tmp_path / "expected.tflite").write_bytes(
        convert.convert(prepared, KNOWN["tflite-int8"], images)
    )
    found, expected = (
        runtimes.open_artifact(tmp_path / f"{name}.tflite") for name in ("found", "expected")
    )
    assert found.inputs[0].dtype == KNOWN[variant].io
    np.testing.assert_array_equal(found.predict(images), expected.predict(images))
