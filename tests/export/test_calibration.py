import dataclasses

import numpy as np
import pytest

from export import calibration, keras_export
from mnist_edge import data
from mnist_edge.errors import InputError

SHAPE = (28, 28, 1)


def test_calibration_is_balanced_seeded_and_from_the_training_split():
    mnist = data.load()
    train, _ = data.split_indices(60_000, seed=3)
    chosen = calibration.choose(mnist, SHAPE, split_seed=3, count=103, seed=5)
    assert np.bincount(mnist.y_train[chosen.indices]).tolist() == [11, 11, 11] + [10] * 7
    assert np.isin(chosen.indices, train).all()
    assert len(set(chosen.indices)) == 103
    assert chosen.record == calibration.choose(mnist, SHAPE, 3, 103, seed=5).record
    assert chosen.record != calibration.choose(mnist, SHAPE, 3, 103, seed=6).record
    assert chosen.images.max() == 255


def test_calibration_on_more_images_than_a_class_has_is_refused(small):
    with pytest.raises(InputError, match="Use fewer with --calibration-count"):
        calibration.choose(data.load(small.data), SHAPE, 0, 6000, seed=0)


def test_calibration_takes_what_there_is_unless_a_count_is_named():
    x, y = np.arange(60).reshape(30, 2), np.arange(30) % 3
    few = data.Dataset(x, y, x[:3] + 100, y[:3])
    chosen = calibration.choose(few, (2,), split_seed=0, count=None, seed=0)
    assert chosen.record.count == len(chosen.images) == chosen.available == 25
    many = dataclasses.replace(few, x_train=np.tile(x, (40, 1)), y_train=np.tile(y, 40))
    assert calibration.choose(many, (2,), 0, None, seed=0).record.count == 500
    leaked = dataclasses.replace(few, x_test=x, y_test=y)
    with pytest.raises(InputError, match=r"Got: 0\. Give other data: all training images are in"):
        calibration.choose(leaked, (2,), 0, None, seed=0)


def test_images_that_are_in_the_test_set_are_refused(small):
    dataset = data.load(small.data)
    train, _ = data.split_indices(len(dataset.x_train), 0)
    leaked = train[:700]
    x_test = np.concatenate([dataset.x_test, dataset.x_train[leaked]])
    y_test = np.concatenate([dataset.y_test, dataset.y_train[leaked]])
    dataset = dataclasses.replace(dataset, x_test=x_test, y_test=y_test)
    everything = len(train) - len(leaked)
    chosen = calibration.choose(dataset, SHAPE, 0, everything, seed=0)
    assert not np.isin(chosen.indices, leaked).any()
    assert chosen.record.refused_as_test_images == 700
    with pytest.raises(InputError, match=f"Got: {everything}"):
        calibration.choose(dataset, SHAPE, 0, everything + 1, seed=0)


@pytest.mark.parametrize(
    ("count", "batch", "batches"),
    [(5, 1, [[0], [1], [2], [3], [4]]), (5, 2, [[0, 1], [2, 3]]), (2, 5, [[0, 1, 0, 1, 0]])],
)
def test_images_come_in_whole_batches_and_every_image_counts(count, batch, batches):
    found = keras_export.in_batches(np.arange(count), batch, {"image": ()})
    assert [one["image"].tolist() for one in found] == batches
