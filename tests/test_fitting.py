"""Fitting epoch by epoch, and going on from a checkpoint."""

import dataclasses

import keras
import numpy as np
import pytest

from mnist_edge import data, fitting, models
from mnist_edge.augment import Affine
from mnist_edge.checkpoint import Checkpoint
from mnist_edge.cli import InputError

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def few(small_data):
    """512 training and 512 validation examples."""
    dataset = data.load(small_data)
    x, y = data.as_inputs(dataset.x_train[:1024], SHAPE), dataset.y_train[:1024]
    return (x[:512], y[:512]), (x[512:], y[512:])


def test_best_keeps_the_weights_that_validation_prefers(few):
    # A learning rate high enough that validation does not only rise.
    recipe = models.Recipe(epochs=4, batch_size=(64,), learning_rate=0.01, keep="best")
    keras.utils.set_random_seed(0)
    model = models.build("classic")
    _, run = fitting.fit(model, recipe, 0, *few)
    x, y = few[1]
    kept = np.mean(model.predict(x, verbose=0).argmax(1) == y)
    assert kept == pytest.approx(max(run.history["val_accuracy"]), abs=1e-6)


def test_patience_stops_early_and_keeps_the_best(few):
    recipe = models.Recipe(epochs=30, batch_size=(64,), learning_rate=0.1, keep="best", patience=2)
    keras.utils.set_random_seed(0)
    _, run = fitting.fit(models.build("classic"), recipe, 0, *few)
    assert run.epochs < 30
    assert run.epochs - 1 - run.best_epoch == 2


def test_augmentation_reaches_training(few, monkeypatch):
    seen = []
    monkeypatch.setattr(
        fitting, "random_affine", lambda *given: seen.append(given) or keras.layers.Identity()
    )
    recipe = models.Recipe(epochs=1, batch_size=(32,), augment=Affine(rotation=10))
    fitting.fit(models.build("edge"), recipe, 7, *few)
    assert seen == [(Affine(rotation=10), 7)]


# Interrupted runs.


class Interruption(keras.callbacks.Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch == 3 and self.params["epochs"] and self.epoch == self.at:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def fit_weights(name, recipe, few, checkpoint=None, resume=False, callbacks=()):
    keras.utils.set_random_seed(5)
    model = models.build(name)
    _, run = fitting.fit(model, recipe, 5, *few, checkpoint, resume, callbacks=callbacks)
    return model.get_weights(), run


@pytest.mark.parametrize(
    ("name", "augment"), [("edge", models.GENTLE), ("conv-pool-conv-pool", None)]
)
def test_a_resumed_run_ends_as_an_uninterrupted_one_bit_for_bit(few, tmp_path, name, augment):
    # edge has batch normalisation and augmentation; the other has Dropout.
    recipe = dataclasses.replace(
        models.ZOO[name].recipe, epochs=4, batch_size=(64,), augment=augment
    )
    straight, straight_run = fit_weights(name, recipe, few)
    checkpoint = Checkpoint(tmp_path / "checkpoint", {"model": name})
    with pytest.raises(KeyboardInterrupt):
        fit_weights(name, recipe, few, checkpoint, callbacks=[Interruption(epoch=2)])
    keras.utils.set_random_seed(99)  # whatever the process did before
    resumed, resumed_run = fit_weights(name, recipe, few, checkpoint, resume=True)
    assert resumed_run.history == straight_run.history
    assert all(map(np.array_equal, resumed, straight))


def test_a_run_without_its_random_states_would_end_elsewhere(few, tmp_path):
    recipe = models.Recipe(epochs=2, batch_size=(64,))
    straight, _ = fit_weights("conv-pool-conv-pool", recipe, few)
    other, _ = fit_weights("conv-pool-conv-pool", dataclasses.replace(recipe, epochs=1), few)
    assert not all(map(np.array_equal, straight, other))


def test_a_damaged_checkpoint_is_refused(few, tmp_path):
    recipe = models.Recipe(epochs=1, batch_size=(64,))
    checkpoint = Checkpoint(tmp_path / "checkpoint", {"model": "classic"})
    fit_weights("classic", recipe, few, checkpoint)
    with open(checkpoint.folder / "variables.npz", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=r"variables\.npz is missing or damaged"):
        fit_weights("classic", recipe, few, checkpoint, resume=True)


def test_a_checkpoints_folder_keeps_what_is_not_ours(few, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint", {"model": "classic"})
    fit_weights("classic", models.Recipe(epochs=1, batch_size=(64,)), few, checkpoint)
    (checkpoint.folder / "somebodys.txt").touch()
    checkpoint.remove()
    assert [path.name for path in checkpoint.folder.iterdir()] == ["somebodys.txt"]


def test_without_a_checkpoint_resume_starts_afresh(few, tmp_path):
    checkpoint = Checkpoint(tmp_path / "none", {"model": "classic"})
    _, run = fit_weights(
        "classic", models.Recipe(epochs=1, batch_size=(64,)), few, checkpoint, resume=True
    )
    assert run.epochs == 1
