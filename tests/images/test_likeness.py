import numpy as np
import pytest

from benchmarks.corruptions import negatives
from mnist_edge import data
from mnist_edge.images import likeness

SET = data.load()


@pytest.mark.long  # reduces 60,000 images
def test_the_file_is_what_a_fit_on_training_and_validation_images_gives():
    train, validation = data.split_indices(len(SET.x_train), seed=0)
    fitted = likeness.fit(SET.x_train[train], SET.y_train[train], SET.x_train[validation])
    stored = likeness._fitted()
    assert fitted.keys() == stored.keys()
    # Signs and last bits of components differ between linear algebra libraries; distances don't.
    reduced = likeness._reduced(SET.x_test[:100])
    ours, theirs = (likeness._distances(reduced, one) for one in (fitted, stored))
    assert np.allclose(ours, theirs, rtol=1e-2)
    assert np.allclose(fitted["scale"], stored["scale"], rtol=1e-3)


def test_digits_look_like_digits_wherever_they_are_and_on_any_paper():
    images = SET.x_test[:500].astype(np.float32)
    plain = likeness.likeness(images)
    assert np.mean(plain > 0.5) >= 0.99
    shifted = likeness.likeness(np.roll(images, (2, -3), (1, 2)))
    for found in (shifted, likeness.likeness(255 - images), likeness.likeness(images / 2 + 100)):
        # Half the contrast is paler, so a little further from MNIST's.
        assert np.mean(found > 0.5) >= 0.98
    # A center of mass halfway between two pixels may go to either.
    assert np.median(np.abs(plain - shifted)) < 1e-3


@pytest.mark.parametrize("name", ["blank paper", "textures"])
def test_blank_paper_and_textures_do_not(name):
    assert np.mean(likeness.likeness(negatives.make(name, 200, (28, 28))) > 0.5) <= 0.01


def test_an_image_without_ink_is_no_digit():
    assert likeness.likeness(np.zeros((1, 28, 28, 1), np.float32))[0] < 0.05
