"""Train a model of the zoo and write its bundle.

    python -m mnist_edge.train --model edge --seed 0
    python -m mnist_edge.train --list

writes `model.keras`, `train.json`, `history.csv` and `plots/` to `artifacts/edge/`, all or
none. Epochs and weights are chosen on 5,000 validation images; the test set is read
once, at the end, to report. A run that was interrupted goes on by `--resume`; `--from
train.json` repeats a run and says whether its weights came out the same.
"""

import contextlib
import dataclasses
import importlib.util
import json
import sys

import numpy as np

from mnist_edge import backend, bundle, cli, data, drawing, lock, models, plots
from mnist_edge.errors import InputError
from mnist_edge.models import folding, table, trained
from mnist_edge.safety import supervise
from mnist_edge.training import loop, outcome, reproduce
from mnist_edge.training.checkpoint import Checkpoint
from mnist_edge.training.settings import TrainSettings

# A teacher is asked about so many images before it teaches.
_TAUGHT = 500


def train(settings, repetition=None):
    """Trains a model and writes its bundle.

    Args:
        settings: A `TrainSettings`.
        repetition: The `repeat.Repetition` whose settings they are, or None.

    Returns:
        The record that `train.json` holds, a dict.

    Raises:
        InputError: The data or the folder can't be used.
    """
    bundle.refuse_foreign(settings.folder)
    with lock.held(settings.folder):
        return _train(settings, repetition)


def _train(settings, repetition):
    import keras

    backend.require(backend.TRAINING, "training")
    recipe = repetition.recipe if repetition else settings.recipe
    dataset = _load(settings)
    splits = _splits(settings, recipe, dataset)
    keras.backend.clear_session()  # layers are named by a count that the process keeps
    keras.utils.set_random_seed(settings.seed)
    model = models.build(settings.model, dataset.x_train.shape[1:], dataset.classes)
    recipe, teacher = _teacher(settings, recipe, dataset, model)
    if repetition:
        reproduce.check(repetition, dataset, teacher)
    checkpoint = Checkpoint(
        settings.folder / bundle.CHECKPOINT, _identity(settings, recipe, teacher, dataset)
    )
    # A teacher may be anybody's: what it raises, on distorted images say, is a line.
    with trained.running(recipe.teacher) if teacher else contextlib.nullcontext():
        learner, run = loop.fit(
            model,
            recipe,
            settings.seed,
            *_examples(dataset, splits, model.input.shape[1:]),
            checkpoint=checkpoint,
            resume=settings.resume,
            teacher=teacher and teacher.model,
            callbacks=_callbacks(settings),
            verbose=0 if settings.quiet else 1 if sys.stdout.isatty() else 2,
        )
    if models.ZOO[settings.model].folded:
        model = folding.fold(model)
    figures = outcome.figures(model, recipe, run, learner, dataset)
    found = [*model.get_weights(), *(x for x in figures["metrics"].values() if x is not None)]
    if not all(np.isfinite(values).all() for values in found):
        raise InputError(
            f"{settings.model} must end in finite weights and figures. Got: NaN or infinity. "
            "Train by another recipe, without --resume."
        )
    record = {
        "schema": 2,
        "project": bundle.PROJECT,
        **figures,
        "recipe": dataclasses.asdict(recipe),
        "teacher": _teacher_record(teacher),
        "seed": settings.seed,
        "data": outcome.data_record(settings, dataset, splits),
        "weights_sha256": reproduce.weights_sha256(model),
        **reproduce.environment(),
    }
    with bundle.staged(settings.folder) as stage:
        outcome.write(stage, settings, model, run, record)
        if settings.plots and drawing.available():
            plots.write_training_plots(
                stage, run.history, dataset, model, settings.seed, record["kept_epoch"]
            )
    checkpoint.remove()
    return record


def _load(settings):
    """The data set, of gray pictures."""
    dataset = data.load(settings.data, settings.labels)
    data.require_gray_levels(dataset)
    if dataset.x_train.dtype != np.uint8 or dataset.x_train.ndim != 3:
        raise InputError(
            f"{settings.data}: x_train must be uint8 [n, height, width], 0 to 255. "
            f"Got: {dataset.x_train.dtype} {list(dataset.x_train.shape)}. Save it so."
        )
    if dataset.classes < 2:
        raise InputError(f"{settings.data} must have labels of 2 classes or more. Got: 0 alone.")
    if dataset.remark and not settings.quiet:
        print(f"data: {cli.printable(dataset.remark)}")
    return dataset


def _splits(settings, recipe, dataset):
    """Indices of the training and the validation images; of none where all are trained on."""
    splits = data.split_indices(len(dataset.x_train), settings.split_seed)
    return (np.sort(np.concatenate(splits)), splits[1][:0]) if recipe.all_images else splits


def _examples(dataset, splits, shape):
    """`(x, y)` of each split that has images.

    Bytes, not floats: Keras casts a batch at a time to the same values, and an epoch copies
    a quarter of the memory.
    """
    return [
        (dataset.x_train[indices].reshape(-1, *shape), dataset.y_train[indices])
        for indices in splits
        if len(indices)
    ]


def _teacher(settings, recipe, dataset, model):
    """The recipe and its teacher, a `trained.Trained` or None.

    A teacher that the recipe names, and not the user, is left out where it was trained on
    other data: its answers would be about something else.
    """
    if recipe.teacher is None:
        return recipe, None
    teacher = trained.open_named(recipe.teacher)
    taught, given = teacher.record["data"]["sha256"], dataset.sha256()
    if settings.teacher is None and any(taught[n] != given[n] for n in ("x_train", "y_train")):
        if not settings.quiet:
            named = cli.printable(recipe.teacher)
            print(f"teacher: {named} was trained on other data and is left out")
        return dataclasses.replace(recipe, teacher=None), None
    trained.check_teacher(teacher, model)
    examples = data.as_inputs(dataset.x_train[:_TAUGHT], teacher.shape)
    trained.probabilities(teacher.model, examples, recipe.teacher)
    return recipe, teacher


def _teacher_record(teacher):
    return teacher and {name: teacher.record[name] for name in ("model", "model_sha256")}


def _identity(settings, recipe, teacher, dataset):
    """What makes a run what it is: none of it may change between its sittings."""
    import keras

    identity = {
        "model": settings.model,
        "recipe": dataclasses.asdict(recipe),
        "teacher": _teacher_record(teacher),
        "seed": settings.seed,
        "split_seed": settings.split_seed,
        "data": dataset.sha256(),
        "backend": keras.backend.backend(),
        "keras": keras.version(),
    }
    return json.loads(json.dumps(identity))


def _callbacks(settings):
    import keras

    if not settings.tensorboard:
        return []
    missing = [n for n in ("tensorflow", "tensorboard") if not importlib.util.find_spec(n)]
    if missing:
        raise InputError(
            f"--tensorboard needs {' and '.join(missing)}. Install 'mnist-edge[tensorboard]'."
        )
    return [keras.callbacks.TensorBoard(settings.tensorboard)]


@cli.command
def main(argv=None):
    """Parses `argv`, trains, prints the result; returns the exit status."""
    settings = cli.parse_settings(TrainSettings, __doc__, argv)
    backend.start_keras()
    if settings.list:
        print(table.zoo_table())
        return cli.OK
    repetition = reproduce.read(settings) if settings.from_ else None
    if repetition:
        settings = repetition.settings
    try:
        record = train(settings, repetition)
    except KeyboardInterrupt:
        print("\nfinished epochs are kept: go on with the same flags and --resume")
        raise
    if not settings.quiet:
        print(outcome.report(record, settings.folder))
    results = {"bundle": str(settings.folder), "model": record["model"], "seed": record["seed"]}
    results |= record["metrics"] | {"seconds": record["training_seconds"]}
    if repetition:
        results["repeated"], line = reproduce.verdict(repetition.record, record)
        print(line, file=sys.stderr)
    print(json.dumps(results))
    return cli.GATE_FAILED if results.get("repeated") is False else cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
