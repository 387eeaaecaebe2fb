"""Models of every kind of task: what their outputs mean is read from model and data, and kept."""

import keras
import numpy as np
import pytest

from benchmarks import selftest
from benchmarks.run import benchmark
from export import source as sources
from export.pipeline import export_model
from mnist_edge import bundle, data, heads, manifest, runtimes
from mnist_edge.errors import InputError

layers = keras.layers
COUNT, SHAPE = 400, (4, 4, 1)
RNG = np.random.default_rng(0)
X = RNG.random((COUNT, *SHAPE)).astype(np.float32)
EXTRA = RNG.normal(0, 30, (COUNT, 3)).astype(np.float32)
FLAT = X.reshape(COUNT, -1) - 0.5
CLASS = FLAT[:, :4].argmax(1)
TAGS = (FLAT[:, :3] > 0).astype(np.uint8)
VALUES = FLAT[:, :2] * 100
# Weights that compute these from the pixels.
WEIGHTS = np.eye(16, dtype=np.float32)


def head(units, activation=None, gain=20.0, name="head"):
    """A layer that returns `gain` times the first pixels, around 0."""
    layer = layers.Dense(units, activation=activation, name=name)
    layer.build((None, 16))
    kernel = gain * WEIGHTS[:, :units]
    layer.set_weights([kernel, np.full(units, -gain / 2, np.float32)])
    return layer


def model(*heads_of, shape=SHAPE):
    image = keras.Input(shape, name="pixels")
    flat = layers.Flatten()(image)
    return keras.Model(image, [each(flat) for each in heads_of])


def dataset(y, x=X, **options):
    def part(given, rows):
        if isinstance(given, dict):
            return {name: one[rows] for name, one in given.items()}
        return given[rows]

    train, test = slice(0, 300), slice(300, None)
    arrays = (part(x, train), part(y, train), part(x, test), part(y, test))
    return data.Dataset(*arrays, **options)


BINARY = TAGS[:, 0]


@pytest.mark.parametrize(
    ("last", "y", "kind", "added", "labels"),
    [
        (head(4, "softmax"), CLASS, "classes", "", ("0", "1", "2", "3")),
        (head(4), CLASS, "classes", "softmax", ("0", "1", "2", "3")),
        (head(1, "sigmoid"), BINARY, "binary", "", ("0", "1")),
        (head(1), BINARY.astype(np.float32)[:, None], "binary", "sigmoid", ("0", "1")),
        (head(1, "sigmoid"), np.array(["no", "yes"])[BINARY], "binary", "", ("no", "yes")),
        (head(3, "sigmoid"), TAGS, "labels", "", ("0", "1", "2")),
        (head(3), TAGS, "labels", "sigmoid", ("0", "1", "2")),
        (head(1, gain=100.0), VALUES[:, 0], "values", "", ("0",)),
        (head(2, gain=100.0), VALUES, "values", "", ("0", "1")),
        (head(1, "relu", gain=100.0), np.maximum(VALUES[:, 0], 0).round(), "values", "", None),
    ],
)
def test_the_kind_of_an_output_is_read_from_the_model_and_the_data(
    last, y, kind, added, labels, tmp_path
):
    source = sources.save_model(model(last), dataset(y), tmp_path)
    (found,) = source.heads
    assert (found.kind, found.added) == (kind, added)
    assert labels is None or found.labels == labels
    entry = source.model_entry()
    assert entry.heads == (() if kind == "classes" else source.heads)
    assert not heads.fault(source.heads, source.predict(X))
    assert heads.NAMES[kind] == found.name


@pytest.mark.parametrize(
    ("last", "y", "message"),
    [
        (head(1, "softmax"), BINARY, "softmax over one unit, which is always 1"),
        (head(2, "sigmoid"), TAGS, r"outputs as the data need, 3, one per label .* Got: 2"),
        (head(3, "softmax"), TAGS, r"Got: 3, softmax, from layer 'head'"),
        (head(1, "sigmoid"), CLASS, r"1 for two classes.* Got: 1, sigmoid, .* and 4 classes"),
        (head(3, gain=100.0), VALUES, r"must give 2 numbers, as the data do. Got: 3 outputs"),
        (head(4, "sigmoid"), CLASS, r"one class, by softmax or logits, .* rows of 0 and 1"),
        (head(1, gain=-100.0), VALUES[:, 0], r"better than chance. Got: explains -\d+"),
        (head(3, "sigmoid", gain=-20.0), TAGS, r"better than chance. Got: 0\.\d% of \d+ labels"),
    ],
)
def test_what_does_not_fit_the_data_is_one_line(last, y, message, tmp_path):
    with pytest.raises(InputError, match=message):
        sources.save_model(model(last), dataset(y), tmp_path)


def test_images_of_any_size_get_the_size_of_the_data(tmp_path):
    image = keras.Input((None, None, 1))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 2)(image))
    free = keras.Model(image, layers.Dense(1, "sigmoid", name="end")(features))
    free.compile("sgd", "binary_crossentropy")
    x = X + (BINARY * 2)[:, None, None, None]
    free.layers[1].set_weights([np.ones((2, 2, 1, 4)) / 4, np.zeros(4)])
    free.layers[-1].set_weights([np.ones((4, 1)), np.array([-6.0])])
    source = sources.save_model(free, dataset(BINARY, x), tmp_path)
    assert source.shape == SHAPE
    assert source.predict(x[:3]).shape == (3, 1)
    flat = dataset(BINARY, x.reshape(COUNT, -1))
    assert sources.save_model(free, flat, tmp_path, SHAPE).shape == SHAPE
    with pytest.raises(InputError, match=r"--input-shape must fit .* Got: \[4, 4, 3\]"):
        sources.save_model(free, flat, tmp_path, (4, 4, 3))


def several():
    """A model with two inputs and four outputs, of every kind; its names are not sorted."""
    image, extra = keras.Input(SHAPE, name="pixels"), keras.Input((3,), name="extra")
    flat = layers.Flatten()(image)
    sums = layers.Dense(1, name="total")
    sums.build((None, 3))
    sums.set_weights([np.ones((3, 1)), np.ones(1)])
    ends = [head(4, None, 20.0, "which"), head(1, "sigmoid", 20.0, "dark"),
            head(3, "sigmoid", 20.0, "tags")]  # fmt: skip
    return keras.Model([image, extra], [sums(extra), *(each(flat) for each in ends)])


ANSWERS = {"which": CLASS, "dark": BINARY, "tags": TAGS, "total": EXTRA.sum(1) + 1}
INPUTS = {"pixels": X, "extra": EXTRA}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several") / "bundle"
    chosen = ("tflite-float32", "tflite-int8", "onnx-float32")
    lines: list[str] = []
    export_model(several(), dataset(ANSWERS, INPUTS), folder, lines.append, variants=chosen)
    return folder, lines


def test_several_inputs_and_outputs_are_exported_by_name(exported):
    folder, lines = exported
    found = manifest.read(folder, "")
    assert [(one.name, one.kind, one.added) for one in found.heads] == [
        ("dark", "binary", ""),
        ("tags", "labels", ""),
        ("total", "values", ""),
        ("which", "classes", "softmax"),
    ]
    for entry in found.artifacts:
        assert [tensor.name for tensor in entry.inputs] == ["extra", "pixels"]
        assert [tensor.name for tensor in entry.outputs] == ["dark", "tags", "total", "which"]
    assert "input extra [3], pixels [4, 4, 1]" in lines[0]
    assert "explains 100.0% of the variance" in lines[1]


def test_every_runtime_gives_the_outputs_in_the_same_columns(exported):
    folder, _ = exported
    rows = dataset(ANSWERS, INPUTS).x_test[:50]
    computed = {
        path.name: runtimes.open_artifact(path).predict(rows)
        for path in sorted(folder.iterdir())
        if runtimes.is_artifact(path)
    }
    reference = heads.finish(manifest.read(folder, "").heads, computed.pop(bundle.MODEL))
    assert reference.shape == (50, 1 + 3 + 1 + 4)
    np.testing.assert_allclose(reference[:, 4], EXTRA[300:350].sum(1) + 1, rtol=1e-5)
    for name, found in computed.items():
        tolerance = 1e-4 if "float32" in name else 2.0
        np.testing.assert_allclose(found, reference, atol=tolerance, err_msg=name)


def test_the_benchmark_and_the_selftest_judge_every_output(exported, without_keras):
    folder, _ = exported
    report = benchmark(folder, rounds=1, calls=3, warmup=1)
    assert report.passed, report.breaches
    for row in report.measurements[1:]:
        assert [remark.split(":")[0] for remark in row.remarks if "agreement" in remark] == [
            "dark",
            "tags",
            "total",
            "which",
        ]
    assert selftest.main([str(folder)]) == 0


def test_a_swapped_output_is_a_breach(exported, tmp_path):
    folder, _ = exported
    found = manifest.read(folder, "").heads
    data_of = dataset(ANSWERS, INPUTS)
    computed = runtimes.open_artifact(folder / "onnx-float32.onnx").predict(data_of.x_test)
    from mnist_edge import gate

    swapped = computed.copy()
    swapped[:, [1, 2]] = computed[:, [2, 1]]
    verdict = gate.check(swapped, computed, data_of.y_test, True, gate.Thresholds(), found)
    assert {line.split(" agrees")[0] for line in verdict.breaches if "agrees" in line} == {
        "tags: label '0':",
        "tags: label '1':",
    }


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, ANSWERS, r"takes extra \[3\], pixels \[4, 4, 1\]. Got: one array, \[4, 4, 1\]"),
        ({"pixels": X}, ANSWERS, r"Got: pixels \[4, 4, 1\] in .* x_train_extra, x_train_pixels"),
        (INPUTS, CLASS, r"has 4 outputs and needs y_train_dark, .* Got: y_train in"),
        (INPUTS, {"which": CLASS}, r"Got: y_train_which in"),
    ],
)
def test_data_without_the_inputs_or_outputs_of_the_model_are_refused(x, y, message, tmp_path):
    with pytest.raises(InputError, match=message):
        sources.save_model(several(), dataset(y, x), tmp_path)


def test_data_of_several_inputs_and_outputs_are_read_back_as_they_were(tmp_path):
    given = dataset(ANSWERS, INPUTS)
    given.save(tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz") as held:
        assert sorted(held) == sorted(
            f"{array}_{split}_{name}"
            for array, names in (("x", INPUTS), ("y", ANSWERS))
            for split in ("train", "test")
            for name in names
        )
    loaded = data.load(tmp_path / "data.npz")
    assert (loaded.inputs, loaded.targets) == (given.inputs, given.targets)
    assert loaded.sha256() == given.sha256()
