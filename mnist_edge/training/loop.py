"""Fit a model epoch by epoch, so that an interrupted run can be resumed exactly.

The order of the images depends only on seed and epoch, and every random state is a variable
in the checkpoint: a resumed run gives the same weights as an uninterrupted one.
"""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge.models import Recipe
from mnist_edge.training.checkpoint import Checkpoint, Run

if TYPE_CHECKING:
    import keras

    from mnist_edge.training.learner import Learner

Examples = tuple[np.ndarray, np.ndarray]
# Keras's `steps_per_execution`. It saves the overhead between steps, a fifth of the processor
# time of `edge`; Ctrl-C still takes effect within seconds.
_STEPS_AT_ONCE = 50


def fit(
    model: "keras.Model",
    recipe: Recipe,
    seed: int,
    train: Examples,
    validation: Examples | None = None,
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    verbose: int = 0,
) -> tuple["Learner", Run]:
    """Fits `model` in place; it ends with the weights that the recipe keeps.

    Args:
        model: Maps pixels to probabilities.
        recipe: The training recipe.
        seed: Seed of the order of the images and of the distortion.
        train: `(x, y)`, uint8 or float32 `[n, height, width, 1]`, 0 to 255, and integers
            `[n]`.
        validation: Like `train`; None only if the recipe keeps the last weights.
        checkpoint: Where to save each finished epoch, or None.
        resume: Whether to continue from the checkpoint.
        callbacks: Additional callbacks for `keras.Model.fit`.
        verbose: See `keras.Model.fit`.

    Returns:
        The compiled learner that was fitted, and its run.

    Raises:
        InputError: The checkpoint is damaged, or belongs to another run.
    """
    learner = compiled(model, recipe, seed, len(train[0]))
    if checkpoint:
        checkpoint.check()
    run = checkpoint.restore(learner.state(), _warn) if checkpoint and resume else Run()
    classes = model.output.shape[-1]
    train = train[0], targets(train[1], recipe, classes)
    if validation:
        validation = validation[0], targets(validation[1], recipe, classes)
    while not run.is_over(recipe):
        fit_epoch(learner, recipe, seed, train, validation, run, callbacks, verbose)
        if recipe.keep == "best" and run.best_epoch == run.epochs - 1:
            run.best_weights = learner.ema_weights()
        if checkpoint:
            checkpoint.save(learner.state(), run)
    weights = run.best_weights if recipe.keep == "best" else learner.ema_weights()
    for network in (model, learner.network):
        network.set_weights(weights)
    return learner, run


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def compiled(model: "keras.Model", recipe: Recipe, seed: int, count: int) -> "Learner":
    """Returns a compiled learner of `model` for `count` training images; see `fit`."""
    import keras

    from mnist_edge.training.learner import Learner
    from mnist_edge.training.optimizer import optimizer

    learner = Learner(model, recipe, seed)
    learner.compile(
        optimizer=optimizer(recipe, count),
        loss=recipe.loss,
        metrics=["accuracy"],
        # Keras on PyTorch supports only 1.
        steps_per_execution=1 if keras.backend.backend() == "torch" else _STEPS_AT_ONCE,
    )
    learner.optimizer.build(learner.trainable_variables)
    # Metrics make their variables at their first call. In a step's graph, that would have
    # TensorFlow trace the step a second time.
    shape = (1, model.output.shape[-1])
    learner.compute_metrics(None, targets(np.zeros(1, int), recipe, shape[1]), np.zeros(shape))
    learner.reset_metrics()
    return learner


def targets(labels: np.ndarray, recipe: Recipe, classes: int) -> np.ndarray:
    """Returns integer labels `[n]` in the form of the recipe's loss: as is, or one-hot."""
    import keras

    if recipe.loss == "categorical_crossentropy":
        return keras.utils.to_categorical(labels, classes)
    return labels


def fit_epoch(
    learner: "Learner",
    recipe: Recipe,
    seed: int,
    train: Examples,
    validation: Examples | None,
    run: Run,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    verbose: int = 0,
) -> None:
    """Fits one epoch and adds it to `run`; arguments as for `fit`, with `y` from `targets`."""
    import keras

    from mnist_edge.training.learner import ValidateEmaWeights

    class StopAfterEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.stop_training = True

    epoch = run.epochs
    started = time.perf_counter()
    if epoch >= recipe.epochs - recipe.plain_epochs:
        learner.stop_distorting()
    # Shuffled here and not by `fit`, which uses the global seed: setting that makes TensorFlow
    # discard its compiled steps, which costs half a second per epoch.
    order = np.random.default_rng((seed, epoch)).permutation(len(train[0]))
    logs = learner.fit(
        *(array[order] for array in train),
        shuffle=False,
        batch_size=recipe.batch_size,
        initial_epoch=epoch,
        epochs=recipe.epochs,  # one is fitted; the progress bar shows the total
        validation_data=validation,
        validation_batch_size=500,
        callbacks=[
            *callbacks,
            StopAfterEpoch(),
            *([ValidateEmaWeights()] if recipe.average else []),
        ],
        verbose=verbose,
    ).history
    for name, (value,) in logs.items():
        run.history.setdefault(name, []).append(float(value))
    run.seconds += time.perf_counter() - started
