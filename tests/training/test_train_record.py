"""Mutants of `train.json`: for every reader a record that it takes, or one line and status 2."""

import collections
import json
import types

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import card
from export import __main__ as export
from export import pipeline
from export import source as sources
from mnist_edge import backend, bundle, evaluate, images, models, predict
from mnist_edge import train as training
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.training import loop, train_record
from tests.mutants.records import mutants
from tests.safety import misbehaving

COUNT = 60  # training images of the data that the record names


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle of the packaged `edge`, as if trained on few images; without a manifest."""
    folder = tmp_path_factory.mktemp("record") / "bundle"
    source = misbehaving.few(folder.parent / "few.npz", COUNT)
    packaged = types.SimpleNamespace(save=lambda path: path.write_bytes(MODEL.read_bytes()))
    return misbehaving.bundle_of(folder, packaged, source)


MODEL = models.PRETRAINED / "edge" / bundle.MODEL
TENSOR = collections.namedtuple("Tensor", "name shape dtype")


def stop(*_, **__):
    raise InputError("so far")


@pytest.fixture
def readers(folder, tmp_path, monkeypatch):
    """The commands that read a bundle's record, by name; nothing in them runs a model."""
    tensors = [TENSOR("image", (None, 28, 28, 1), "float32")], [TENSOR("p", (None, 10), "float32")]
    model = types.SimpleNamespace(inputs=tensors[0], outputs=tensors[1], layers=[], name="edge")
    digit = images.Digit("one.png", np.zeros((28, 28), np.uint8), np.zeros((28, 28), np.uint8))
    monkeypatch.setattr(backend, "start_keras", lambda: None)
    monkeypatch.setattr(backend, "require", lambda *_: None)
    monkeypatch.setattr(trained, "load_model", lambda *_: model)
    for name in ("answers", "probabilities"):
        equal = lambda _, inputs, __: np.full((len(inputs), 10), 0.1, np.float32)  # noqa: E731
        monkeypatch.setattr(trained, name, equal)
    monkeypatch.setattr(evaluate, "_measure", stop)
    monkeypatch.setattr(pipeline, "_stale", stop)
    monkeypatch.setattr(images, "load", lambda *_: [digit])
    monkeypatch.setattr(card, "measure", lambda *_: {})
    monkeypatch.setattr(benchmarks.bundles, "_load_test_set", stop)
    record = json.loads((folder / bundle.TRAIN).read_text())
    manifest = {"model": {"sha256": record["model_sha256"]}}
    monkeypatch.setattr(benchmarks.bundles.manifests, "read", lambda *_: manifest)
    output = ["--output", str(tmp_path / "output")]
    return {
        "evaluate": lambda: evaluate.main([str(folder), *output]),
        "export": lambda: export.main([str(folder), *output]),
        "predict": lambda: predict.main(["one.png", "--model", str(folder)]),
        "card": lambda: card.main([str(folder)]),
        "benchmarks": lambda: benchmarks.main([str(folder), *output, "--no-progress"]),
    }


def take(folder, record, call, capsys):
    """What came of a mutant: "taken", or else "refused", in one line, or it raises."""
    # ASCII, as Python writes it; a lone surrogate is one in any case.
    (folder / bundle.TRAIN).write_text(json.dumps(record), encoding="utf-8")
    status = call()
    said = capsys.readouterr().err
    if status != 2 or said == "error: so far\n":
        return "taken"
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert len(said) < 800
    return "refused"


def run(folder, readers, count, capsys):
    record = json.loads((folder / bundle.TRAIN).read_text())
    counts = collections.Counter()
    try:
        for call in readers.values():
            assert take(folder, record, call, capsys) == "taken"
        for name, mutant in mutants(record, count):
            for reader, call in readers.items():
                try:
                    counts[reader, take(folder, mutant, call, capsys)] += 1
                except Exception as error:
                    error.add_note(f"{reader}: {name}")
                    raise
    finally:
        bundle.write_json(folder / bundle.TRAIN, record)
    return counts


def test_mutants_of_a_record_are_read_or_refused_in_one_line(folder, readers, capsys):
    counts = run(folder, readers, 150, capsys)
    assert all(counts[reader, outcome] for reader in readers for outcome in ("taken", "refused"))


@pytest.mark.long
def test_every_mutant_of_a_record_is_read_or_refused_in_one_line(folder, readers, capsys):
    counts = run(folder, readers, None, capsys)
    with capsys.disabled():
        print(dict(counts))
    assert min(counts[r, "taken"] + counts[r, "refused"] for r in readers) >= 425


# --from.


@pytest.fixture
def repeated(folder, tmp_path, monkeypatch):
    """`train --from`, without a step of training."""

    def fit_epoch(learner, recipe, seed, data, run, options):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            run.history.setdefault(name, []).append(0.5)

    monkeypatch.setattr(loop, "fit_epoch", fit_epoch)
    path = str(folder / bundle.TRAIN)
    argv = ["--from", path, "--output", str(tmp_path / "output"), "--quiet", "--no-plots"]
    return lambda: training.main(argv)


def without_model(settings, repetition):
    """As `train._train`, up to the data and the teacher."""
    dataset = training._load(settings)
    training._splits(settings, repetition.recipe, dataset)
    _, teacher = training._teacher(settings, repetition.recipe, dataset, None)
    training.reproduce.check(repetition, dataset, teacher)
    return repetition.record | {"weights_sha256": "0" * 64}


def test_mutants_of_a_record_are_repeated_or_refused_in_one_line(
    folder, repeated, monkeypatch, capsys
):
    monkeypatch.setattr(backend, "start_keras", lambda: None)
    monkeypatch.setattr(training, "_train", without_model)
    counts = run(folder, {"--from": repeated}, 250, capsys)
    assert all(counts["--from", outcome] for outcome in ("taken", "refused"))


@pytest.mark.long
def test_334_mutants_of_a_record_are_repeated_or_refused_in_one_line(folder, repeated, capsys):
    counts = run(folder, {"--from": repeated}, 334, capsys)
    with capsys.disabled():
        print(dict(counts))
    assert counts.total() >= 320  # without those that are what the record has


# By hand.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "swft"}, "model must be among conv-conv, "),
        ({"model": "../edge"}, "model must be a name"),
        ({"seed": -1}, "seed must be an integer of 0 or more, at most 4,294,967,295. Got: -1"),
        ({"recipe": {"epochs": 1}}, "recipe.batch_size is missing"),
        ({"recipe": {"epochs": 1, "batch_size": []}}, "recipe.batch_size must hold a number"),
        ({"recipe": {"epochs": 0, "batch_size": [1]}}, "recipe.epochs must be an integer of 1"),
        ({"recipe": {"batch": 1}}, "recipe must be of fields that this version knows. Got: batch"),
        ({"recipe": {"epochs": 1, "batch_size": [1], "branch_losses": True}}, "averages no branch"),
        ({"data": {"split_seed": 1.5}}, "data.split_seed must be an integer"),
        ({"data": {"labels": ["x"]}}, "data.labels must name 10 classes. Got: 1"),
        ({"data": {"labels": [1] * 10}}, "data.labels[0] must be printable text. Got: 1"),
        ({"data": {"sha256": {}}}, "data.sha256.x_train is missing"),
    ],
)
def test_what_cannot_be_repeated_is_said(folder, repeated, tmp_path, capsys, change, words):
    before = (folder / bundle.TRAIN).read_text()
    record = json.loads(before)
    if "data" in change:
        change = {"data": record["data"] | change["data"]}
    bundle.write_json(folder / bundle.TRAIN, record | change)
    try:
        assert repeated() == 2
    finally:
        (folder / bundle.TRAIN).write_text(before)
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["nano", "edge", "accurate"])
def test_packaged_records_are_read(name):
    path = models.PRETRAINED / name / bundle.TRAIN
    keys = ("model", "data", "recipe", "weights_sha256", *card._KEYS)
    record = train_record.read(path, keys, "")
    assert models.Recipe.from_record(record["recipe"], path).epochs == record["recipe"]["epochs"]


def test_a_record_of_the_first_version_is_read_where_it_holds_what_is_needed(folder, tmp_path):
    """It had no labels, no teacher, and a batch size that was a number."""
    record = json.loads((folder / bundle.TRAIN).read_text())
    del record["data"]["labels"], record["teacher"], record["weights_sha256"]
    record |= {"schema": 1, "recipe": {"epochs": 5, "batch_size": 64}}
    record["machine"] = {"platform": "Linux", "cpu_count": None}
    bundle.write_json(tmp_path / bundle.TRAIN, record)
    read = train_record.read(tmp_path / bundle.TRAIN, ("model", "data", "model_sha256"), "")
    assert trained.Trained(None, read).labels == tuple("0123456789")
    with pytest.raises(InputError, match=r"recipe.batch_size must be a list. Got: 64"):
        models.Recipe.from_record(read["recipe"], "train.json")


def test_sources_are_opened_by_the_record(folder, readers):
    source = sources.open_bundle(folder)
    assert source.labels == tuple("0123456789")
    assert source.split_seed == 0
