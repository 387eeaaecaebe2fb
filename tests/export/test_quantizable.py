"""What TFLite's quantizers can't handle is rewritten for them, or named by its layer."""

import contextlib

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from export import audit, unsupported
from export.tflite import convert, quantizable
from export.tflite.edit import Graph
from export.variants import VARIANTS
from mnist_edge import cli, runtimes
from mnist_edge.errors import InputError

RNG = np.random.default_rng(0)


def converted(model, folder, variant):
    """A model's artifact of a variant, its audit's findings, and its largest difference."""
    images = RNG.uniform(-1, 1, (40, *model.inputs[0].shape[1:])).astype(np.float32)
    with cli.native_logs_held():
        folder.mkdir(exist_ok=True)
        path = folder / VARIANTS[variant].file
        path.write_bytes(
            convert.convert(convert.prepare(model, 1, folder), VARIANTS[variant], images)
        )
    computed = runtimes.open_artifact(path).predict(images)
    difference = np.abs(computed - model.predict(images, verbose=0)).max()
    return path, audit.findings(audit.read(path), VARIANTS[variant]), difference


def classifier(*hidden, shape=(4, 4, 2)):
    keras.utils.set_random_seed(0)
    x = image = keras.Input(shape)
    for layer in hidden:
        x = layer(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def recurrent():
    return classifier(layers.LSTM(8, name="memory"), shape=(4, 4))


def test_recurrent_layers_are_unrolled_for_int8_and_stay_as_they_were(recurrent, tmp_path):
    _, found, difference = converted(recurrent, tmp_path, "tflite-int8")
    assert found == []
    assert difference < 0.05
    assert not any(getattr(layer, "unroll", False) for layer in recurrent._flatten_layers())


def test_recurrent_dropout_leaves_nothing_in_the_graph(recurrent, tmp_path):
    """Keras draws its masks at inference too, from a random state that TFLite can't keep."""
    noisy = classifier(layers.LSTM(8, dropout=0.5, recurrent_dropout=0.5), shape=(4, 4))
    path, found, difference = converted(noisy, tmp_path, "tflite-float32")
    assert (found, difference < 1e-5) == ([], True)  # another order of sums
    plain, _, _ = converted(recurrent, tmp_path / "plain", "tflite-float32")
    kinds = [[each.kind for each in audit.read(file).operators] for file in (path, plain)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("seed", [105, 106])
def test_a_split_of_which_a_part_is_not_read_is_computed_in_int8(seed, tmp_path):
    keras.utils.set_random_seed(seed)  # weights whose SPLIT the quantizer leaves in float32
    model = classifier(layers.LSTM(8, name="memory"), shape=(4, 4))
    path, found, difference = converted(model, tmp_path, "tflite-int8")
    assert (found, difference < 0.05) == ([], True)
    assert "SPLIT" not in {operator.kind for operator in audit.read(path).operators}


def test_a_loop_is_named_before_calibration_crashes(recurrent, tmp_path, monkeypatch):
    monkeypatch.setattr(quantizable, "unrolled", lambda model: contextlib.nullcontext(False))
    with (
        pytest.raises(InputError, match=r"layer 'memory' \(LSTM\).*crashes on loops"),
        unsupported.refusing(recurrent, "tflite", lambda model, folder: None),
    ):
        converted(recurrent, tmp_path, "tflite-int8")


def test_what_layers_draw_at_inference_is_not_in_the_graph(tmp_path):
    model = classifier(layers.RandomGrayscale(), layers.RandomHue(0.2), shape=(4, 4, 3))
    _, found, difference = converted(model, tmp_path, "tflite-float32")
    assert found == []
    assert difference < 1e-5  # another order of sums


@pytest.mark.parametrize("variant", ["tflite-int8", "tflite-int16x8"])
def test_operators_without_an_integer_kernel_are_replaced(variant, tmp_path):
    model = classifier(
        layers.Conv2D(8, 1),
        layers.LayerNormalization(),  # NEG, SQUARED_DIFFERENCE
        layers.Activation("hard_swish"),
        layers.PReLU(alpha_initializer="random_uniform"),
        layers.Activation("elu"),
    )
    _, found, difference = converted(model, tmp_path, variant)
    assert found == []
    assert difference < (0.2 if variant == "tflite-int8" else 0.01)


@pytest.mark.parametrize(("variant", "most"), [("tflite-float32", 1e-5), ("tflite-int8", 0.2)])
def test_a_vector_of_zeros_is_normalized_to_zeros(variant, most, tmp_path):
    # A quarter are zeros; 8 bits are few for those that are short.
    model = classifier(layers.ReLU(), layers.UnitNormalization())
    _, found, difference = converted(model, tmp_path, variant)
    assert found == []
    assert difference < most


def test_unit_normalization_is_replaced_in_int16(tmp_path):
    model = classifier(layers.Flatten(), layers.UnitNormalization())
    _, found, difference = converted(model, tmp_path, "tflite-int16x8")
    assert found == []
    assert difference < 0.01


def test_an_operator_that_can_not_be_quantized_is_named_with_its_layer(tmp_path):
    model = classifier(layers.Dense(2, activation="softsign", name="soft"))
    with (
        pytest.raises(InputError, match=r"layer 'soft' \(Dense\).*operator \w+ of .*to int16"),
        unsupported.refusing(model, "tflite", lambda model, folder: None),
    ):
        converted(model, tmp_path, "tflite-int16x8")


def test_a_failure_inside_a_layer_is_told_by_its_cause():
    with (
        pytest.raises(InputError, match=r"can't be exported to tflite: None is no value\. "),
        unsupported.refusing(classifier(), "tflite", lambda model, folder: None),
    ):
        raise ValueError(
            "in user code:\n\n    File x\n\n    ValueError: Exception encountered when calling "
            "Odd.call().\n    \n    \x1b[1mNone is no value.\x1b[0m\n    Arguments received"
        )


def test_a_graph_without_such_operators_keeps_its_bytes(tmp_path):
    path, _, _ = converted(classifier(layers.ReLU()), tmp_path, "tflite-float32")
    content = path.read_bytes()
    assert quantizable.rewrite(content, "int8") is content


def test_an_edited_graph_lists_only_tensors_and_operators_that_it_uses(tmp_path):
    path, _, _ = converted(classifier(layers.LayerNormalization()), tmp_path, "tflite-float32")
    rewritten = quantizable.rewrite(path.read_bytes(), "int8")
    operators = schema.Model.GetRootAs(rewritten).OperatorCodesLength()
    graph = Graph(rewritten)
    used = {i for node in graph.nodes for i in (*node.inputs, *node.outputs)}
    assert used - {-1} == set(range(len(graph.tensors)))  # -1: no bias
    assert operators == len({graph.kind(node) for node in graph.nodes})


@pytest.mark.parametrize(
    ("message", "layer"),
    [
        ("loc(model_4/first_1/Conv2D@call)", "first"),
        ("Failed for tensor model_1/second/Cast", "second"),
        ("Quantization not yet supported", None),
        ("model_1/memory_1_2/lstm_cell_3/MatMul", "memory_1"),
        ("model_1/memory_1/lstm_cell/MatMul", "memory"),
    ],
)
def test_a_layer_is_found_by_the_path_in_a_message(message, layer):
    rows = layers.TimeDistributed(layers.Flatten())
    # Their cells are nothing that users name.
    memories = (
        layers.LSTM(2, return_sequences=True, name="memory"),
        layers.LSTM(2, name="memory_1"),
    )
    hidden = (layers.Conv2D(2, 1, name="first"), layers.ReLU(name="second"), rows, *memories)
    model = classifier(*hidden)
    found = unsupported.named_layer(model, message)
    assert (found.name if found else None) == layer


def test_of_many_layers_the_one_that_fails_is_found_in_few_conversions(tmp_path):
    model = classifier(*(layers.Conv2D(2 + i, 1, name=f"layer_{i}") for i in range(30)))
    culprit, tried = model.get_layer("layer_17"), []

    def export(part, folder):
        tried.append(len(part.layers))
        if culprit in part.layers:
            raise ValueError("no such operator")

    assert unsupported._unsupported_layer(model, export) is culprit
    assert len(tried) <= 6


def test_layers_of_equal_settings_are_tried_once():
    model = classifier(*(layers.Conv2D(2, 1) for _ in range(20)))
    tried = []
    assert unsupported._unsupported_layer(model, lambda part, folder: tried.append(part)) is None
    assert len(tried) <= 3


def test_layers_are_exported_side_by_side_to_find_one_that_has_no_operator(tmp_path):
    class OwnPooling(layers.MaxPooling3D):
        """No layer of Keras, so left as it is."""

    shape = (4, 4, 4, 2)
    model = classifier(layers.Conv3D(2, 1), OwnPooling(name="pool"), shape=shape)

    def export(part, folder):
        prepared = convert.prepare(part, 1, folder)
        convert.convert(prepared, VARIANTS["tflite-float32"], np.zeros((1, *shape), np.float32))

    with cli.native_logs_held():
        assert unsupported._unsupported_layer(model, export).name == "pool"
