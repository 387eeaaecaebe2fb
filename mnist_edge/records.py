"""The training runs on record, and the zoo as a table with the accuracy that they reached."""

import dataclasses
import json
import statistics
from pathlib import Path

from mnist_edge import models

FILE = Path(__file__).with_name("records.json")


def load():
    """Loads the runs on record: model's name to a list of dicts, one a seed."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def accuracy_words(runs):
    """Mean, spread and seeds of recorded runs: "99.55 % ± 0.06 (3 seeds)"."""
    if not runs:
        return "none on record"
    accuracies = [100 * run["test_accuracy"] for run in runs]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{statistics.mean(accuracies):.2f} %{spread} ({len(accuracies)} seeds)"


def zoo_table():
    """The zoo: name, parameters, multiply-accumulates, recipe, accuracy on record."""
    known = load()
    rows = [("model", "parameters", "MAC", "accuracy on record", "network; recipe")]
    for name, network in models.ZOO.items():
        model = models.build(name)
        rows.append(
            (
                name,
                f"{model.count_params():,}",
                f"{models.multiply_accumulates(model):,}",
                accuracy_words(runs_of(known, name)),
                f"{network.summary}; {network.recipe.words()}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {mac:>{widths[2]}}  "
        f"{accuracy:<{widths[3]}}  {words}"
        for name, parameters, mac, accuracy, words in rows
    )


def runs_of(known, name):
    """The runs of a model by today's recipe; older ones say nothing of it."""
    recipe = recipe_record(name)
    return [run for run in known.get(name, ()) if run["recipe"] == recipe]


def recipe_record(name):
    """A recipe as the record holds it, a dict of JSON's types."""
    return json.loads(json.dumps(dataclasses.asdict(models.ZOO[name].recipe)))
