"""The runs on record (`records.json`), and the zoo as a table with what they reached.

The record is `{"runs": {model: [run, ...]}, "latency": {...} or null}`. A run is a seed of a
model: accuracies, seconds, recipe, versions and, where `python -m benchmarks.frontier` did
it, the exports' accuracies and sizes as `variants`. Latency is that command's last timing.
"""

import dataclasses
import json
import statistics
from pathlib import Path

from mnist_edge import bundle, models

FILE = Path(__file__).with_name("records.json")


def load(file=None):
    """Loads a record; an empty one where the file does not exist.

    Args:
        file: The record; None is the project's own.

    Returns:
        dict, as this module's docstring describes it.

    Raises:
        InputError: The file holds something else.
    """
    file = Path(file or FILE)
    if not file.exists():
        return {"runs": {}, "latency": None}
    return bundle.read_json(file, ("runs", "latency"), "Restore it, or name another record.")


def _write(record, file):
    file = Path(file or FILE)
    with bundle.staged(file.parent) as stage:
        bundle.write_json(stage / file.name, record)


def add_run(name, trained, variants=None, file=None):
    """Adds a run in place of its seed's older one; runs by another recipe go.

    One process alone may write a record: what another adds meanwhile is lost.

    Args:
        name: The model.
        trained: What `train.json` holds of the run.
        variants: What its exports reach, a dict by variant, or None.
        file: As `load`'s.
    """
    record, metrics = load(file), trained["metrics"]
    run = {
        "seed": trained["seed"],
        "test_accuracy": rounded(metrics["test_accuracy"]),
        "validation_accuracy": rounded(metrics["validation_accuracy"]),
        "seconds": trained["training_seconds"],
        "parameters": trained["parameters"],
        "multiply_accumulates": trained["multiply_accumulates"],
        "recipe": recipe_record(name),
        "versions": trained["versions"],
    }
    others = [done for done in runs_of(record, name) if done["seed"] != run["seed"]]
    runs = [*others, run | ({"variants": variants} if variants else {})]
    record["runs"][name] = sorted(runs, key=lambda done: done["seed"])
    _write(record, file)


def set_latency(latency, file=None):
    """Puts a timing in place of the older one; `file` as `load`'s."""
    _write(load(file) | {"latency": latency}, file)


def rounded(share):
    """A share as the record holds it, to a hundredth of a point; None stays None."""
    return None if share is None else round(share, 4)


def runs_of(record, name):
    """The runs of a model by today's full recipe; older ones say nothing of it."""
    return [run for run in record["runs"].get(name, ()) if is_of_today(run["recipe"], name)]


def is_of_today(recipe, name):
    """Whether a recorded recipe is the one that `train --model NAME --full` trains by.

    A field that the recipe did not have when it was recorded has its default.
    """
    return _completed(recipe, models.ZOO[name].full_recipe) == recipe_record(name)


def _completed(recorded, recipe):
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(recipe)
        if field.default is not dataclasses.MISSING
    }
    full = _as_json(defaults) | recorded
    for name, value in full.items():
        part = getattr(recipe, name, None)
        if isinstance(value, dict) and dataclasses.is_dataclass(part):
            full[name] = _completed(value, part)
    return full


def recipe_record(name):
    """A model's full recipe as the record holds it, a dict of JSON's types."""
    return _as_json(dataclasses.asdict(models.ZOO[name].full_recipe))


def _as_json(document):
    return json.loads(json.dumps(document))


def accuracy_words(runs):
    """Mean, spread and seeds of runs' `test_accuracy`: "99.55 % ± 0.06 (3 seeds)".

    Args:
        runs: dicts; recorded runs, or what one variant reached in each.
    """
    if not runs:
        return "none on record"
    accuracies = [100 * run["test_accuracy"] for run in runs]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    seeds = "1 seed" if len(accuracies) == 1 else f"{len(accuracies)} seeds"
    return f"{statistics.mean(accuracies):.2f} %{spread} ({seeds})"
