"""Making ONNX files: what it costs, and that calibration is done once."""

import gc
import weakref

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from export import audit
from export.onnx import convert
from export.variants import VARIANTS

RNG = np.random.default_rng(0)


class Copy:
    """A graph that refers to itself, as tf2onnx's do."""

    def __init__(self):
        self.itself, self.nodes = self, [[] for _ in range(10_000)]


def made(count):
    return [weakref.ref(Copy()) for _ in range(count)]


@pytest.mark.long
def test_graphs_that_refer_to_themselves_are_freed_while_others_are_made():
    gc.unfreeze()  # what an earlier test's start of Keras froze
    imported = [[] for _ in range(1_000_000)]  # as many objects as TensorFlow's
    gc.collect()
    before = gc.get_threshold()
    with convert._collecting_garbage():
        copies = made(20)
        held = sum(copy() is not None for copy in copies)
    assert held <= 4
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
    assert len(imported) == 1_000_000


def prepared_in(folder):
    """A matrix product as the file that every precision is made from."""
    weights = numpy_helper.from_array(RNG.normal(size=(8, 4)).astype(np.float32), "weights")
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
        for name, size in (("image", 8), ("probabilities", 4))
    ]
    node = helper.make_node("MatMul", ["image", "weights"], ["probabilities"], "MatMul_0")
    graph = helper.make_graph([node], "product", values[:1], values[1:], [weights])
    opset = helper.make_opsetid("", convert.OLDEST_OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)  # ONNX Runtime knows it
    onnx.save(model, folder / "float32.onnx")
    return folder / "float32.onnx"


@pytest.mark.parametrize("batch", [None, 1])
def test_a_weight_on_the_left_of_a_product_is_stored_in_integers(batch, tmp_path):
    rows = keras.Input((10, 14))
    x = keras.layers.EinsumDense("abc,bd->adc", output_shape=(8, 14))(rows)
    model = keras.Model(rows, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))
    variant = VARIANTS["onnx-dynamic-int8"]
    path = tmp_path / variant.file
    path.write_bytes(convert.convert(convert.prepare(model, batch, tmp_path), variant, None))
    assert audit.findings(audit.read(path), variant) == []


def test_calibration_images_are_run_once_for_all_steps_of_a_fallback(tmp_path, monkeypatch):
    prepared, variant = prepared_in(tmp_path), VARIANTS["onnx-int8"]
    images = RNG.random((20, 8), np.float32)
    content = convert.convert(prepared, variant, images)
    monkeypatch.setattr(convert, "_calibration_reader", lambda model, images: None)
    assert convert.convert(prepared, variant, images) == content
    with pytest.raises(ValueError, match="calibration_data_reader"):
        convert.convert(prepared, variant, images[:10])  # other images have other ranges


def test_zeros_around_a_max_pooling_win_over_negative_values(tmp_path):
    """ONNX Runtime pads with minus infinity if it makes the zeros a part of the pooling."""
    image = keras.Input((6, 6, 1))
    negative = keras.layers.Conv2D(2, 3, kernel_initializer="ones", use_bias=False)(-image)
    padded = keras.layers.ZeroPadding2D(1)(negative)
    pooled = keras.layers.Flatten()(keras.layers.MaxPooling2D(3, 2)(padded))
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(pooled))
    images = RNG.uniform(0.1, 1, (4, 6, 6, 1)).astype(np.float32)
    path = convert.prepare(model, None, tmp_path)
    (found,) = onnxruntime.InferenceSession(path).run(None, {"image": images})
    assert np.abs(found - model.predict(images, verbose=0)).max() < 1e-5
