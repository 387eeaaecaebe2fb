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
    fitted, stored = {k: v.astype(np.int64) for k, v in fitted.items()}, likeness.arrays()
    assert fitted.keys() == stored.keys()
    # Linear algebra libraries differ in an axis's sign and in what rounds to another step.
    blocks = likeness._blocks(SET.x_test[:500])
    ours, theirs = (likeness._distances(blocks, one) / one["step"] for one in (fitted, stored))
    assert np.allclose(ours, theirs, atol=8)


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


def test_pixels_are_rounded_and_memory_is_taken_for_a_part_at_a_time(monkeypatch):
    images = SET.x_test[:9]
    expected = likeness.likeness(images)
    monkeypatch.setattr(likeness, "_PART_COUNT", 4)
    assert np.array_equal(likeness.likeness(images[..., None] + 1e-3), expected)


def test_an_image_without_ink_is_no_digit():
    assert likeness.likeness(np.zeros((1, 28, 28, 1), np.float32))[0] < 0.05
