"""Train a model of the zoo and write its bundle.

    python -m mnist_edge.train --model edge --seed 0

writes `model.keras`, `train.json` and `history.csv` to `artifacts/edge/`, all three or
none. Epochs and weights are chosen on 5,000 validation images; the test set is read
once, at the end, to report.
"""

import csv
import dataclasses
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

import mnist_edge
from mnist_edge import backend, bundle, cli, data, models
from mnist_edge.augment import random_affine
from mnist_edge.cli import InputError, setting


def _recipes(field):
    return ", ".join(f"{name} {getattr(row.recipe, field)}" for name, row in models.ZOO.items())


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """The settings of one training run, and every default of the command line."""

    model: str = setting(models.DEFAULT, "network of the zoo", choices=tuple(models.ZOO))
    epochs: int | None = setting(
        None, f"passes over the training images (default: the recipe's, {_recipes('epochs')})"
    )
    batch_size: int | None = setting(
        None, f"images a step (default: the recipe's, {_recipes('batch_size')})"
    )
    seed: int = setting(0, "seed of weights, order and augmentation")
    split_seed: int = setting(0, "seed of the split into training and validation images")
    output: Path | None = setting(
        None, f"folder of the bundle (default: {bundle.ARTIFACTS}/<model>)"
    )
    data: str = setting(data.MNIST, "'mnist', or an .npz in the layout of keras.datasets.mnist")

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name.replace('_', '-')} must be 1 or more. Got: {value}.")
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            if not 0 <= value < 2**32:
                raise InputError(
                    f"--{name.replace('_', '-')} must be 0 to 4294967295. Got: {value}."
                )

    @property
    def recipe(self):
        """The network's recipe with what the command line overrides."""
        given = {"epochs": self.epochs, "batch_size": self.batch_size}
        return dataclasses.replace(
            models.ZOO[self.model].recipe, **{k: v for k, v in given.items() if v is not None}
        )

    @property
    def folder(self):
        """Where the bundle goes."""
        return self.output or bundle.ARTIFACTS / self.model


def train(settings):
    """Trains a model and writes its bundle.

    Args:
        settings: A `TrainSettings`.

    Returns:
        The record that `train.json` holds, a dict.

    Raises:
        InputError: The data can't be used.
    """
    import keras

    started = time.perf_counter()
    recipe = settings.recipe
    dataset = data.load(settings.data)
    if dataset.x_train.dtype != np.uint8 or dataset.x_train.ndim != 3:
        raise InputError(
            f"{settings.data}: x_train must be uint8 [n, height, width], 0 to 255. "
            f"Got: {dataset.x_train.dtype} {list(dataset.x_train.shape)}."
        )
    train_indices, validation_indices = data.split_indices(
        len(dataset.x_train), settings.split_seed
    )
    keras.utils.set_random_seed(settings.seed)
    model = models.build(settings.model, dataset.x_train.shape[1:], dataset.classes)
    shape = model.input.shape[1:]
    with bundle.staged(settings.folder) as stage:
        trained, history = _fit(
            model,
            recipe,
            settings.seed,
            data.as_inputs(dataset.x_train[train_indices], shape),
            dataset.y_train[train_indices],
            (
                data.as_inputs(dataset.x_train[validation_indices], shape),
                dataset.y_train[validation_indices],
            ),
        )
        training_seconds = time.perf_counter() - started
        test = trained.evaluate(
            data.as_inputs(dataset.x_test, shape),
            dataset.y_test,
            batch_size=500,
            verbose=0,
            return_dict=True,
        )
        _write_history(stage / bundle.HISTORY, history)
        model.save(stage / bundle.MODEL)
        kept = _kept_epoch(history, recipe.keep)
        record = {
            "schema": 1,
            "model": settings.model,
            "parameters": model.count_params(),
            "multiply_accumulates": models.multiply_accumulates(model),
            "metrics": {
                "validation_accuracy": history["val_accuracy"][kept],
                "validation_loss": history["val_loss"][kept],
                "test_accuracy": test["accuracy"],
                "test_loss": test["loss"],
            },
            "kept_epoch": kept + 1,
            "training_seconds": round(training_seconds, 1),
            "recipe": dataclasses.asdict(recipe),
            "seed": settings.seed,
            "data": {
                "source": dataset.source,
                "classes": dataset.classes,
                "split_seed": settings.split_seed,
                "train_count": len(train_indices),
                "validation_count": len(validation_indices),
                "test_count": len(dataset.x_test),
                "sha256": dataset.sha256(),
            },
            "model_sha256": bundle.sha256_file(stage / bundle.MODEL),
            "versions": {
                "mnist-edge": mnist_edge.__version__,
                "python": platform.python_version(),
                "keras": keras.version(),
                "backend": keras.backend.backend(),
                "numpy": np.__version__,
            },
            "machine": {"platform": platform.platform(), "cpu_count": os.cpu_count()},
        }
        bundle.write_json(stage / bundle.TRAIN, record)
    return record


def _fit(model, recipe, seed, x, y, validation_data):
    """Fits `model` in place.

    Returns:
        `(trained, history)`: the compiled wrapper that was fitted, and Keras's history, a
        list an epoch by metric's name.
    """
    import keras

    # A wrapper, so that the saved model holds neither a layer of ours nor an optimizer.
    augmentation = [random_affine(recipe.augment, seed)] if recipe.augment else []
    trained = keras.Sequential([keras.Input(model.input.shape[1:]), *augmentation, model])
    trained.compile(
        optimizer=_optimizer(recipe, steps=-(-len(x) // recipe.batch_size)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    callbacks = []
    if recipe.keep == "best":
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=recipe.epochs, restore_best_weights=True
            )
        )
    history = trained.fit(
        x,
        y,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        validation_data=validation_data,
        callbacks=callbacks,
        verbose=1 if sys.stdout.isatty() else 2,
    ).history
    return trained, history


def _optimizer(recipe, steps):
    """AdamW by the recipe; `steps` is the number of steps an epoch."""
    import keras

    rate = recipe.learning_rate
    if recipe.cosine:
        warmup_steps = int(recipe.warmup_epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup_steps else rate,
            decay_steps=max(1, recipe.epochs * steps - warmup_steps),
            warmup_target=rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


def _kept_epoch(history, keep):
    """Index of the epoch whose weights the model has."""
    accuracies = history["val_accuracy"]
    return int(np.argmax(accuracies)) if keep == "best" else len(accuracies) - 1


def _write_history(path, history):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        for epoch, row in enumerate(zip(*history.values(), strict=True), start=1):
            writer.writerow([epoch, *row])


@cli.command
def main(argv=None):
    """Parses `argv`, trains, prints the result; returns the exit status."""
    settings = cli.parse_settings(TrainSettings, __doc__, argv)
    backend.start_keras()
    record = train(settings)
    metrics = record["metrics"]
    print(
        f"{record['model']}: {record['parameters']:,} parameters, "
        f"{record['multiply_accumulates']:,} multiply-accumulates, "
        f"epoch {record['kept_epoch']} kept, {record['training_seconds']} s"
    )
    print(
        f"validation accuracy {metrics['validation_accuracy']:.2%}, "
        f"test accuracy {metrics['test_accuracy']:.2%}, test loss {metrics['test_loss']:.4f}"
    )
    print(f"written: {settings.folder}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
