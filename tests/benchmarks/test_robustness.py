import dataclasses
import sys

import numpy as np
import pytest

from benchmarks import bundles, corruptions, robustness
from benchmarks.corruptions import files
from benchmarks.run import run
from benchmarks.settings import BenchmarkSettings
from benchmarks.tables import MEAN, robustness_table
from mnist_edge import data
from mnist_edge.errors import InputError
from tests.conftest import QUICK


@pytest.fixture(scope="module")
def images():
    return data.load().x_test[:20, :, :, None].astype(np.float32)


def center(image):
    """Row and column of an image's center of mass."""
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum()


@pytest.mark.parametrize("name", corruptions.DISTORTIONS)
def test_every_distortion_is_seeded_keeps_shape_and_range(images, name):
    distorted = robustness.distort(images, name)
    assert distorted.shape == images.shape
    assert distorted.dtype == np.float32
    assert distorted.min() >= 0
    assert distorted.max() <= 255
    assert np.array_equal(distorted, robustness.distort(images, name))
    assert (name == corruptions.PLAIN) == np.array_equal(distorted, images)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_a_shift_moves_every_image_by_so_many_pixels(images, pixels):
    shifted = robustness.distort(images, f"shift {pixels} px")
    moves = [center(a[:, :, 0]) - center(b[:, :, 0]) for a, b in zip(shifted, images, strict=True)]
    assert np.abs(moves).sum(1) == pytest.approx(pixels, abs=0.35)  # some ink may leave the image
    assert len({tuple(np.round(move / pixels)) for move in moves}) == 4


def test_a_diagonal_shift_moves_every_image_in_both_directions(images):
    shifted = robustness.distort(images, "shift 2 px diagonally")
    moves = [center(a[:, :, 0]) - center(b[:, :, 0]) for a, b in zip(shifted, images, strict=True)]
    assert np.abs(moves) == pytest.approx(2, abs=0.35)
    assert len({tuple(np.sign(move)) for move in moves}) == 4


def test_strokes_become_thinner_and_thicker(images):
    thin, thick = (robustness.distort(images, name) for name in ("thinner", "thicker"))
    assert thin.sum() < 0.8 * images.sum()
    assert thick.sum() > 1.2 * images.sum()


def test_inverting_twice_is_nothing(images):
    inverted = robustness.distort(images, "inverted")
    assert np.array_equal(robustness.distort(inverted, "inverted"), images)


def test_color_and_flat_gray_images_are_distorted_alike(images):
    flat = robustness.distort(images[:, :, :, 0], "rotate 20°")
    color = robustness.distort(images.repeat(3, axis=3), "rotate 20°")
    assert np.allclose(flat, color[:, :, :, 1], atol=1e-3)


def test_the_chosen_images_are_evenly_spaced():
    assert bundles.spaced(10_000, 3).tolist() == [0, 5000, 9999]
    assert bundles.spaced(3, 10).tolist() == [0, 1, 2]


@pytest.fixture
def settings(bundle_of_three):
    return BenchmarkSettings(
        bundles=(bundle_of_three,), robustness=True, robustness_count=100, **QUICK
    )


def test_every_artifact_is_measured_under_every_distortion(settings, without_keras):
    report = run(settings)
    keras, *rows = report.measurements
    assert keras.robustness is None  # not installed
    for row in rows:
        assert row.robustness.image_count == 100
        assert list(row.robustness.accuracy) == list(corruptions.DISTORTIONS)
        assert row.robustness.accuracy["plain"] > 0.8 > row.robustness.accuracy["inverted"]
        assert row.robustness.calibration_error.keys() == row.robustness.accuracy.keys()
        assert row.robustness.roc_area["blank paper"] > 0.8
    table = robustness_table(report)
    assert table.index("| canny edges ") < table.index(f"| {MEAN} ") < table.index("| inverted ")


@pytest.fixture
def original(tmp_path):
    """A folder in MNIST-C's layout, with plain test images as every corruption."""
    test = data.load()
    for name in files.NAMES:
        own = tmp_path / ("identity" if name == "plain" else name.replace(" ", "_"))
        own.mkdir()
        np.save(own / "test_images.npy", test.x_test[:200, :, :, None])
        np.save(own / "test_labels.npy", test.y_test[:200])
    return tmp_path


def test_mnist_cs_own_files_take_the_place_of_ours(settings, original, without_keras):
    chosen = dataclasses.replace(settings, data=f"mnist-c:{original}")
    row = run(chosen).measurements[1]
    assert row.robustness.source == f"mnist-c:{original.name}"
    assert list(row.robustness.accuracy) == list(files.NAMES)
    assert len(set(row.robustness.accuracy.values())) == 1  # the files are all alike
    (original / "fog" / "test_images.npy").unlink()
    with pytest.raises(InputError, match=r"fog/test_images.npy .*Give the folder of MNIST-C"):
        run(chosen)


def test_data_without_robustness_are_refused():
    with pytest.raises(InputError, match="--data must come with --robustness"):
        BenchmarkSettings(data="mnist-c:FOLDER")


def test_files_for_another_number_of_classes_are_refused(settings, original):
    (read,) = bundles.load_all(settings.bundles)
    two = dataclasses.replace(read, reference=read.reference[:, :2])
    with pytest.raises(InputError, match=r"MNIST-C needs a model of ten digits. Got: 2"):
        robustness.distorted(two, "fog", 5, f"mnist-c:{original}")


def test_without_scipy_it_is_refused_before_the_run(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(InputError, match="Install 'mnist-edge\\[benchmarks\\]'"):
        run(settings)


def test_examples_that_are_no_images_are_refused(settings):
    (read,) = bundles.load_all(settings.bundles)
    flat = dataclasses.replace(read, images=read.images.reshape(500, 784))
    with pytest.raises(InputError, match=r"needs images .* Got: \[784\]"):
        run(settings, [flat])
