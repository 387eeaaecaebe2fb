"""A model or data that would make every artifact wrong are refused, or said in the first lines."""

import keras
import numpy as np
import pytest

from export import description, names, output, reference
from export import source as sources
from export.settings import ExportOptions
from mnist_edge import bundle, data, heads, metrics
from mnist_edge.data.parts import Target
from mnist_edge.errors import InputError

layers = keras.layers
CLASSES, SHAPE = 4, (6, 6, 3)
RNG = np.random.default_rng(0)
PATTERNS = RNG.integers(0, 2, (CLASSES, *SHAPE)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, 300)
# Faint patterns under much noise: a model that knows them is sure, and right nine times of ten.
IMAGES = (0.35 + 0.1 * PATTERNS[LABELS] + 0.2 * RNG.random((300, *SHAPE))).astype(np.float32)
IMAGES = np.clip(IMAGES + RNG.normal(0, 0.15, IMAGES.shape), 0, 1).astype(np.float32)
KERNEL = (PATTERNS - PATTERNS.mean(0)).reshape(CLASSES, -1).T
BIAS = -0.5 * (0.5 * KERNEL.sum(0) * 2 + 0.1 * (PATTERNS.reshape(CLASSES, -1) ** 2).sum(1))
GAIN = 4.0


def predict(images):
    return metrics.softmax(GAIN * (images.reshape(len(images), -1) @ KERNEL + BIAS))


def linear(activation=None, image=None, name="head"):
    """The same model in Keras, with this activation in its last layer."""
    image = keras.Input(SHAPE) if image is None else image
    head = layers.Dense(CLASSES, activation=activation, name=name)
    model = keras.Model(image, head(layers.Flatten()(image)))
    head.set_weights([GAIN * KERNEL, GAIN * BIAS])
    return model


def dataset(change=lambda x: x, relabel=lambda y: y):
    x, y = change(IMAGES), relabel(LABELS)
    return data.Dataset(x[:240], y[:240], x[240:], y[240:])


def opened(model, given, tmp_path):
    return sources.save_model(model, given, tmp_path)


def read_classes(images, labels, answers, predict):
    (head,) = heads.plain(range(answers.shape[1]))
    return reference.read(head, images, labels[:, None], answers, predict)


def ended(*end):
    model = linear()
    x = model.outputs[0]
    for each in end:
        x = each(x)
    return keras.Model(model.inputs, x)


# The output.


@pytest.mark.parametrize(
    ("model", "activation", "softmax_added", "warning"),
    [
        (lambda: linear("softmax"), "softmax", False, ""),
        (lambda: linear(), "linear", True, ""),
        (lambda: ended(layers.Softmax()), "softmax", False, ""),
        (lambda: ended(keras.ops.softmax), "softmax", False, ""),
        (lambda: ended(keras.ops.log_softmax), "logsoftmax", True, ""),
        (lambda: ended(layers.Softmax(), layers.Activation("linear")), "softmax", False, ""),
        (lambda: keras.Sequential([keras.Input(SHAPE), linear("softmax")]), "softmax", False, ""),
        (lambda: ended(layers.Softmax(), layers.Softmax(name="two")), "softmax", False, "exceeds"),
        (lambda: ended(layers.ReLU(name="cut")), "relu", True, "is taken for logits"),
        (
            lambda: ended(lambda x: layers.Average()([keras.ops.softmax(x)] * 2)),
            "none",
            False,
            "",
        ),
    ],
)
def test_the_activation_is_read_from_the_model(model, activation, softmax_added, warning, tmp_path):
    source = opened(model(), dataset(), tmp_path)
    entry = source.model_entry()
    assert (entry.activation, entry.softmax_added) == (activation, softmax_added)
    assert warning in source.outputs[0].warning
    assert bool(warning) == any("warning: layer" in x or "output of" in x for x in shown(source))


def shown(source):
    return description.description(source)


@pytest.mark.parametrize(
    "model",
    [
        lambda: linear("sigmoid"),
        lambda: linear("hard_sigmoid"),
        lambda: ended(layers.Activation("sigmoid", name="head_")),
        lambda: ended(lambda x: layers.Average(name="head_")([keras.ops.sigmoid(x)] * 2)),
    ],
)
def test_independent_outputs_get_no_softmax(model, tmp_path):
    line = r"one class, by softmax or logits, .* Got: 4 \w+ outputs, .* from layer 'head_?'\. If"
    with pytest.raises(InputError, match=line):
        opened(model(), dataset(), tmp_path)


def test_the_remedy_for_independent_outputs_keeps_the_answers(tmp_path):
    model = linear("sigmoid")
    before = model.predict(IMAGES, verbose=0).argmax(1)
    model.get_layer("head").activation = keras.activations.softmax
    model.save(tmp_path / "mended.keras")
    again = keras.models.load_model(tmp_path / "mended.keras")
    source = opened(again, dataset(), tmp_path)
    assert not source.heads[0].added
    np.testing.assert_array_equal(source.predict(IMAGES).argmax(1), before)


def test_a_hidden_sigmoid_is_no_second_softmax():
    image = keras.Input((4,))
    model = keras.Model(
        image, layers.Dense(3, "softmax")(layers.Dense(4, activation="sigmoid")(image))
    )
    target = Target("", "classes", ("a", "b", "c"))
    port = output.Port("", model.outputs[0], target, np.full((1, 3), 1 / 3), np.zeros((1, 1)))
    assert output.read(port, "it").warning == ""


def test_answers_that_depend_on_the_batch_are_refused(tmp_path):
    with pytest.raises(InputError, match="must answer each example alone"):
        opened(ended(layers.Softmax(axis=0)), dataset(), tmp_path)


def test_weights_that_are_not_finite_are_refused_in_memory_too(tmp_path):
    model = linear("softmax")
    model.get_layer("head").bias.assign([0, np.nan, 0, 0])
    with pytest.raises(InputError, match=r"finite weights\. Got: NaN or infinity in head/bias"):
        opened(model, dataset(), tmp_path)


# The data.


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda x: 255 * x, "values scaled to 0 to 1"),
        (lambda x: 2 * x - 1, "values scaled to 0 to 1"),
        (lambda x: 1 - x, "dark and bright exchanged"),
        (lambda x: x[..., ::-1], "channels reversed"),
        (lambda x: x.swapaxes(1, 2), "rows and columns exchanged"),
    ],
)
def test_the_change_that_makes_the_model_right_is_named(change, cause):
    changed = change(IMAGES)
    reading = read_classes(changed, LABELS, predict(changed), predict)
    assert cause in reading.remedy


def test_a_standardized_models_data_are_recognized():
    def predict_standardized(images):
        return predict(images * IMAGES.std() + IMAGES.mean())

    answers = predict_standardized(IMAGES)
    reading = read_classes(IMAGES, LABELS, answers, predict_standardized)
    assert "values standardized" in reading.remedy


@pytest.mark.parametrize(
    ("relabel", "cause"),
    [
        (lambda y: y + 1, "labels lowered by 1"),
        (lambda y: np.array([2, 0, 3, 1])[y], "the data's 2 is its 0, the data's 0 is its 1"),
        (lambda y: np.array([0, 1, 3, 2])[y], "the data's 3 is its 2, the data's 2 is its 3"),
    ],
)
def test_labels_in_another_order_are_recognized(relabel, cause):
    answers = np.pad(predict(IMAGES), ((0, 0), (0, 1)))  # of a fifth class, which never is
    reading = read_classes(IMAGES, relabel(LABELS), answers, lambda x: answers[: len(x)])
    assert cause in reading.remedy


def test_a_model_that_is_right_is_left_alone(tmp_path):
    def fail(images):
        raise AssertionError("nothing to look for")

    sure = np.eye(CLASSES)[LABELS]
    reading = read_classes(IMAGES, LABELS, sure, fail)
    assert (reading.remedy, reading.at_chance) == ("", False)
    assert reading.words == "is right on 100.0% of 300 training images"
    assert read_classes(IMAGES, LABELS, predict(IMAGES), predict).remedy == ""
    assert not [x for x in shown(opened(linear(), dataset(), tmp_path)) if "warning" in x]


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (lambda: linear("softmax"), lambda: dataset(relabel=RNG.permutation)),
        (
            lambda: ended(layers.Dense(CLASSES, "softmax", kernel_initializer="zeros")),
            dataset,
        ),
        (lambda: linear("softmax"), lambda: dataset(lambda x: 1 - x)),
    ],
)
def test_a_reference_at_chance_is_an_error(model, given, tmp_path):
    with pytest.raises(InputError, match=r"must be better than chance\. Got: .* of 240 images"):
        opened(model(), given(), tmp_path)


def test_a_change_that_the_model_cannot_take_is_passed_over():
    def refuse(images):
        raise InputError("no such word")

    unsure = np.full((300, CLASSES), 1 / CLASSES) + 0.01 * np.eye(CLASSES)[LABELS]
    assert read_classes(IMAGES, LABELS, unsure, refuse).remedy == ""


def test_the_most_frequent_class_for_every_image_is_chance():
    labels = (np.arange(200) % 10 == 0).astype(int)
    always = np.tile([[0.9, 0.1]], (200, 1))
    assert read_classes(IMAGES[:200], labels, always, lambda x: always).at_chance
    some = np.where((np.arange(200) % 20 == 0)[:, None], [[0.1, 0.9]], always)
    assert not read_classes(IMAGES[:200], labels, some, lambda x: some[: len(x)]).at_chance


def test_a_test_set_at_chance_is_an_error_too(tmp_path):
    good = dataset()
    wrong = data.Dataset(*[good.x_train, good.y_train] * 2)
    x, y = wrong.x_test, np.random.default_rng(1).permutation(wrong.y_test)
    source = opened(linear(), data.Dataset(good.x_train, good.y_train, x, y), tmp_path)
    with pytest.raises(InputError, match=r"on the test images of .* must be better than chance"):
        source.test_answers()


def test_few_images_are_a_warning(tmp_path):
    few = data.Dataset(IMAGES[:60], (LABELS[:60] + 1) % 4, IMAGES[60:90], LABELS[60:90])
    lines = shown(opened(linear(), few, tmp_path))
    assert any(line.startswith("warning: ") for line in lines)


def test_the_first_lines_say_what_was_found(tmp_path):
    first, second, *others = shown(opened(linear(), dataset(), tmp_path))
    assert "436 parameters, input [6, 6, 3], output 4 classes from layer 'head' (logits," in first
    assert second.startswith("arrays in memory: values from 0 to 1; Keras is right on ")
    assert others == []


def test_a_missing_class_and_another_scale_of_the_test_set_are_said(tmp_path):
    given = dataset()
    known = given.y_train < 3, given.y_test < 3
    less = data.Dataset(
        given.x_train[known[0]],
        given.y_train[known[0]],
        3 * given.x_test[known[1]],
        given.y_test[known[1]],
    )
    lines = shown(opened(linear(), less, tmp_path))
    assert "warning: the data have no example of these classes of the model: 3." in lines
    assert any("x_train and x_test seem to be scaled differently" in line for line in lines)


def test_labels_from_1_are_recognized(tmp_path):
    with pytest.raises(InputError, match=r"labels up to 4 .* Subtract 1: they start at 1"):
        opened(linear(), dataset(relabel=lambda y: y + 1), tmp_path)


def test_channels_first_is_refused_with_the_transposition(tmp_path):
    with pytest.raises(InputError, match=r"Got: \[3, 6, 6\]\. .* x\.transpose\(0, 2, 3, 1\)\."):
        opened(linear(), dataset(lambda x: x.transpose(0, 3, 1, 2)), tmp_path)


@pytest.mark.parametrize(
    ("given", "shape", "remedy"),
    [
        ((28, 28), (28, 28, 1), None),
        ((28, 28, 1), (784,), None),
        ((784,), (28, 28, 1), None),
        ((32, 32, 3), (32, 96), None),
        ((3072,), (32, 32, 3), "Reshape x_train"),
        ((14, 56), (28, 28), "Reshape x_train"),
        ((2, 8), (8, 2), r"x\.transpose\(0, 2, 1\)"),
        ((32, 32, 3), (3, 32, 32), r"x\.transpose\(0, 3, 1, 2\)"),
    ],
)
def test_only_reshapes_that_keep_every_value_in_place_are_made(given, shape, remedy):
    examples = np.arange(2 * np.prod(given)).reshape(2, *given)
    if remedy is None:
        np.testing.assert_array_equal(data.as_inputs(examples, shape).ravel(), examples.ravel())
    else:
        with pytest.raises(InputError, match=remedy):
            data.as_inputs(examples, shape)


# Names.


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("model.tflite", "Got: an exported TFLite file. Save the Keras model"),
        ("model.onnx", "Got: an exported ONNX file. Save"),
        ("model.weights.h5", "Got: weights without their layers. Save"),
        ("old.h5", "load_model('old.h5').save('old.keras')."),
        ("saved", "Got: TensorFlow's SavedModel. Save"),
        ("saved/saved_model.pb", "Got: TensorFlow's SavedModel. Save"),
        ("mine.zip", "Got: the ending '.zip'. Rename it to mine.keras."),
        ("text", "Got: no ending. Save the model to text.keras."),
        ("bundles/edgee", "Got: nothing of this name. Did you mean {}/bundles/edge?"),
        ("mode.keras", "Got: nothing of this name. Did you mean {}/model.keras?"),
        ("model", "Got: nothing of this name. Did you mean {}/model.keras?"),
        (
            "folder",
            "Got: a folder without train.json or manifest.json. Did you mean {}/folder/a.keras?",
        ),
        ("http://host/model.keras", "Got: an address. Download it first."),
    ],
)
def test_a_path_that_is_no_model_gets_one_true_line(path, line, tmp_path):
    for folder in ("saved", "bundles/edge", "folder"):
        (tmp_path / folder).mkdir(parents=True)
    linear().save(tmp_path / "model.keras")
    for file in ("saved/saved_model.pb", "text", "folder/a.keras"):
        (tmp_path / file).touch()
    (tmp_path / "bundles/edge" / bundle.TRAIN).touch()
    (tmp_path / "mine.zip").write_bytes(b"PK\x03\x04")
    given = path if ":/" in path else tmp_path / path
    with pytest.raises(InputError) as raised:
        names.check_model(sources.Path(given))
    assert line.format(tmp_path) in str(raised.value)
    names.check_model(tmp_path / "model.keras")
    names.check_model(tmp_path / "bundles/edge")


def test_a_misspelled_variant_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"Got: tflite-int4\. Did you mean tflite-int8\?$"):
        ExportOptions(variants=("tflite-int4",))
    with pytest.raises(InputError, match=r"Got: caffe\.$"):
        ExportOptions(skip=("caffe",))
