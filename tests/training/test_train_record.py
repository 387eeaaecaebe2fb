"""Mutants of `train.json`: for every reader a record that it takes, or one line and status 2."""

import collections
import dataclasses
import json
import types

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import card, corruptions
from export import __main__ as export
from export import description, write
from export import source as sources
from export.output import Output
from mnist_edge import backend, bundle, data, evaluate, heads, images, models, predict, schema
from mnist_edge import train as training
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.training import loop
from mnist_edge.training.train_record import TrainRecord
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
    model = types.SimpleNamespace(
        inputs=tensors[0],
        outputs=tensors[1],
        output_names=["p"],
        layers=[],
        name="edge",
        count_params=lambda: 11_764,
    )
    digit = images.Digit("one.png", np.zeros((28, 28), np.uint8), np.zeros((28, 28), np.uint8))
    monkeypatch.setattr(backend, "start_keras", lambda: None)
    monkeypatch.setattr(backend, "require", lambda *_: None)
    monkeypatch.setattr(trained, "load_model", lambda *_: model)
    for name in ("predict", "probabilities"):
        equal = lambda _, inputs, *__: np.full((len(inputs), 10), 0.1, np.float32)  # noqa: E731
        monkeypatch.setattr(trained, name, equal)
    monkeypatch.setattr(evaluate, "_measure", stop)
    (head,) = heads.plain("0123456789")
    softmax = Output(head, "p", warning="")
    monkeypatch.setattr(sources.output, "read", lambda *_: softmax)
    monkeypatch.setattr(description, "description", lambda _: ())
    monkeypatch.setattr(write, "stale", stop)
    monkeypatch.setattr(images, "load", lambda *_: [digit])
    monkeypatch.setattr(card, "measure", lambda *_: {corruptions.PLAIN: 0.5})
    monkeypatch.setattr(benchmarks.bundles, "_load_test_set", stop)
    record = json.loads((folder / bundle.TRAIN).read_text())
    hashed = types.SimpleNamespace(sha256=record["model_sha256"])
    manifest = types.SimpleNamespace(model=hashed, page=None)
    monkeypatch.setattr(benchmarks.bundles.manifests, "read", lambda *_: manifest)
    output = ["--output", str(tmp_path / "output")]
    return {
        "evaluate": lambda: evaluate.main([str(folder), *output]),
        "export": lambda: export.main([str(folder), *output]),
        "predict": lambda: predict.main([__file__, "--model", str(folder)]),
        "card": lambda: card.main([str(folder)]),
        "benchmarks": lambda: benchmarks.main([str(folder), *output]),
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
    counts = run(folder, readers, 50, capsys)
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

    def fit_epoch(learner, recipe, seed, train, validation, run, callbacks, verbose):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            run.history.setdefault(name, []).append(0.5)

    monkeypatch.setattr(loop, "fit_epoch", fit_epoch)
    path = str(folder / bundle.TRAIN)
    argv = ["--from", path, "--output", str(tmp_path / "output"), "--quiet", "--no-plots"]
    return lambda: training.main(argv)


def without_model(settings, repetition):
    """As `train.train`, up to the data."""
    dataset = data.load(settings.data, settings.labels)
    training.reproduce.check(repetition, dataset)
    recipe = repetition.record.recipe
    training._splits(dataset, settings.split_seed, recipe)
    record = dataclasses.replace(repetition.record, weights_sha256="0" * 64)
    return TrainedModel(None, record)


def test_mutants_of_a_record_are_repeated_or_refused_in_one_line(
    folder, repeated, monkeypatch, capsys
):
    monkeypatch.setattr(backend, "start_keras", lambda: None)
    monkeypatch.setattr(training, "train", without_model)
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
        ({"model": "swft"}, "model must be one of conv-conv, "),
        ({"model": "../edge"}, "model must be a name"),
        ({"seed": -1}, "seed must be an integer of 0 or more, at most 4,294,967,295. Got: -1"),
        ({"recipe": {"epochs": 1}}, "recipe.batch_size is missing"),
        ({"recipe": {"epochs": 1, "batch_size": [1]}}, "batch_size must be an integer of 1 or"),
        ({"recipe": {"epochs": 0, "batch_size": 1}}, "recipe.epochs must be an integer of 1"),
        (
            {"recipe": {"epochs": 1, "batch_size": 1, "batch": 1}},
            "recipe must be an object with known keys only. Got: batch",
        ),
        ({"recipe": {"epochs": 1, "batch_size": 1, "branch_losses": True}}, "averages no branch"),
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


@pytest.mark.parametrize("name", ["nano", "edge", "robust", "accurate"])
def test_packaged_records_are_read(name):
    record = schema.read(TrainRecord, models.PRETRAINED / name / bundle.TRAIN, "")
    assert record.model == name
    assert record.recipe == models.ZOO[name].full_recipe


def test_a_record_of_an_older_version_is_refused(folder, tmp_path):
    record = json.loads((folder / bundle.TRAIN).read_text()) | {"schema": 2}
    bundle.write_json(tmp_path / bundle.TRAIN, record)
    with pytest.raises(InputError, match=r"schema must be 3\. Got: 2\. Copy the whole bundle"):
        trained.check(tmp_path)


def test_sources_are_opened_by_the_record(folder, readers):
    source = sources.open_bundle(folder)
    assert source.labels == tuple("0123456789")
    assert source.split_seed == 0
