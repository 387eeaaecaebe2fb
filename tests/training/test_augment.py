import keras
import numpy as np
import pytest

from mnist_edge import data
from mnist_edge.models import Affine
from mnist_edge.training import disturb
from mnist_edge.training.augment import Distortion


def dots(count=64):
    """Images with one dot, 8 pixels right of the center."""
    images = np.zeros((count, 29, 29, 1), np.float32)
    images[:, 14, 22] = 255
    return images


def centers(images):
    """Centers of mass `[n, 2]`, x and y, from the middle of the image."""
    weights = np.asarray(images)[..., 0]
    axis = np.arange(29) - 14
    total = weights.sum((1, 2))
    x, y = (weights * axis).sum((1, 2)), (weights * axis[:, None]).sum((1, 2))
    return np.stack([x, y], axis=1) / total[:, None]


def distort(seed=0, **ranges):
    return Distortion(Affine(**ranges), seed)(dots(), training=True)


def test_images_are_left_alone_outside_training():
    layer = Distortion(Affine(rotation=45, shift=5, zoom=0.5, shear=20), seed=0)
    assert np.array_equal(layer(dots(), training=False), dots())


def test_no_range_is_the_identity():
    assert np.allclose(distort(), dots(), atol=1e-3)


def test_rotation_keeps_the_distance_and_turns_within_its_range():
    x, y = centers(distort(rotation=10)).T
    assert np.allclose(np.hypot(x, y), 8, atol=0.3)
    angles = np.degrees(np.arctan2(y, x))
    assert np.abs(angles).max() <= 10.5
    assert angles.std() > 4


def test_shift_moves_within_its_range_in_both_directions():
    moved = centers(distort(shift=2)) - [8, 0]
    assert np.abs(moved).max() <= 2.01
    assert (moved.std(axis=0) > 0.8).all()


def test_zoom_scales_about_the_center():
    x, y = centers(distort(zoom=0.1)).T
    assert x.min() > 7.1
    assert x.max() < 8.9
    assert np.abs(y).max() < 0.01


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_images(seed):
    first = np.asarray(distort(seed, rotation=10, shift=2))
    assert np.array_equal(first, distort(seed, rotation=10, shift=2))
    assert not np.array_equal(first, distort(seed + 1, rotation=10, shift=2))


def test_what_lies_outside_is_0():
    white = np.full((64, 29, 29, 1), 255, np.float32)
    moved = np.asarray(Distortion(Affine(shift=9), seed=0)(white, training=True))[..., 0]
    shares = (moved == 0).mean(axis=(1, 2))
    assert shares.max() > 0.3
    assert np.isin(moved[:, [0, -1]], 0).any()


def test_noise_has_a_strength_of_its_own_per_image_and_stays_within_bytes():
    layer = Distortion(Affine(noise=40), 0)
    gray = np.full((256, 28, 28, 1), 128, np.float32)
    deviations = (np.asarray(layer(gray, training=True)) - 128).std(axis=(1, 2, 3))
    assert deviations.min() < 4
    assert 30 < deviations.max() < 44
    noisy = np.asarray(layer(np.zeros_like(gray), training=True))
    assert noisy.min() == 0
    assert noisy.max() > 40


DISTURBED = Affine(rotation=10, shift=2, disturbed=0.6)


def test_a_share_of_the_batch_is_disturbed_and_the_rest_is_as_without():
    images = dots(100)
    disturbed = np.asarray(Distortion(DISTURBED, 0)(images, training=True))
    assert disturbed.shape == images.shape
    assert disturbed.min() >= 0
    assert disturbed.max() <= 255
    ink = disturbed.sum((1, 2, 3))
    assert np.abs(ink[:40] - 255).max() < 3  # moved only: interpolation keeps the dot's ink
    assert (np.abs(ink[40:] - 255) > 3).mean() > 0.5


@pytest.mark.parametrize("kind", disturb.KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_disturbs_digits_differently_and_no_pixel_is_lost_to_nan(kind):
    digits = data.load().x_train[:24, ..., None].astype(np.float32)
    images = np.asarray(kind(disturb.Draws(keras.random.SeedGenerator(0)), digits))
    assert images.shape == digits.shape
    assert np.isfinite(images).all()
    changes = np.abs(images.clip(0, 255) - digits).mean((1, 2, 3))
    assert (changes > 1).mean() > 0.3  # gray levels; the weakest draws change next to nothing
    assert len(np.unique(changes.round(3))) > 12


def test_a_batch_too_small_to_share_is_only_moved():
    few = np.asarray(Distortion(DISTURBED, 0)(dots(3), training=True))
    assert np.allclose(few.sum((1, 2, 3)), 255, atol=3)
