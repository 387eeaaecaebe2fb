"""Fitting epoch by epoch, and going on from a checkpoint."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from mnist_edge import data, models
from mnist_edge.models import Affine, zoo
from mnist_edge.training import learner, loop
from mnist_edge.training.augment import Distortion
from mnist_edge.training.checkpoint import Checkpoint

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def few(small_data):
    """512 training and 512 validation examples."""
    dataset = data.load(small_data)
    x, y = data.as_inputs(dataset.x_train[:1024], SHAPE), dataset.y_train[:1024]
    return (x[:512], y[:512]), (x[512:], y[512:])


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """A network of the zoo with moving statistics and dropout, which trains in a moment."""

    def hidden_layers(layers):
        convolution = [layers.Conv2D(4, 5, strides=4), layers.BatchNormalization(), layers.ReLU()]
        return [*convolution, layers.Flatten(), layers.Dropout(0.3)]

    monkeypatch.setitem(zoo.ZOO, "tiny", zoo.Network(hidden_layers, models.Recipe(1, 64)))


@pytest.fixture(autouse=True)
def few_steps_at_once(monkeypatch):
    """Of 8 steps an epoch: all in one go would leave nothing to interrupt."""
    monkeypatch.setattr(loop, "_STEPS_AT_ONCE", 3)


def test_best_keeps_the_weights_that_validation_prefers(few):
    # A learning rate high enough that validation does not only rise.
    recipe = models.Recipe(epochs=4, batch_size=64, learning_rate=0.01, keep="best")
    keras.utils.set_random_seed(0)
    model = models.build("tiny")
    _, run = loop.fit(model, recipe, 0, *few)
    x, y = few[1]
    kept = np.mean(model.predict(x, verbose=0).argmax(1) == y)
    assert kept == pytest.approx(max(run.history["val_accuracy"]), abs=1e-6)


def test_patience_stops_early_and_keeps_the_best(few):
    recipe = models.Recipe(epochs=30, batch_size=64, learning_rate=0.1, keep="best", patience=2)
    keras.utils.set_random_seed(0)
    _, run = loop.fit(models.build("tiny"), recipe, 0, *few)
    assert run.epochs < 30
    assert run.epochs - 1 - run.best_epoch == 2


def test_augmentation_reaches_training_and_distorts_bytes_as_floats(few, monkeypatch):
    made = []
    monkeypatch.setattr(
        learner, "Distortion", lambda *given: made.append(given) or Distortion(*given)
    )
    (x, y), validation = few
    recipe = models.Recipe(1, 256, augment=Affine(rotation=10), learning_rate=0.01)
    floats, of_bytes, plain = (
        fit_weights("tiny", one, ((x.astype(kind), y), validation))[1].history
        for one, kind in (
            (recipe, np.float32),
            (recipe, np.uint8),
            (dataclasses.replace(recipe, augment=None), np.float32),
        )
    )
    assert made == [(Affine(rotation=10), 5)] * 2
    assert floats == of_bytes != plain


def test_the_plain_epochs_at_the_end_are_not_distorted(few):
    recipe = models.Recipe(2, 256, augment=Affine(rotation=10), learning_rate=0.01)
    weights, histories = [], []
    for changes in ({}, {"plain_epochs": 1}, {"plain_epochs": 2}, {"augment": None}):
        ended, run = fit_weights("tiny", dataclasses.replace(recipe, **changes), few)
        weights.append(ended)
        histories.append(run.history["loss"])
    distorted, half, plain, without = histories
    assert half[0] == distorted[0] != plain[0]
    assert half[1] not in (distorted[1], plain[1])
    assert plain == without
    assert all(map(np.array_equal, *weights[2:]))


# Averaged weights.


class EveryStep(keras.callbacks.Callback):
    """Keeps the weights after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.model.network.get_weights())


def test_averaged_weights_are_the_moving_average_of_every_steps_weights(few, monkeypatch):
    monkeypatch.setattr(loop, "_STEPS_AT_ONCE", 1)
    steps = EveryStep()
    recipe = models.Recipe(epochs=3, batch_size=128, learning_rate=0.01, average=0.8)
    keras.utils.set_random_seed(0)
    model = models.build("tiny")
    average = model.get_weights()
    _, run = loop.fit(model, recipe, 0, *few, callbacks=[steps])
    for step, weights in enumerate(steps.weights, start=1):
        momentum = min(0.8, (1 + step) / (10 + step))
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)]
    kept = model.get_weights()
    for a, b in zip(kept, average, strict=True):
        assert np.allclose(a, b, atol=1e-5)
    assert not all(map(np.array_equal, kept, steps.weights[-1]))
    x, y = few[1]
    accuracy = np.mean(model.predict(x, verbose=0).argmax(1) == y)
    assert run.history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)


# Losses.


def loss_of(recipe, few):
    """`(training's, validation's)` after an epoch in which nothing is learned."""
    keras.utils.set_random_seed(3)
    model = models.build("classic")
    recipe = dataclasses.replace(recipe, epochs=1, batch_size=512, learning_rate=0.0)
    _, run = loop.fit(model, recipe, 3, *few)
    probabilities = [model.predict(x, verbose=0) for x, _ in few]
    return run.history["loss"][0], run.history["val_loss"][0], probabilities


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_label_smoothing_spreads_the_labels_in_training_alone(few, loss):
    recipe = models.Recipe(1, 512, loss=loss, label_smoothing=0.1)
    trained, validated, (p, q) = loss_of(recipe, few)
    labels = 0.9 * np.eye(10)[few[0][1]] + 0.1 / 10
    assert trained == pytest.approx(-np.mean(np.sum(labels * np.log(p), axis=1)), rel=1e-4)
    plain = -np.mean(np.log(q[np.arange(512), few[1][1]]))
    assert validated == pytest.approx(plain, rel=1e-4)


def test_a_step_is_traced_once(few, monkeypatch):
    traced, call = [], learner.Learner.call

    def called(self, images, training=False):
        traced.append(training)
        return call(self, images, training)

    monkeypatch.setattr(learner.Learner, "call", called)
    loop.fit(models.build("tiny"), models.Recipe(1, 256, all_images=True), 0, few[0])
    assert traced == [True]


def test_without_validation_the_last_weights_are_kept(few):
    _, run = loop.fit(models.build("tiny"), models.Recipe(2, 256, all_images=True), 0, few[0])
    assert run.epochs == 2
    assert set(run.history) == {"accuracy", "loss"}


# Interrupted runs.


class Interruption(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch == 5 and self.epoch == self.at:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def fit_weights(name, recipe, few, checkpoint=None, resume=False, callbacks=()):
    keras.utils.set_random_seed(5)
    model = models.build(name)
    _, run = loop.fit(model, recipe, 5, *few, checkpoint, resume, callbacks=callbacks)
    return model.get_weights(), run


STRONG = Affine(rotation=10, shift=2, noise=20)
EVERYTHING = {
    "average": 0.9,
    "muon_rate": 0.05,
    "augment": STRONG,
    "plain_epochs": 2,
    "keep": "best",
}


@pytest.mark.parametrize(
    ("name", "changes", "places"),
    [
        pytest.param("edge", {"augment": models.GENTLE}, "ab", marks=pytest.mark.long),
        pytest.param("conv-pool-conv-pool", {}, "ab", marks=pytest.mark.long),
        pytest.param("tiny", EVERYTHING, "a", marks=pytest.mark.long),
        ("tiny", EVERYTHING, "b"),  # from the epoch before, which is whole
    ],
)
def test_a_resumed_run_ends_as_an_uninterrupted_one_bit_for_bit(
    few, tmp_path, name, changes, places, capsys
):
    recipe = dataclasses.replace(models.ZOO[name].recipe, epochs=4, batch_size=64, **changes)
    straight, straight_run = fit_weights(name, recipe, few)
    checkpoint, damaged = (Checkpoint(tmp_path / place, {"model": name}) for place in "ab")
    with pytest.raises(KeyboardInterrupt):
        fit_weights(name, recipe, few, checkpoint, callbacks=[Interruption(epoch=2)])
    shutil.copytree(checkpoint.folder, damaged.folder)
    with open(damaged.folder / "epoch-00002" / "variables.npz", "r+b") as file:
        file.truncate(1000)
    for letter in places:  # what is damaged is trained again, to the same end
        place = checkpoint if letter == "a" else damaged
        keras.utils.set_random_seed(99)  # whatever the process did before
        resumed, resumed_run = fit_weights(name, recipe, few, place, resume=True)
        assert resumed_run.history == straight_run.history
        assert all(map(np.array_equal, resumed, straight))
        shown = capsys.readouterr().err
        line = "variables.npz is damaged; continuing from the epoch before"
        assert (line in shown) == ("warning:" in shown) == (place is damaged)


def test_without_a_checkpoint_resume_starts_afresh(few, tmp_path):
    checkpoint = Checkpoint(tmp_path / "none", {"model": "tiny"})
    _, run = fit_weights(
        "tiny", models.Recipe(epochs=1, batch_size=64), few, checkpoint, resume=True
    )
    assert run.epochs == 1
