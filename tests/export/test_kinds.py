"""Models of other people's kinds become ONNX files that answer as Keras does.

One small model per fault of the converters, with random weights; nothing is trained.
"""

import keras
import numpy as np
import onnxruntime
import pytest

from export import audit
from export.onnx import convert
from export.variants import VARIANTS

layers = keras.layers
FLOAT, DYNAMIC = VARIANTS["onnx-float32"], VARIANTS["onnx-dynamic-int8"]
# Another order of sums; a layer that is left out or augments differs by 0.01 and more.
CLOSE = 1e-5


def classifier(image, x):
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def augmentation():
    inner = keras.Sequential([layers.RandomRotation(0.2), layers.RandomContrast(0.5)])
    image = keras.Input((8, 8, 1))
    x = layers.RandomBrightness(0.5)(layers.RandomZoom(0.5)(inner(image)))
    return classifier(image, layers.GaussianNoise(1.0)(layers.RandomFlip()(x)))


def augmentation_first():
    model = keras.Sequential(
        [layers.RandomTranslation(0.5, 0.5), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.build((None, 8, 8, 1))
    return model


def normalization():
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).random((20, 8, 8, 2)))
    image = keras.Input((8, 8, 2))
    x = layers.Normalization(mean=[0.1, 0.2], variance=[3.0, 4.0])(adapted(image))
    return classifier(image, x + keras.ops.arange(2, dtype="float32"))


def operators_that_tf2onnx_lacks():
    image = keras.Input((8,))
    x = layers.Dense(8, activation="gelu")(keras.ops.log1p(image))
    return classifier(image, keras.ops.expm1(x))


def gru_of_masked_text():
    tokens = keras.Input((8,))
    x = layers.Embedding(4, 5, mask_zero=True)(tokens)
    return classifier(tokens, layers.Bidirectional(layers.GRU(6))(x))


def lstm():
    rows = keras.Input((8, 4))
    noisy = {"dropout": 0.5, "recurrent_dropout": 0.5}
    x = layers.LSTM(6, return_sequences=True, go_backwards=True, **noisy)(rows)
    return classifier(rows, layers.LSTM(6, unroll=True)(x))


def convolution_over_time():
    frames = keras.Input((3, 6, 6, 1))
    x = layers.TimeDistributed(layers.Conv2D(4, 2, groups=1))(frames)
    return classifier(frames, layers.ConvLSTM2D(2, 2)(x))


def grouped_convolution():
    image = keras.Input((6, 6, 4))
    return classifier(image, layers.Conv2D(8, 3, groups=4)(image))


def resized_to_a_size_that_rounds():
    image = keras.Input((24, 24, 1))  # 24 * float32(20 / 24) < 20
    x = layers.ZeroPadding2D()(layers.Resizing(20, 20)(image))
    return classifier(image, layers.UpSampling2D()(x))


def normalization_of_one_pixel():
    """Keras's own export is wrong: tf2onnx mixes up the axes."""
    image = keras.Input((3, 3, 2))
    x = layers.LayerNormalization()(layers.Conv2D(8, 3)(image))
    return classifier(image, x)


def transposed_convolution():
    image = keras.Input((6, 6, 4))
    return classifier(image, layers.Conv2DTranspose(2, 3)(image))


# Not of a kind that tests/export/test_coverage.py converts.
KINDS = (
    *(augmentation_first, gru_of_masked_text, convolution_over_time, grouped_convolution),
    *(resized_to_a_size_that_rounds, operators_that_tf2onnx_lacks, normalization_of_one_pixel),
)
OTHERS = (augmentation, normalization, lstm, transposed_convolution)


def examples(model):
    shape = (5, *model.inputs[0].shape[1:])
    return np.random.default_rng(1).integers(0, 4, shape).astype(np.float32)


def graph_of(content, variant, folder):
    path = folder / variant.file
    path.write_bytes(content)
    return audit.read(path)


@pytest.mark.parametrize(
    "kind",
    [*KINDS, *(pytest.param(kind, marks=pytest.mark.long) for kind in OTHERS)],
    ids=lambda kind: kind.__name__,
)
def test_each_kind_of_model_answers_as_keras_does(kind, tmp_path):
    keras.utils.set_random_seed(0)
    model = kind()
    given = examples(model)
    expected = model.predict(given, verbose=0)
    prepared = convert.prepare(model, None, tmp_path)
    for variant, most in ((FLOAT, CLOSE), (DYNAMIC, 0.1)):  # 8 bits: a step is 0.008 of the range
        content = convert.convert(prepared, variant, given)
        assert audit.findings(graph_of(content, variant, tmp_path), variant) == []
        (found,) = onnxruntime.InferenceSession(content).run(None, {"image": given})
        np.testing.assert_allclose(found, expected, atol=most)


def test_a_loop_comes_after_what_it_reads_whatever_the_batch_size(tmp_path):
    keras.utils.set_random_seed(0)
    rows = keras.Input((8, 4))
    model = classifier(rows, layers.GRU(6)(rows))
    given = examples(model)[:1]
    content = convert.convert(convert.prepare(model, 1, tmp_path), DYNAMIC, given)
    assert audit.findings(graph_of(content, DYNAMIC, tmp_path), DYNAMIC) == []
    (found,) = onnxruntime.InferenceSession(content).run(None, {"image": given})
    np.testing.assert_allclose(found, model.predict(given, verbose=0), atol=0.1)  # 8 bits


def test_an_augmentation_layer_augments_unless_told_that_this_is_inference():
    """The fault that `augmentation` is there for: else that test could not fail."""
    keras.utils.set_random_seed(0)
    model = augmentation()
    given = examples(model)
    assert np.abs(model(given) - model.predict(given, verbose=0)).max() > 1000 * CLOSE


def test_the_weights_of_a_loop_are_stored_once_and_in_integers(tmp_path):
    prepared = convert.prepare(gru_of_masked_text(), None, tmp_path)
    read = graph_of(convert.convert(prepared, DYNAMIC, None), DYNAMIC, tmp_path)
    kinds = {operator.kind for operator in read.operators}
    assert "MatMulInteger" in kinds
    assert "MatMul" not in kinds


def test_an_lstm_in_float32_is_not_called_int8(tmp_path):
    model, int8 = lstm(), VARIANTS["onnx-int8"]
    prepared = convert.prepare(model, None, tmp_path)
    content = convert.convert(prepared, int8, examples(model))
    found = audit.findings(graph_of(content, int8, tmp_path), int8)
    assert [line.split()[0] for line in found] == ["LSTM"]
