"""Train a model of the zoo and write its bundle.

    python -m mnist_edge.train --model edge --seed 0
    python -m mnist_edge.train --list

Writes `model.keras`, `train.json`, `history.csv` and `plots/` to `artifacts/edge/`, all or
none. Epochs and weights are selected on 5,000 validation images; the test set is used once,
at the end, for reporting. `--resume` continues an interrupted run; `--from train.json` repeats
a run and checks that the weights are identical.
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
from mnist_edge.data import extra
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
    """Trains a network of the zoo; the test set is used once, at the end.

    Starts a new Keras session and sets Keras's, NumPy's and Python's global seed.

    Args:
        model: A key of `ZOO`.
        dataset: A data set of uint8 images, or the `source` argument of `load_dataset`.
        recipe: How to train; None for the network's own recipe.
        epochs: Passes over the training images; overrides the recipe's.
        seed: Seed of weights, order and augmentation.
        split_seed: Seed of the split into training and validation images.
        checkpoint: Folder for finished epochs, to be removed by the caller; None for no
            checkpoint.
        resume: Whether to continue from the checkpoint.
        callbacks: Additional callbacks for `keras.Model.fit`.
        verbose: Passed to `keras.Model.fit`.

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
    if not isinstance(dataset, data.Dataset):
        raise InputError(
            f"the data must be a Dataset, or text as for load_dataset. Got: "
            f"{type(dataset).__name__}. Give Dataset(x_train, y_train, x_test, y_test)."
        )
    _check_data(dataset)
    if recipe.extra_digits and not dataset.is_mnist:
        recipe = dataclasses.replace(recipe, extra_digits=False)
    keras = backend.import_keras()
    backend.require(backend.TRAINING, "training")
    splits = _splits(dataset, split_seed, recipe)
    keras.backend.clear_session()  # resets the counters in layer names
    keras.utils.set_random_seed(seed)
    network = models.build(model, dataset.x_train.shape[1:], dataset.classes)
    kept = None
    if checkpoint:
        identity = _identity(model, recipe, seed, split_seed, dataset)
        kept = Checkpoint(checkpoint, identity)
    examples = _examples(dataset, splits, network.input.shape[1:], recipe)
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
    if dataset.x_train.ndim == 4 and dataset.x_train.shape[-1] == 3:
        raise InputError(
            f"{dataset.source}: the networks of the zoo take gray images, uint8 [n, height, "
            "width]. Got: RGB. Convert them, or export your own model trained on them."
        )
    if dataset.x_train.dtype != np.uint8 or dataset.x_train.ndim != 3:
        raise InputError(
            f"{dataset.source}: x_train must be uint8 [n, height, width], 0 to 255. "
            f"Got: {dataset.x_train.dtype} {list(dataset.x_train.shape)}. Convert it."
        )
    if dataset.classes < 2:
        raise InputError(f"{dataset.source} must have labels of 2 classes or more. Got: only 0.")


def _check_finite(name: str, network: "keras.Model", metrics: Metrics) -> None:
    numbers = [value for value in dataclasses.astuple(metrics) if value is not None]
    if not all(np.isfinite(values).all() for values in (*network.get_weights(), *numbers)):
        raise InputError(
            f"{name} must have finite weights and metrics. Got: NaN or infinity. "
            "Train with another recipe, without --resume."
        )


def _splits(dataset: data.Dataset, split_seed: int, recipe: Recipe) -> Splits:
    """Returns indices of the training and validation images; the latter may be empty."""
    splits = data.split_indices(len(dataset.x_train), split_seed)
    return (np.sort(np.concatenate(splits)), splits[1][:0]) if recipe.all_images else splits


def _examples(
    dataset: data.Dataset, splits: Splits, shape: tuple[int, ...], recipe: Recipe
) -> tuple[loop.Examples, loop.Examples | None]:
    """Returns `(x, y)` of the training and of the validation images; None if there are none.

    Images stay uint8, which takes a quarter of the memory; Keras casts each batch to float32.
    """
    train, validation = (
        (dataset.x_train[indices].reshape(-1, *shape), dataset.y_train[indices])
        for indices in splits
    )
    if recipe.extra_digits:
        x, y = extra.load()
        train = np.concatenate([train[0], x.reshape(-1, *shape)]), np.concatenate([train[1], y])
    return train, validation if len(splits[1]) else None


def _identity(
    model: str, recipe: Recipe, seed: int, split_seed: int, dataset: data.Dataset
) -> dict[str, Any]:
    """Returns what identifies a run: it must not differ when the run is resumed."""
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
        repetition: The earlier run to repeat, or None.

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
        with cli.native_logs_held():  # hides Keras's warning that the format is legacy
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
    """Formats the result of training as three lines."""
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
        print("\nfinished epochs are kept: continue with the same flags and --resume")
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
