"""Fit a model epoch by epoch, each with its own order of the images.

The order is a function of seed and epoch, and every random state is a variable that the
checkpoint holds: a run that was interrupted goes on to the very same end.
"""

import sys
import time

import numpy as np

from mnist_edge.training.checkpoint import Run

# Steps that the backend takes before Python hears of them: what lies between two steps of
# `edge`, a fifth of its processor time, falls away, and Ctrl-C is still answered in seconds.
_STEPS_AT_ONCE = 50


def fit(model, recipe, seed, train, validation=None, checkpoint=None, resume=False, **options):
    """Fits `model` in place and leaves it with the weights that the recipe keeps.

    Args:
        model: A `keras.Model`, pixels in, probabilities out.
        recipe: A `models.Recipe`.
        seed: int.
        train: `(x, y)`, uint8 or float32 `[n, height, width, 1]`, 0 to 255, and integers
            `[n]`.
        validation: As `train`, or None: then the recipe keeps the last weights.
        checkpoint: A `checkpoint.Checkpoint` that keeps each finished epoch, or None.
        resume: Whether to go on from the checkpoint.
        **options: `callbacks` and `verbose` for `keras.Model.fit`, and `teacher`, a
            `keras.Model` as `model`, for a recipe that has one.

    Returns:
        `(learner, run)`: the compiled `learner.Learner` that was fitted, and its `Run`.

    Raises:
        InputError: The checkpoint is damaged, or another run's.
    """
    learner = compiled(model, recipe, seed, len(train[0]), options.pop("teacher", None))
    if checkpoint:
        checkpoint.check()
    run = checkpoint.restore(learner.state(), _warn) if checkpoint and resume else Run()
    classes = model.output.shape[-1]
    data = {
        name: (split[0], targets(split[1], recipe, classes)) if split else None
        for name, split in (("train", train), ("validation", validation))
    }
    while not run.is_over(recipe):
        fit_epoch(learner, recipe, seed, data, run, options)
        if recipe.keep == "best" and run.best_epoch == run.epochs - 1:
            run.best_weights = learner.good_weights()
        if checkpoint:
            checkpoint.save(learner.state(), run)
    weights = run.best_weights if recipe.keep == "best" else learner.good_weights()
    for network in (model, learner.network):
        network.set_weights(weights)
    return learner, run


def _warn(line):
    print(f"warning: {line}", file=sys.stderr)


def compiled(model, recipe, seed, count, teacher=None):
    """A `learner.Learner` of `model`, ready to be fitted to `count` images; see `fit`."""
    import keras

    from mnist_edge.training.learner import Learner

    learner = Learner(model, recipe, seed, teacher)
    learner.compile(
        optimizer=optimizer(recipe, count),
        loss=recipe.loss,
        metrics=["accuracy"],
        # PyTorch's trainer takes them one by one, and refuses to be asked for more.
        steps_per_execution=1 if keras.backend.backend() == "torch" else _STEPS_AT_ONCE,
    )
    learner.optimizer.build(learner.trainable_variables)
    return learner


def optimizer(recipe, count):
    """Keras's AdamW by the recipe, or Muon with it, for `count` training images."""
    import keras

    if not recipe.muon_rate:
        rate = _schedule(recipe, recipe.learning_rate, count)
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    from mnist_edge.training.muon import ConvolutionMuon

    share = recipe.learning_rate / recipe.muon_rate  # Muon has one schedule for both
    return ConvolutionMuon(
        _schedule(recipe, recipe.muon_rate, count),
        weight_decay=recipe.weight_decay,
        adam_lr_ratio=share,
        adam_weight_decay=recipe.weight_decay * share,
        momentum=0.9,  # over few steps a quicker one than Keras's 0.95 (docs/search.md)
        rms_rate=None,
    )


def _schedule(recipe, rate, count):
    import keras

    if not recipe.cosine:
        return rate
    steps = [-(-count // recipe.batch_size_of(epoch)) for epoch in range(recipe.epochs)]
    warmup_steps = int(recipe.warmup_epochs * steps[0])
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else rate,
        decay_steps=max(1, sum(steps) - warmup_steps),
        warmup_target=rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def targets(labels, recipe, classes):
    """Labels as the recipe's loss takes them.

    Args:
        labels: Integers `[n]`.
        recipe: A `models.Recipe`.
        classes: Number of classes.

    Returns:
        Integers `[n]`, or one-hot floats `[n, classes]`.
    """
    import keras

    if recipe.loss == "categorical_crossentropy":
        return keras.utils.to_categorical(labels, classes)
    return labels


def fit_epoch(learner, recipe, seed, data, run, options):
    """Fits one more epoch and adds it to `run`.

    Args:
        learner: As `compiled` makes it.
        recipe: A `models.Recipe`.
        seed: int.
        data: "train" and "validation" to `(x, y)` as the loss takes them, or None.
        run: The `Run` so far.
        options: `callbacks` and `verbose` for `keras.Model.fit`.
    """
    import keras

    from mnist_edge.training.learner import GoodWeights

    class StopAfterEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    epoch = run.epochs
    started = time.perf_counter()
    # Put in order here and not by `fit`: its shuffling follows the global seed, and setting
    # that makes TensorFlow forget its compiled steps, half a second an epoch.
    order = np.random.default_rng((seed, epoch)).permutation(len(data["train"][0]))
    callbacks = [*options.get("callbacks", ()), StopAfterEpoch()]
    if recipe.average:
        callbacks.append(GoodWeights())
    if learner.distortion:
        gentle = epoch >= recipe.epochs - recipe.gentle_epochs
        learner.distortion.strength.assign(recipe.gentle_strength if gentle else 1.0)
    logs = learner.fit(
        *(array[order] for array in data["train"]),
        shuffle=False,
        batch_size=recipe.batch_size_of(epoch),
        initial_epoch=epoch,
        epochs=recipe.epochs,  # one is fitted; the progress bar tells of all
        validation_data=data["validation"],
        validation_batch_size=500,
        callbacks=callbacks,
        verbose=options.get("verbose", 0),
    ).history
    for name, (value,) in logs.items():
        run.history.setdefault(name, []).append(float(value))
    run.seconds += time.perf_counter() - started
