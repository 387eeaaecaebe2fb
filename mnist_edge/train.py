"""Train a model of the zoo and write its bundle.

    python -m mnist_edge.train --model edge --seed 0
    python -m mnist_edge.train --list

writes `model.keras`, `train.json`, `history.csv` and `plots/` to `artifacts/edge/`, all or
none. Epochs and weights are chosen on 5,000 validation images; the test set is read
once, at the end, to report. A run that was interrupted goes on by `--resume`; `--from
train.json` repeats a run and says whether its weights came out the same.
"""

import dataclasses
import hashlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import backend, bundle, cli, data, drawing, lock, models, plots, schema, staging
from mnist_edge.data.record import describe
from mnist_edge.errors import InputError
from mnist_edge.models import Recipe, folding, saving, table, zoo
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import supervise
from mnist_edge.training import loop, reproduce
from mnist_edge.training.checkpoint import Checkpoint
from mnist_edge.training.reproduce import Repetition
from mnist_edge.training.settings import TrainSettings
from mnist_edge.training.train_record import Metrics, TrainRecord

if TYPE_CHECKING:
    import keras

Splits = tuple[np.ndarray, np.ndarray]


def train_model(
    model: str = models.DEFAULT,
    dataset: data.Dataset | str = data.MNIST,
    recipe: Recipe | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    split_seed: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    verbose: int = 0,
) -> TrainedModel:
    """Trains a network of the zoo; the test set is read once, at the end.

    Starts a new Keras session and sets Keras's, NumPy's and Python's global seed.

    Args:
        model: A key of `ZOO`.
        dataset: uint8 images; or what `load_dataset` takes.
        recipe: How to train; None is the network's own.
        epochs: Passes over the training images, in place of the recipe's.
        seed: Seed of weights, order and augmentation.
        split_seed: Seed of the split into training and validation images.
        checkpoint: Folder that keeps finished epochs until its caller removes it, or None.
        resume: Whether to go on from the checkpoint.
        callbacks: Further ones for `keras.Model.fit`.
        verbose: As `keras.Model.fit` takes it.

    Raises:
        InputError: The data or the recipe can't be used.
    """
    if isinstance(dataset, str):
        dataset = data.load(dataset)
    recipe = recipe or zoo.network(model).recipe
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    zoo.check(model, recipe)
    _require(Recipe, schema.encode(recipe), "recipe")
    for name, value in (("seed", seed), ("split_seed", split_seed)):
        _require(schema.Seed, value, name)
    _check_data(dataset)
    import keras

    backend.require(backend.TRAINING, "training")
    splits = _splits(dataset, split_seed, recipe)
    keras.backend.clear_session()  # layers are named by a count that the process keeps
    keras.utils.set_random_seed(seed)
    network = models.build(model, dataset.x_train.shape[1:], dataset.classes)
    kept = None
    if checkpoint:
        identity = _identity(model, recipe, seed, split_seed, dataset)
        kept = Checkpoint(checkpoint, identity)
    examples = _examples(dataset, splits, network.input.shape[1:])
    learner, run = loop.fit(
        network, recipe, seed, *examples, kept, resume, callbacks=callbacks, verbose=verbose
    )
    if models.ZOO[model].folded:
        network = folding.fold(network)
    kept_epoch = run.best_epoch if recipe.keep == "best" else run.epochs - 1
    test = learner.evaluate(
        data.as_inputs(dataset.x_test, network.input.shape[1:]),
        loop.targets(dataset.y_test, recipe, dataset.classes),
        batch_size=500,
        verbose=0,
        return_dict=True,
    )
    accuracy, loss = (run.history.get(f"val_{name}") for name in ("accuracy", "loss"))
    metrics = Metrics(
        validation_accuracy=accuracy[kept_epoch] if accuracy else None,
        validation_loss=loss[kept_epoch] if loss else None,
        test_accuracy=test["accuracy"],
        test_loss=test["loss"],
    )
    _check_finite(model, network, metrics)
    record = TrainRecord(
        model=network.name,
        model_sha256=hashlib.sha256(saving.to_bytes(network)).hexdigest(),
        weights_sha256=saving.weights_sha256(network),
        parameters=network.count_params(),
        multiply_accumulates=models.multiply_accumulates(network),
        metrics=metrics,
        kept_epoch=kept_epoch + 1,
        epochs=run.epochs,
        training_seconds=round(run.seconds, 1),
        recipe=recipe,
        seed=seed,
        data=describe(dataset, dataset.labels, split_seed, splits),
        versions=reproduce.versions(),
        machine=reproduce.machine(),
    )
    return TrainedModel(network, record, run.history, dataset)


def _require(kind: Any, value: object, name: str) -> None:
    try:
        schema.decode(kind, value, name)
    except schema.SchemaError as error:
        raise InputError(f"{error}.") from None


def _check_data(dataset: data.Dataset) -> None:
    data.require_gray_levels(dataset)
    if dataset.x_train.dtype != np.uint8 or dataset.x_train.ndim != 3:
        raise InputError(
            f"{dataset.source}: x_train must be uint8 [n, height, width], 0 to 255. "
            f"Got: {dataset.x_train.dtype} {list(dataset.x_train.shape)}. Save it so."
        )
    if dataset.classes < 2:
        raise InputError(f"{dataset.source} must have labels of 2 classes or more. Got: 0 alone.")


def _check_finite(name: str, network: "keras.Model", metrics: Metrics) -> None:
    figures = [value for value in dataclasses.astuple(metrics) if value is not None]
    if not all(np.isfinite(values).all() for values in (*network.get_weights(), *figures)):
        raise InputError(
            f"{name} must end in finite weights and figures. Got: NaN or infinity. "
            "Train by another recipe, without --resume."
        )


def _splits(dataset: data.Dataset, split_seed: int, recipe: Recipe) -> Splits:
    """Indices of the training and the validation images; of none where all are trained on."""
    splits = data.split_indices(len(dataset.x_train), split_seed)
    return (np.sort(np.concatenate(splits)), splits[1][:0]) if recipe.all_images else splits


def _examples(
    dataset: data.Dataset, splits: Splits, shape: tuple[int, ...]
) -> tuple[loop.Examples, loop.Examples | None]:
    """`(x, y)` of the training and of the validation images, or None where there are none.

    Bytes, not floats: Keras casts a batch at a time to the same values, and an epoch copies
    a quarter of the memory.
    """
    train, validation = (
        (dataset.x_train[indices].reshape(-1, *shape), dataset.y_train[indices])
        for indices in splits
    )
    return train, validation if len(splits[1]) else None


def _identity(
    model: str, recipe: Recipe, seed: int, split_seed: int, dataset: data.Dataset
) -> dict[str, Any]:
    """What makes a run what it is: none of it may change between its sittings."""
    import keras

    return {
        "model": model,
        "recipe": schema.encode(recipe),
        "seed": seed,
        "split_seed": split_seed,
        "data": dataset.sha256(),
        "backend": keras.backend.backend(),
        "keras": keras.version(),
    }


def train(settings: TrainSettings, repetition: Repetition | None = None) -> TrainedModel:
    """Trains a model and writes its bundle.

    Args:
        settings: What to train, and where to write it.
        repetition: The run that the settings repeat, or None.

    Raises:
        InputError: The data or the folder can't be used.
    """
    folder = settings.folder
    bundle.refuse_foreign(folder)
    with lock.held(folder):
        dataset = data.load(settings.data, settings.labels)
        if dataset.remark and not settings.quiet:
            print(f"data: {cli.printable(dataset.remark)}")
        if repetition:
            reproduce.check(repetition, dataset)
        trained = train_model(
            settings.model,
            dataset,
            repetition.record.recipe if repetition else settings.recipe,
            seed=settings.seed,
            split_seed=settings.split_seed,
            checkpoint=folder / bundle.CHECKPOINT,
            resume=settings.resume,
            callbacks=_callbacks(settings),
            verbose=0 if settings.quiet else 1 if sys.stdout.isatty() else 2,
        )
        with staging.staged(folder) as stage:
            trained.write(stage)
            _write_extras(stage, settings, trained, dataset)
        Checkpoint(folder / bundle.CHECKPOINT).remove()
    return trained


def _write_extras(
    stage: Path, settings: TrainSettings, trained: TrainedModel, dataset: data.Dataset
) -> None:
    if settings.save_h5:
        with cli.native_logs_held():  # Keras warns that the format is old; that is asked for
            trained.model.save(stage / bundle.MODEL_H5)
    if settings.save_weights:
        trained.model.save_weights(stage / bundle.WEIGHTS)
    if settings.plots and drawing.available():
        plots.write_training_plots(stage, trained, dataset)


def _callbacks(settings: TrainSettings) -> list["keras.callbacks.Callback"]:
    import keras

    if not settings.tensorboard:
        return []
    missing = [n for n in ("tensorflow", "tensorboard") if not importlib.util.find_spec(n)]
    if missing:
        raise InputError(
            f"--tensorboard needs {' and '.join(missing)}. Install 'mnist-edge[tensorboard]'."
        )
    return [keras.callbacks.TensorBoard(settings.tensorboard)]


def report(record: TrainRecord, folder: Path) -> str:
    """What a person reads at the end, in three lines."""
    metrics = record.metrics
    accuracy = metrics.validation_accuracy
    validation = "no validation" if accuracy is None else f"validation accuracy {accuracy:.2%}"
    return (
        f"{record.model}: {record.parameters:,} parameters, "
        f"{record.multiply_accumulates:,} multiply-accumulates, "
        f"epoch {record.kept_epoch} of {record.epochs} kept, "
        f"{record.training_seconds} s\n"
        f"{validation}, test accuracy {metrics.test_accuracy:.2%}, "
        f"test loss {metrics.test_loss:.4f}\n"
        f"written: {cli.printable(folder)}"
    )


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, trains, prints the result; returns the exit status."""
    settings = cli.parse_settings(TrainSettings, __doc__, argv)
    backend.start_keras()
    if settings.list:
        print(table.zoo_table())
        return cli.OK
    repetition = reproduce.read(settings.from_, settings) if settings.from_ else None
    if repetition:
        settings = repetition.settings
    try:
        record = train(settings, repetition).record
    except KeyboardInterrupt:
        print("\nfinished epochs are kept: go on with the same flags and --resume")
        raise
    if not settings.quiet:
        print(report(record, settings.folder))
    results = {"bundle": str(settings.folder), "model": record.model, "seed": record.seed}
    results |= dataclasses.asdict(record.metrics) | {"seconds": record.training_seconds}
    if repetition:
        results["repeated"], line = reproduce.verdict(repetition.record, record)
        print(line, file=sys.stderr)
    print(json.dumps(results))
    return cli.GATE_FAILED if results.get("repeated") is False else cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
