import dataclasses
import json

import pytest

from benchmarks.frontier import records
from mnist_edge import models
from mnist_edge.errors import InputError
from mnist_edge.models import table
from mnist_edge.training.augment import Affine

TRAINED = {
    "seed": 0,
    "metrics": {"test_accuracy": 0.99421, "validation_accuracy": 0.9932},
    "training_seconds": 12.3,
    "parameters": 11_764,
    "multiply_accumulates": 792_040,
    "versions": {"keras": "3.15.1"},
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "records.json"


def recorded(name, **changes):
    return records.recipe_record(name) | changes


def test_no_file_is_an_empty_record(file):
    assert records.load(file) == {"runs": {}, "latency": None}


def test_the_projects_record_holds_runs_by_todays_recipes():
    record = records.load()
    assert set(record) == {"runs", "latency"}
    assert set(record["runs"]) <= set(models.ZOO)
    assert len(records.runs_of(record, "classic")) >= 3


@pytest.mark.parametrize("name", records.load()["runs"])
def test_the_projects_runs_are_of_todays_networks(name):
    # A recipe does not tell one network from another: take the runs of a changed one out.
    size = table.network_size(name)
    assert all(size.items() <= run.items() for run in records.load()["runs"][name])


def test_a_run_replaces_its_seeds_older_one_and_leaves_the_others(file):
    records.add_run("edge", TRAINED, file=file)
    records.add_run("edge", TRAINED | {"seed": 1}, file=file)
    records.add_run("classic", TRAINED, file=file)
    variants = {"tflite-int8": {"test_accuracy": 0.9941}}
    records.add_run("edge", TRAINED, variants, file=file)
    runs = records.load(file)["runs"]
    assert [(run["seed"], run.get("variants")) for run in runs["edge"]] == [
        (0, variants),
        (1, None),
    ]
    assert runs["classic"][0]["test_accuracy"] == 0.9942


def test_a_run_without_validation_is_recorded_as_such(file):
    metrics = {"test_accuracy": 0.99, "validation_accuracy": None}
    records.add_run("edge", TRAINED | {"metrics": metrics}, file=file)
    assert records.load(file)["runs"]["edge"][0]["validation_accuracy"] is None


def test_latency_and_runs_leave_each_other_alone(file):
    records.add_run("edge", TRAINED, file=file)
    records.set_latency({"date": "2026-01-01"}, file)
    records.add_run("edge", TRAINED | {"seed": 1}, file=file)
    record = records.load(file)
    assert (len(record["runs"]["edge"]), record["latency"]["date"]) == (2, "2026-01-01")


def test_a_field_that_a_recorded_recipe_lacks_has_its_default():
    recipe = recorded("classic")
    del recipe["patience"]
    assert records.is_of_today(recipe, "classic")
    del recipe["epochs"]  # has no default
    assert not records.is_of_today(recipe, "classic")


def test_a_field_of_todays_recipe_that_is_not_its_default_makes_another_recipe(monkeypatch):
    recipe = recorded("classic")
    del recipe["patience"]
    row = models.ZOO["classic"]
    later = dataclasses.replace(row, recipe=dataclasses.replace(row.recipe, patience=3))
    monkeypatch.setitem(models.ZOO, "classic", later)
    assert not records.is_of_today(recipe, "classic")


@pytest.mark.parametrize(("shear", "same"), [(0.0, True), (5.0, False)])
def test_the_same_holds_of_the_distortions_in_a_recipe(monkeypatch, shear, same):
    row = models.ZOO["edge"]
    recipe = dataclasses.replace(row.full_recipe, augment=Affine(rotation=10, shear=shear))
    monkeypatch.setitem(models.ZOO, "edge", dataclasses.replace(row, recipe=recipe, longer=None))
    without_shear = recorded("edge", augment={"rotation": 10, "shift": 0, "zoom": 0})
    assert records.is_of_today(without_shear, "edge") is same


def test_the_record_is_of_the_full_recipe(monkeypatch):
    row = models.ZOO["classic"]
    longer = dataclasses.replace(row.recipe, epochs=99)
    monkeypatch.setitem(models.ZOO, "classic", dataclasses.replace(row, longer=longer))
    assert records.recipe_record("classic")["epochs"] == 99


@pytest.mark.parametrize("content", ["{", json.dumps({"edge": []})])
def test_a_damaged_record_is_refused_in_one_line(file, content):
    file.write_text(content)
    with pytest.raises(InputError, match=r"must (be JSON|hold runs, latency)"):
        records.load(file)
