"""A thousand classes: what export takes, the benchmarks and reports take."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import measurement, report, selftest, tables
from export import write
from mnist_edge import bundle, data, evaluate, evaluation_plots, heads, manifest, runtimes, schema
from mnist_edge.data import catalog
from mnist_edge.errors import InputError
from tests import tiny
from tests.benchmarks import made
from tests.safety import hostile

CLASSES = 1000


def arrays(labels, count=40):
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16), (999, "u2")])
def test_labels_are_bytes_where_they_fit(tmp_path, largest, dtype):
    """So that the hash of a data set that was read before stays what it was."""
    labels = np.arange(40)
    labels[7] = largest
    np.savez(tmp_path / "data.npz", **arrays(labels))
    dataset = data.load(tmp_path / "data.npz")
    assert dataset.y_train.dtype == dataset.y_test.dtype == dtype
    assert dataset.sha256()["y_test"] == bundle.sha256_array(labels.astype(dtype))
    assert dataset.classes == largest + 1


def test_65536_names_are_told_apart_at_once(tmp_path):
    names = tuple(f"class {number}" for number in range(2**16))
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert catalog.parse_labels(str(tmp_path / "names.txt")) == names


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    """A bundle of one artifact that knows 1,000 classes; its data's path has a newline."""
    nodes = [
        ("Reshape", ["image", "rows"], ["pixels"], {}),
        ("Gather", ["pixels", "first"], ["ten"], {"axis": 1}),
        ("Softmax", ["ten"], ["shares"], {"axis": 1}),
        ("Div", ["shares", "copies"], ["parts"], {}),
        ("Tile", ["parts", "times"], ["probabilities"], {}),
    ]
    constants = {"rows": np.array([-1, 784]), "first": np.arange(200, 210)}
    constants |= {"copies": np.float32(100), "times": np.array([1, 100])}
    outputs = (("probabilities", 1, ["batch", CLASSES]),)
    content = hostile.onnx_of(nodes, constants, outputs)
    labels = np.arange(40) * 25
    source = tmp_path / "a\nb.npz"
    np.savez(source, **arrays(labels))
    dataset = data.load(source)

    document = json.loads((tiny_bundle / bundle.MANIFEST).read_text())
    document["artifacts"] = []
    document["data"] |= {"source": str(source), "labels": list(data.numbered((), CLASSES))}
    document["data"] |= {"classes": CLASSES, "sha256": dataset.sha256()}
    bundle.write_json(tiny_bundle / bundle.MANIFEST, document)
    tiny.add(tiny_bundle, "onnx-float32", content)
    opened = runtimes.open_artifact(tiny_bundle / "onnx-float32.onnx", 1)
    images = data.as_inputs(dataset.x_test, (28, 28, 1))
    probabilities = opened.predict(images)
    np.savez(tiny_bundle / bundle.REFERENCE, probabilities=probabilities)
    golden = {"images": images, "onnx-float32": probabilities}
    np.savez(tiny_bundle / bundle.GOLDEN, **golden)
    for part in ("reference", "golden"):
        tiny.vouch(tiny_bundle, part)
    return tiny_bundle


def test_a_bundle_of_1000_classes_is_benchmarked_and_tests_itself(folder, without_keras, capsys):
    assert benchmarks.main([str(folder), *tiny.QUICK]) == 0
    read = schema.read(measurement.Report, folder / report.BENCHMARK_JSON, "")
    assert read.bundles[0].classes == CLASSES
    _, row = read.measurements
    assert len(row.parity.recall_per_class) == CLASSES
    assert (folder / report.BENCHMARK_MARKDOWN).stat().st_size < 20_000
    assert selftest.main([str(folder)]) == 0
    capsys.readouterr()


def test_an_artifact_of_more_classes_than_its_model_fails_unread(folder, without_keras, capsys):
    document = json.loads((folder / bundle.MANIFEST).read_text())
    document["data"] |= {"labels": document["data"]["labels"][:980], "classes": 980}
    bundle.write_json(folder / bundle.MANIFEST, document)
    with np.load(folder / bundle.REFERENCE) as held:
        kept = held["probabilities"][:, :980]
    np.savez(folder / bundle.REFERENCE, probabilities=kept / kept.sum(1, keepdims=True))
    tiny.vouch(folder, "reference")
    assert benchmarks.main([str(folder), *tiny.QUICK]) == 1
    assert "at most" in capsys.readouterr().out


# What grows with the classes.


def test_pictures_and_tables_of_1000_classes_stay_small():
    figure = evaluation_plots.confusion(np.eye(CLASSES, dtype=int), list(map(str, range(CLASSES))))
    assert max(figure.get_size_inches()) < 20
    assert not [text for axis in figure.axes[:1] for text in axis.texts]
    row = made.row("x", 0.5, 1, 1.0)
    parity = dataclasses.replace(row.parity, recall_per_class=(0.5,) * CLASSES)
    rows = (dataclasses.replace(row, parity=parity),)
    shown = tables.recall_table(types.SimpleNamespace(measurements=rows, several=False))
    assert shown == "For 1,000 classes, see `recall_per_class` in `benchmark.json`."


def test_more_classes_than_a_matrix_holds_are_one_line():
    found = types.SimpleNamespace(data=types.SimpleNamespace(classes=5000))
    dataset = types.SimpleNamespace(y_test=np.arange(5), source="x")
    with pytest.raises(InputError, match=r"must have at most 4,096 classes. Got: 5,000 in folder"):
        evaluate._labels(
            types.SimpleNamespace(bundle="folder", labels=None),
            found,
            dataset,
        )


@pytest.mark.parametrize(("shape", "classes"), [((28, 28, 1), 65536), ((4096, 4096, 1), 1000)])
def test_golden_images_are_as_many_as_the_self_test_reads(shape, classes):
    """Of all classes they took more than it reads."""
    one = np.zeros((1, 1, 1), np.uint8)
    source = types.SimpleNamespace(
        dataset=types.SimpleNamespace(
            y_test=np.arange(3000), x_test=np.broadcast_to(one, (3000, *shape[:2])), targets=()
        ),
        shape=shape,
        heads=heads.plain(range(classes)),
    )
    images, labels = write.golden_images(source)
    assert 0 < len(images) == len(labels) < 100
    answers = len(images) * classes * 4 * (len(write.KNOWN) + 1)
    assert images.nbytes + answers < manifest.MOST_GOLDEN_BYTES


@pytest.mark.long
def test_a_model_of_1000_classes_goes_the_whole_way(tmp_path):
    from export import __main__ as export
    from mnist_edge import train as training

    source = tmp_path / "a\nb.npz"
    labels = np.arange(2000) % CLASSES
    tested = {f"{what}_test": arrays(labels, 2000)[f"{what}_test"][::-7] for what in "xy"}
    tested["x_test"] = 255 - tested["x_test"]  # of the training images none is calibrated on
    np.savez(source, **arrays(labels, 2000) | tested)
    output = ["--output", str(tmp_path / "bundle")]
    flags = ["--model", "classic", "--epochs", "1", "--quiet", "--labels"]
    (tmp_path / "names.txt").write_text("\n".join(f"name {n}" for n in range(CLASSES)))
    names = [str(tmp_path / "names.txt")]
    assert training.main(["--data", str(source), *output, *flags, *names]) == 0
    floats = ["--variants", "tflite-float32", "onnx-float32"]
    assert export.main([output[1], "--calibration-count", "100", *floats]) == 0
    assert benchmarks.main([output[1], *tiny.QUICK]) == 0
    assert evaluate.main([output[1]]) == 0
    assert selftest.main([output[1]]) == 0
    assert (tmp_path / "bundle" / "plots" / "confusion.png").stat().st_size < 2e6
    shutil.rmtree(tmp_path / "bundle")
