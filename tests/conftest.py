"""A small bundle, trained, exported and measured once for all tests."""

import contextlib
import dataclasses
import fcntl
import functools
import gc
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measurement import Report
from benchmarks.run import benchmark
from export.formats import FORMATS
from export.pipeline import export, export_model
from export.settings import ExportSettings
from mnist_edge import backend, bundle, data, runtimes, schema
from mnist_edge.models import saving
from mnist_edge.safety import isolated
from mnist_edge.train import train
from mnist_edge.training.settings import TrainSettings
from tests import tiny
from tests.safety import culprits

TESTS = Path(__file__).parent
QUICK = {"rounds": 2, "calls": 10, "warmup": 2}
# Hundreds of subprocesses import this package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# Files that take longest, or end first what others wait for: they start first, so that the
# suite's two processes end together and only one of them needs the small bundle at once.
FIRST = (
    *("export/test_coverage.py", "safety/test_bundle_from_elsewhere.py", "export/test_pipeline.py"),
    *("test_api.py", "benchmarks/test_run.py", "test_predict.py", "training/test_loop.py"),
    *("training/test_train.py", "export/web/test_browser.py", "benchmarks/layers/test_compare.py"),
    *("test_foreign_bundle.py", "export/test_tasks.py", "export/test_quantizable.py"),
)


def pytest_collection_modifyitems(items):
    """Orders files by how long they take; `--no-loadscope-reorder` keeps the order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).as_posix(), len(FIRST)))


def pytest_collection_finish():
    """What was imported stays: TensorFlow's converter, which collects garbage, skips it."""
    _keep_what_is_there()


def _keep_what_is_there():
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def converted_here():
    """Exports convert in this process, where Keras is up: a subprocess takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.worker.Process", culprits.Here)
        yield


@pytest.fixture
def converted_apart(monkeypatch):
    """Exports convert in an isolated subprocess, as they do outside of the tests."""
    monkeypatch.setattr("export.worker.Process", isolated.Process)


@pytest.fixture
def converted_once(shared, monkeypatch):
    """Exports convert a model once for all tests that ask for this: it takes seconds each time."""

    @functools.cache
    def prepared_once(prepare):
        def prepared(model, batch, folder, opset=0):
            made_from = [prepare.__module__, batch, opset, model.to_json()]
            told = json.dumps([*made_from, saving.weights_sha256(model)]).encode()
            home = shared / "converted" / hashlib.sha256(told).hexdigest()[:16]
            home.mkdir(parents=True, exist_ok=True)
            with _alone(home):
                if not (home / "name").exists():
                    shutil.rmtree(home / "work", ignore_errors=True)
                    (home / "work").mkdir()
                    made = prepare(model, batch, home / "work", opset)
                    (home / "name").write_text(made.name)
            path = folder / (home / "name").read_text()
            shutil.copytree(home / "work", folder, dirs_exist_ok=True)
            homes[path] = home
            return path

        return prepared

    def converted_with(convert):
        def converted(path, variant, images):
            if path not in homes:
                return convert(path, variant, images)
            kept = homes[path] / f"{variant.name} {bundle.sha256_array(images)}"
            with _alone(homes[path]):
                if not kept.exists():
                    kept.write_bytes(convert(path, variant, images))
            return kept.read_bytes()

        return converted

    homes = {}
    for name, one in list(FORMATS.items()):
        functions = {"prepare": prepared_once(one.prepare), "convert": converted_with(one.convert)}
        monkeypatch.setitem(FORMATS, name, dataclasses.replace(one, **functions))


@pytest.fixture(scope="session", autouse=True)
def measured_in_one_process():
    """All exports share a process that runs files in TFLite Micro: to start one takes a while."""
    kept = []

    def process(*given):
        if not (kept and kept[-1].is_alive()):
            kept.append(isolated.Process(*given))
        return contextlib.nullcontext(kept[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.tflm.Process", process)
        yield
    for one in kept:
        one.close()


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """What commands record among the user's own files goes to a folder of the tests'."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@dataclasses.dataclass(frozen=True)
class Small:
    """The small bundle and what each stage returned."""

    data: str
    folder: object
    trained: dict
    manifest: dict
    report: Report

    def copy(self, folder):
        """A copy that a test may damage."""
        shutil.copytree(self.folder, folder)
        return folder


@contextlib.contextmanager
def _alone(folder):
    """One of the suite's processes at a time: what is made in `folder` is made once."""
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that all of the suite's processes have in common."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


def _part(path, train_count, test_count):
    """An .npz of the first images of MNIST; returns its path as text."""
    with _alone(path.parent):
        if not path.exists():
            mnist = data.load()
            np.savez_compressed(
                path,
                x_train=mnist.x_train[:train_count],
                y_train=mnist.y_train[:train_count],
                x_test=mnist.x_test[:test_count],
                y_test=mnist.y_test[:test_count],
            )
    return str(path)


@pytest.fixture(scope="session")
def small_data(shared):
    """6,000 training and 500 test images: enough to learn digits from in two epochs."""
    return _part(shared / "small.npz", 6000, 500)


@pytest.fixture(scope="session")
def few_data(shared):
    """600 training and 100 test images: enough to run on."""
    return _part(shared / "few.npz", 600, 100)


@pytest.fixture(scope="session")
def small(small_data, shared):
    backend.start_keras()
    folder, report = shared / "small", shared / "report.json"
    with _alone(shared):
        if not report.exists():
            train(
                TrainSettings(
                    data=small_data, output=folder, epochs=2, batch_size=32, quiet=True, plots=False
                )
            )
            export(ExportSettings(source=folder, calibration_count=50))
            schema.write(report, benchmark(folder, **QUICK))
    trained, manifest = (
        json.loads((folder / name).read_text()) for name in (bundle.TRAIN, bundle.MANIFEST)
    )
    _keep_what_is_there()
    return Small(small_data, folder, trained, manifest, schema.read(Report, report, ""))


def _exported(folder, network, arrays, variants, epochs):
    """A bundle of a model that this project did not train, with its data beside it, made once."""
    with _alone(folder.parent):
        if not (folder / bundle.MANIFEST).exists():
            keras = backend.start_keras()
            source = folder.parent / f"{folder.name}.npz"
            np.savez(source, **arrays)
            dataset = data.load(str(source))
            keras.utils.set_random_seed(0)
            model = network(keras)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(0.01), loss)
            model.fit(dataset.x_train, dataset.y_train, epochs=epochs, verbose=0)
            export_model(model, dataset, folder, variants=variants)
    return folder


@pytest.fixture(scope="session")
def foreign(shared):
    """A foreign bundle of color pictures: logits, classes with long names, no `train.json`."""
    names = np.array(["a perfectly round zero", "one", "two, or a swan", "three"])
    mnist, arrays = data.load(), {}
    for split, count in (("train", 2500), ("test", 250)):
        x, y = (getattr(mnist, f"{part}_{split}")[:count] for part in "xy")
        chosen = y < len(names)
        tint = np.random.default_rng(0).uniform(0.5, 1, (chosen.sum(), 1, 1, 3))
        arrays[f"x_{split}"] = (x[chosen, 2:26, 2:26, None] * tint).astype(np.uint8)
        arrays[f"y_{split}"] = names[y[chosen]]

    def network(keras):
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 5, strides=2)]
        layers += [keras.layers.ReLU(), keras.layers.Flatten(), keras.layers.Dense(4)]
        return keras.Sequential([keras.Input((24, 24, 3)), *layers], name="swans")

    return _exported(shared / "foreign", network, arrays, ("tflite-float32", "onnx-float32"), 2)


@pytest.fixture(scope="session")
def foreign_rows(shared):
    """A foreign bundle of rows of numbers: four features, three classes with names."""
    rng = np.random.default_rng(0)
    names = np.array(["setosa", "versicolor", "virginica"])
    centers = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    arrays = {}
    for split, count in (("train", 600), ("test", 120)):
        y = rng.integers(0, 3, count)
        arrays[f"x_{split}"] = (centers[y] + rng.normal(0, 0.2, (count, 4))).astype(np.float32)
        arrays[f"y_{split}"] = names[y]

    def network(keras):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="flowers")

    return _exported(shared / "foreign-rows", network, arrays, ("tflite-float32",), 20)


@pytest.fixture
def patch_format(monkeypatch):
    """Replaces functions of a format: `patch_format("onnx", convert=...)`."""

    def patch(name, **functions):
        monkeypatch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], **functions))

    return patch


def remove_keras(monkeypatch):
    """Lets the benchmarks run as on a device without Keras."""
    is_installed = runtimes.is_installed
    monkeypatch.setattr(
        runtimes,
        "is_installed",
        lambda path, *kernels: path.suffix != ".keras" and is_installed(path, *kernels),
    )


@pytest.fixture
def without_keras(monkeypatch):
    """The benchmarks as on a device without Keras: quicker by Keras's start."""
    remove_keras(monkeypatch)


@pytest.fixture
def bundle_of_three(small, tmp_path):
    """A copy of the small bundle that a test may damage, with three artifacts listed."""
    return copy_of_three(small, tmp_path / "bundle")


def copy_of_three(small, folder):
    """Copies the small bundle, with three artifacts listed; returns the folder."""
    return copy_of(small, folder, ("tflite-float32", "tflite-int8", "onnx-float32"))


def copy_of(small, folder, kept):
    """Copies the small bundle, with the variants that are `kept`; returns the folder."""
    small.copy(folder)
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["variant"] in kept]
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    return folder


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The members of a small classifier's file, by name."""
    keras = backend.start_keras()
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    image = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(image))
    keras.Model(image, keras.layers.Dense(10, activation="softmax")(x)).save(path)
    return culprits.members(path)


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that must not appear; the module `evil` makes it when it is imported."""
    path = tmp_path / "marker"
    (tmp_path / "evil.py").write_text(f"open({str(path)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    yield path
    assert not path.exists()


@pytest.fixture(scope="session")
def kept_tiny(tmp_path_factory):
    """The bundle of `tests.tiny`, made once."""
    return tiny.make(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def tiny_bundle(kept_tiny, tmp_path):
    """A copy of the tiny bundle that a test may damage."""
    return shutil.copytree(kept_tiny, tmp_path / "bundle")
