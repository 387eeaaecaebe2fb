"""What is learned where a network averages the logits of several branches."""

import keras
import numpy as np
import pytest

from mnist_edge import models
from mnist_edge.models import Affine
from mnist_edge.training import loop

BRANCHES, CLASSES = 3, 4


@pytest.fixture
def branched():
    """A network of three branches, a dense layer each."""

    def layers_of(layers, classes):
        heads = [layers.Dense(classes) for _ in range(BRANCHES)]
        return [layers.Flatten(), lambda x: [head(x) for head in heads], layers.Average()]

    keras.utils.set_random_seed(0)
    return models.assemble(layers_of, "branched", (5, 5), CLASSES, classifies=True)


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 5, 5, 1), "uint8"), rng.integers(0, CLASSES, 64)


def recipe(**changes):
    return models.Recipe(1, 64, learning_rate=0.0, branch_losses=True, **changes)


def branches_probabilities(model, x):
    """`[branches, images, classes]`."""
    logits = keras.Model(model.input, model.layers[-2].input)
    return np.array([keras.ops.softmax(part) for part in logits(x.astype("float32"))])


def cross_entropy(targets, probabilities):
    return -np.mean(np.sum(targets * np.log(probabilities), axis=-1))


LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy")


@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [
        (LOSSES[0], 0.1),
        (LOSSES[1], 0.0),
        pytest.param(LOSSES[0], 0.0, marks=pytest.mark.long),
        pytest.param(LOSSES[1], 0.1, marks=pytest.mark.long),
    ],
)
def test_the_loss_is_the_mean_of_the_branches_and_validations_that_of_the_average(
    branched, examples, loss, smoothing
):
    x, y = examples
    changes = {"loss": loss, "label_smoothing": smoothing}
    _, run = loop.fit(branched, recipe(**changes), 0, examples, examples)
    labels = np.eye(CLASSES)[y]
    each = branches_probabilities(branched, x)
    smoothed = (1 - smoothing) * labels + smoothing / CLASSES
    assert run.history["loss"][0] == pytest.approx(cross_entropy(smoothed, each), rel=1e-4)
    whole = branched.predict(x, verbose=0)
    assert run.history["val_loss"][0] == pytest.approx(cross_entropy(labels, whole), rel=1e-4)
    assert cross_entropy(labels, whole) < 0.99 * cross_entropy(labels, each)
    mean = each.mean(axis=0).argmax(-1) == y
    assert run.history["accuracy"][0] == pytest.approx(np.mean(mean), abs=1e-6)


def test_a_branch_learns_as_if_the_others_were_not_there(branched, examples):
    plain = {"augment": Affine(rotation=10), "average": 0.5}
    alike = models.Recipe(3, 16, learning_rate=0.01, branch_losses=True, **plain)
    first, *others = [layer for layer in branched.layers if layer.name.startswith("dense")]
    start = branched.get_weights()
    ends = []
    for factor in (1, 5):
        branched.set_weights(start)
        for layer in others:
            layer.set_weights([factor * weight for weight in layer.get_weights()])
        loop.fit(branched, alike, 0, examples)
        ends.append(first.get_weights())
    assert not np.allclose(ends[0][0], start[0])
    assert all(map(np.array_equal, *ends))


def test_with_one_loss_for_all_a_branch_hears_of_the_others(branched, examples):
    alike = models.Recipe(1, 64, learning_rate=0.01)
    start, ends = branched.get_weights(), []
    for factor in (1, 5):
        branched.set_weights([start[0], start[1], *(factor * part for part in start[2:])])
        # Plain gradient steps: Adam's are as long whatever the gradient's size is.
        learner = loop.compiled(branched, alike, 0, len(examples[0]))
        learner.compile(optimizer=keras.optimizers.SGD(0.1), loss=alike.loss)
        learner.train_on_batch(*examples)
        ends.append(learner.network.get_weights()[0])
    assert not np.allclose(*ends)


def test_what_a_resumed_run_needs_is_named_once(branched):
    learner = loop.compiled(branched, recipe(), 0, 64)
    state = learner.state()
    assert len({id(variable) for variable in state}) == len(state)


@pytest.mark.parametrize("name", [n for n, row in models.ZOO.items() if row.recipe.branch_losses])
def test_what_has_a_loss_per_branch_averages_its_branches(name):
    assert models.ZOO[name].full_recipe.branch_losses
    averaging, softmax = models.build(name).layers[-2:]
    assert isinstance(averaging, keras.layers.Average)
    assert len(averaging.input) > 1
    assert softmax.activation is keras.activations.softmax
