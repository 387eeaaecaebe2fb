import json

import keras
import numpy as np
import onnx
import pytest

from export import __main__ as command
from export import calibration, exporter, reopen
from export.variants import VARIANTS
from mnist_edge import bundle, data
from mnist_edge.cli import InputError

SHAPE = (28, 28, 1)


def entry(small, variant):
    (found,) = [e for e in small.manifest["artifacts"] if e["variant"] == variant]
    return found


def test_a_variants_name_is_its_key_and_its_files_stem():
    for name, variant in VARIANTS.items():
        assert variant.name == name == variant.file.rpartition(".")[0]


def test_every_variant_is_written_with_its_entry(small):
    assert json.loads((small.folder / bundle.MANIFEST).read_text()) == small.manifest
    assert [e["variant"] for e in small.manifest["artifacts"]] == list(VARIANTS)
    for e in small.manifest["artifacts"]:
        path = small.folder / e["file"]
        assert bundle.sha256_file(path) == e["sha256"]
        assert path.stat().st_size == e["size_bytes"]
        assert e["source_model_sha256"] == bundle.sha256_file(small.folder / bundle.MODEL)


def test_every_artefact_takes_image_and_gives_probabilities(small):
    for e in small.manifest["artifacts"]:
        assert e["inputs"][0]["name"] == "image"
        assert e["outputs"][0]["name"] == "probabilities"
        assert e["inputs"][0]["dtype"] == VARIANTS[e["variant"]].io


def test_int8_takes_raw_bytes(small):
    given = entry(small, "tflite-int8")["inputs"][0]
    assert (given["dtype"], given["scale"], given["zero_point"]) == ("uint8", 1.0, 0)


def test_tflite_has_batch_1_and_onnx_a_free_one_named_batch(small):
    assert entry(small, "tflite-float32")["inputs"][0]["shape"] == [1, 28, 28, 1]
    assert entry(small, "onnx-float32")["inputs"][0]["shape"] == ["batch", 28, 28, 1]
    assert entry(small, "onnx-float32")["outputs"][0]["shape"] == ["batch", 10]


def test_tflite_graph_computes_no_shapes_and_is_one_xnnpack_partition(small):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(small.folder / "tflite-float32.tflite"))
    interpreter.allocate_tensors()
    operators = [details["op_name"] for details in interpreter._get_ops_details()]
    assert not {"SHAPE", "STRIDED_SLICE", "PACK"} & set(operators)
    assert operators.count("DELEGATE") == 1


def test_onnx_has_opset_18_or_later(small):
    model = onnx.load(small.folder / "onnx-float32.onnx")
    (opset,) = [o.version for o in model.opset_import if o.domain == ""]
    assert opset >= 18


def test_reference_is_the_models_prediction_on_the_test_images(small):
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    images = data.as_inputs(data.load(small.data).x_test, SHAPE)
    with np.load(small.folder / bundle.REFERENCE) as reference:
        assert np.allclose(reference["probabilities"], model.predict(images, verbose=0), atol=1e-6)


def test_calibration_is_balanced_seeded_and_from_the_training_split():
    mnist = data.load()
    train, _ = data.split_indices(60_000, seed=3)
    chosen = calibration.choose(mnist, SHAPE, split_seed=3, count=103, seed=5)
    assert np.bincount(mnist.y_train[chosen.indices]).tolist() == [11, 11, 11] + [10] * 7
    assert np.isin(chosen.indices, train).all()
    assert len(set(chosen.indices)) == 103
    assert chosen.record() == calibration.choose(mnist, SHAPE, 3, 103, seed=5).record()
    assert chosen.record() != calibration.choose(mnist, SHAPE, 3, 103, seed=6).record()
    assert chosen.images.max() == 255


def test_calibration_on_more_images_than_a_class_has_is_refused(small):
    with pytest.raises(InputError, match="Ask for fewer by --calibration-count"):
        calibration.choose(data.load(small.data), SHAPE, 0, 6000, seed=0)


def test_calibration_stands_in_the_manifest_where_it_was_used(small):
    assert entry(small, "tflite-float32")["calibration"] is None
    assert entry(small, "tflite-int8")["calibration"]["count"] == 50


def test_reopening_a_quantised_artefact_gives_probabilities(small):
    images = data.as_inputs(data.load(small.data).x_test[:50], SHAPE)
    probabilities, _, _ = reopen.run(small.folder / "tflite-int8.tflite", images)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(1), 1, atol=0.05)


def test_an_artefact_that_disagrees_fails_the_export_and_nothing_is_written(
    small, tmp_path, monkeypatch, capsys
):
    folder = small.copy(tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    convert = exporter._CONVERT["onnx"]

    def convert_another_model(model, *given):
        other = keras.models.clone_model(model)
        other.set_weights([np.roll(w, 1) if w.shape == (10,) else w for w in model.get_weights()])
        kernel = other.layers[-1].kernel
        kernel.assign(np.roll(kernel, 1, axis=1))
        convert(other, *given)

    monkeypatch.setitem(exporter._CONVERT, "onnx", convert_another_model)
    assert command.main([str(folder), "--calibration-count", "50"]) == 1
    error = capsys.readouterr().err
    assert "onnx-float32 must agree with the Keras model on 98% of" in error
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_model_that_train_did_not_write_is_refused(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    with open(folder / bundle.MODEL, "r+b") as file:
        file.truncate(1000)
    assert command.main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "is not the model that train.json describes" in error
    assert f"python -m mnist_edge.train --output {folder}" in error
    assert error.count("\n") == 1


def test_a_missing_bundle_is_one_line_and_status_2(tmp_path, capsys):
    assert command.main([str(tmp_path / "none")]) == 2
    assert "train.json is required and does not exist" in capsys.readouterr().err
