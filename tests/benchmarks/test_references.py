import json
import statistics

import pytest

from benchmarks.frontier import records, references
from benchmarks.frontier.references import REFERENCES
from mnist_edge import models


def on_record(name, *accuracies, recipe=None):
    recipe = recipe or records.recipe_record(name)
    return [
        {"seed": seed, "test_accuracy": accuracy, "recipe": recipe}
        for seed, accuracy in enumerate(accuracies)
    ]


def record(**runs):
    return json.dumps({"runs": runs, "latency": None})


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """An empty record in place of the project's."""
    monkeypatch.setattr(records, "FILE", tmp_path / "records.json")
    return tmp_path / "records.json"


def test_every_reference_has_a_row_of_the_zoo():
    assert {reference.model for reference in REFERENCES} <= set(models.ZOO)
    assert [reference.letter[0] for reference in REFERENCES] == list("ABCDEE")


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.letter)
def test_every_published_figure_is_reached_on_record(reference):
    runs = records.runs_of(records.load(), reference.model)
    assert len(runs) >= 3
    mean = statistics.mean(run["test_accuracy"] for run in runs)
    assert mean >= (reference.published or 0)


def test_accuracy_is_told_as_mean_spread_and_seeds():
    runs = on_record("edge", 0.99, 0.992, 0.994)
    assert records.accuracy_words(runs) == "99.20 % ± 0.20 (3 seeds)"
    assert records.accuracy_words([]) == "none on record"


def test_runs_by_another_recipe_do_not_count(scratch):
    scratch.write_text(record(edge=on_record("edge", 0.5, recipe={"epochs": 1})))
    assert records.runs_of(records.load(), "edge") == []


def test_recording_goes_on_where_it_stopped(scratch, monkeypatch):
    trained = []

    def fake(settings):
        trained.append((settings.model, settings.seed))
        metrics = {"test_accuracy": 0.99, "validation_accuracy": 0.98}
        return {
            "seed": settings.seed,
            "metrics": metrics,
            "training_seconds": 1.0,
            "parameters": 1,
            "multiply_accumulates": 1,
            "versions": {},
        }

    monkeypatch.setattr(references.train, "train", fake)
    references.run(["edge"], [0])
    references.run(["edge", "classic"], [0, 1])
    assert trained == [("edge", 0), ("edge", 1), ("classic", 0), ("classic", 1)]
    assert [run["seed"] for run in records.load()["runs"]["edge"]] == [0, 1]


def test_the_table_is_the_readmes(scratch, capsys):
    scratch.write_text(record(classic=on_record("classic", 0.99, 0.99)))
    assert references.main(["--table"]) == 0
    printed = capsys.readouterr().out
    assert "| D | 121,930 parameters" in printed
    assert "| 98.91 % | 99.00 % ± 0.00 (2 seeds) |" in printed


def test_the_readme_holds_the_table_of_the_record():
    readme = (records.FILE.parents[2] / "docs/frontier.md").read_text()
    assert references.reference_table() in readme
