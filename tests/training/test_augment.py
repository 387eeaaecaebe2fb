import numpy as np
import pytest

from mnist_edge.models import Affine
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
