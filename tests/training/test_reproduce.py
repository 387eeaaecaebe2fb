"""The same seed, machine, versions and threads: the same weights, bytes and figures."""

import copy
import dataclasses
import json

import keras
import numpy as np
import pytest

from benchmarks.run import benchmark
from export.pipeline import export
from export.settings import ExportSettings
from mnist_edge import bundle, models, schema
from mnist_edge.models import saving
from mnist_edge.train import main
from mnist_edge.training import reproduce
from mnist_edge.training.train_record import TrainRecord


def repeat(folder, output):
    argv = ["--from", str(folder / bundle.TRAIN), "--output", str(output), "--quiet", "--no-plots"]
    assert main(argv) == 0
    first, record = (json.loads((one / bundle.TRAIN).read_text()) for one in (folder, output))
    same = ("model", "recipe", "seed", "data", "metrics", "weights_sha256", "model_sha256")
    assert {name: record[name] for name in same} == {name: first[name] for name in same}
    for name in (bundle.MODEL, bundle.HISTORY):
        assert (output / name).read_bytes() == (folder / name).read_bytes()
    return output


def test_from_repeats_a_run_to_the_same_model_bit_for_bit(few_data, tmp_path):
    argv = ["--data", few_data, "--model", "classic", "--augment", "--epochs", "1", "--quiet"]
    assert main([*argv, "--no-plots", "--output", str(tmp_path / "first")]) == 0
    repeat(tmp_path / "first", tmp_path / "again")


@pytest.mark.long
def test_the_repeated_model_gives_the_same_artifacts_and_the_same_parity(small, tmp_path):
    folder = repeat(small.folder, tmp_path / "again")
    export(ExportSettings(source=folder, calibration_count=50), report=print)
    for file in ("manifest.json", "golden.npz", "reference.npz"):
        assert (folder / file).read_bytes() == (small.folder / file).read_bytes()
    for entry in small.manifest["artifacts"]:
        one, two = (f / entry["file"] for f in (small.folder, folder))
        assert one.read_bytes() == two.read_bytes(), entry["file"]
    figures = [
        {row.variant: row.parity for row in report.measurements}
        for report in (small.report, benchmark(folder, rounds=1, calls=1, warmup=1))
    ]
    assert figures[0] == figures[1]


@pytest.mark.long
def test_another_seed_gives_other_weights(small, tmp_path, capsys):
    record = copy.deepcopy(small.trained) | {"seed": 1}
    bundle.write_json(tmp_path / "train.json", record)
    argv = ["--from", str(tmp_path / "train.json"), "--output", str(tmp_path / "b")]
    assert main([*argv, "--quiet", "--no-plots"]) == 1
    shown = capsys.readouterr()
    assert "repeated with different weights" in shown.err
    assert json.loads(shown.out)["repeated"] is False


@pytest.mark.parametrize(
    ("change", "flags", "line"),
    [
        (
            {},
            ["--epochs", "3"],
            "--from repeats a run with its recorded settings. Got: --epochs as well.",
        ),
        ({}, ["--data", "other.npz"], "other.npz must be a file and is not."),
        ({"recipe": 3}, [], "recipe must be an object. Got: 3."),
        ({"recipe": {"epoch": 3}}, [], "recipe.epochs is missing."),
        ({"data": None}, [], "data must be an object. Got: None."),
        ({"data": {"x_train": "0" * 64}}, [], "was trained on different data: x_train of"),
        ({"schema": 2}, [], "schema must be 3. Got: 2. Give a train.json that mnist_edge.train"),
    ],
)
def test_what_cannot_be_repeated_is_one_line_and_status_2(
    small, tmp_path, capsys, change, flags, line
):
    record = copy.deepcopy(small.trained)
    if change.get("data"):
        change = {"data": record["data"] | {"sha256": record["data"]["sha256"] | change["data"]}}
    bundle.write_json(tmp_path / "train.json", record | change)
    argv = ["--from", str(tmp_path / "train.json"), "--output", str(tmp_path / "b"), *flags]
    assert main(argv) == 2
    shown = capsys.readouterr().err
    assert line in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "b").exists()


def test_what_differs_from_the_machine_of_then_is_named(small):
    then = schema.decode(TrainRecord, small.trained)
    assert reproduce.differences(then, then) == []
    now = dataclasses.replace(
        then,
        machine=dataclasses.replace(then.machine, cores_allowed=64),
        versions={name: one for name, one in then.versions.items() if name != "numpy"},
    )
    assert reproduce.verdict(then, now)[0] is True
    is_same, line = reproduce.verdict(then, dataclasses.replace(now, weights_sha256="0"))
    assert is_same is False
    assert f"numpy was {np.__version__}, now not recorded" in line
    assert "now 64" in line


# The file.


def test_a_saved_model_is_the_same_bytes_each_time_and_keras_reads_it(tmp_path):
    def save(name, write):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        model = models.build("classic")  # other objects each time, at other addresses
        write(model, tmp_path / name)
        return model

    first, _ = (
        save(name, lambda model, path: path.write_bytes(saving.to_bytes(model)))
        for name in ("a.keras", "b.keras")
    )
    read = keras.saving.load_model(tmp_path / "a.keras")
    assert all(map(np.array_equal, first.get_weights(), read.get_weights()))
    a, b = ((tmp_path / name).read_bytes() for name in ("a.keras", "b.keras"))
    assert a == b
    save("c.keras", lambda model, path: model.save(path))
    assert a != (tmp_path / "c.keras").read_bytes()
