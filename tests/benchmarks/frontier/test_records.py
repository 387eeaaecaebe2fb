import dataclasses
import json
import statistics

import pytest

from benchmarks.frontier import records
from benchmarks.frontier.published import PUBLISHED
from mnist_edge import models
from mnist_edge.errors import InputError
from mnist_edge.models import table
from tests.benchmarks.frontier.made import exports, latency, trained


@pytest.fixture
def file(tmp_path):
    return tmp_path / "records.json"


def seeds(file, name="edge"):
    return [run.seed for run in records.load(file).runs(name)]


def test_no_file_is_an_empty_record(file):
    assert records.load(file) == records.Record()


@pytest.mark.parametrize("name", records.load().networks)
def test_the_projects_runs_are_of_todays_recipes_and_networks(name):
    # A recipe does not tell one network from another: take the runs of a changed one out.
    record = records.load()
    network = record.networks[name]
    assert record.runs(name) == network.runs
    assert table.network_size(name) == {
        "parameters": network.parameters,
        "multiply_accumulates": network.multiply_accumulates,
    }


@pytest.mark.parametrize("reference", PUBLISHED.references, ids=lambda one: one.letter)
def test_every_published_figure_is_reached_on_record(reference):
    runs = records.load().runs(reference.model)
    assert len(runs) >= 3
    mean = statistics.mean(run.test_accuracy for run in runs)
    assert mean >= (reference.accuracy or 0)


def test_a_run_replaces_its_seeds_older_one_and_leaves_the_others(file):
    records.add_run(trained("edge", 1), exports(), file)
    records.add_run(trained("edge", 0), {}, file)
    records.add_run(trained("classic", 0), {}, file)
    records.add_run(trained("edge", 0, 0.99421), exports(), file)
    assert seeds(file) == [0, 1]
    assert seeds(file, "classic") == [0]
    assert records.load(file).runs("edge")[0].test_accuracy == 0.9942


def test_only_runs_whose_exports_were_measured_are_of_the_frontier(file):
    records.add_run(trained("edge", 0), {}, file)
    assert records.load(file).measured() == {}
    records.add_run(trained("edge", 1), exports(), file)
    (network,) = records.load(file).measured().values()
    assert [run.seed for run in network.runs] == [1]


def test_latency_and_runs_leave_each_other_alone(file):
    records.add_run(trained("edge", 0), {}, file)
    records.set_latency(latency("edge"), file)
    records.add_run(trained("edge", 1), {}, file)
    assert seeds(file) == [0, 1]
    assert records.load(file).latency == latency("edge")


def recorded_without(file, field):
    document = json.loads(file.read_text())
    del document["networks"]["classic"]["recipe"][field]
    file.write_text(json.dumps(document))


def test_a_field_that_a_recorded_recipe_lacks_has_its_default(file, monkeypatch):
    records.add_run(trained("classic", 0), {}, file)
    recorded_without(file, "patience")
    assert seeds(file, "classic") == [0]
    row = models.ZOO["classic"]
    later = dataclasses.replace(row, recipe=dataclasses.replace(row.recipe, patience=3))
    monkeypatch.setitem(models.ZOO, "classic", later)
    assert seeds(file, "classic") == []
    recorded_without(file, "epochs")  # has no default
    with pytest.raises(InputError, match=r"recipe.epochs is missing"):
        records.load(file)


def test_runs_by_another_recipe_do_not_count_and_go(file, monkeypatch):
    records.add_run(trained("classic", 0), {}, file)
    row = models.ZOO["classic"]
    longer = dataclasses.replace(row.recipe, epochs=99)  # the record is of the full recipe
    monkeypatch.setitem(models.ZOO, "classic", dataclasses.replace(row, longer=longer))
    assert seeds(file, "classic") == []
    records.add_run(trained("classic", 1), {}, file)
    assert seeds(file, "classic") == [1]


def test_accuracy_is_told_as_mean_spread_and_seeds(file):
    for seed, accuracy in enumerate((0.99, 0.992, 0.994)):
        records.add_run(trained("edge", seed, accuracy), {}, file)
    runs = records.load(file).runs("edge")
    assert records.accuracy_words(runs) == "99.20 % ± 0.20 (3 seeds)"
    assert records.accuracy_words(runs[:1]) == "99.00 % (1 seed)"
    assert records.accuracy_words([]) == "not recorded"


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "must be JSON"), (json.dumps({"edge": []}), "schema must be 3. Got: nothing")],
)
def test_a_damaged_record_is_refused_in_one_line(file, content, message):
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        records.load(file)
