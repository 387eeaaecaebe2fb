import dataclasses
import hashlib

import numpy as np
import pytest

from benchmarks import corruptions
from benchmarks.corruptions import MNIST_C, OWN, SAME_KIND, draws, files, noise
from mnist_edge import data
from mnist_edge.errors import InputError
from mnist_edge.models.recipe import Affine
from mnist_edge.training import disturb

# First 12 digits of the SHA-256 of 20 test images, in whole gray levels: they are the same with
# every version of NumPy and SciPy, so a figure measured once can be measured again.
SHA256 = {
    "shot noise": "88df078b8be7",
    "impulse noise": "e63b030656e3",
    "glass blur": "b342360c2e8f",
    "motion blur": "06a21bddb8d1",
    "shear": "325fb8040ca8",
    "scale": "fa11faa4a799",
    "rotate": "f6c4b0c94029",
    "brightness": "367f3679e365",
    "translate": "ab69ccc777a1",
    "stripe": "0aacade4837a",
    "fog": "77e795a5ebf0",
    "spatter": "ff79ab8e4de1",
    "dotted line": "8dcb54eb84c9",
    "zigzag": "5cbe5923957d",
    "canny edges": "e91ff606c264",
    "shift 1 px": "5efc5a611fba",
    "shift 2 px": "a397032f7e1a",
    "shift 3 px": "2c0aaba213f6",
    "shift 4 px": "d179b5775b77",
    "shift 2 px diagonally": "41032b8f2e40",
    "rotate 10°": "45c0787aa4fe",
    "rotate 20°": "4f46880301d1",
    "rotate 30°": "ad94d9e1b0eb",
    "noise": "dbb31647e2fe",
    "blur": "40582a7594f2",
    "thinner": "71d9ffa86403",
    "thicker": "509166d84ac3",
    "inverted": "f05e2aa05f94",
}


@pytest.fixture(scope="module")
def images():
    return data.load().x_test[:20, :, :, None].astype(np.float32)


def sha256(images, name):
    levels = np.round(corruptions.distort(images, name)).astype(np.uint8)
    return hashlib.sha256(levels.tobytes()).hexdigest()[:12]


def test_the_fifteen_are_those_of_mnist_c():
    assert [name.replace(" ", "_") for name in MNIST_C] == [
        *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate"),
        *("brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag"),
        "canny_edges",
    ]


@pytest.mark.parametrize("name", {**MNIST_C, **OWN})
def test_a_distortion_gives_the_same_bytes_everywhere(images, name):
    assert sha256(images, name) == SHA256[name]


def test_another_strength_gives_other_bytes(images, monkeypatch):
    monkeypatch.setattr(noise, "_PHOTONS", 4)
    assert sha256(images, "shot noise") != SHA256["shot noise"]


@pytest.mark.parametrize("name", MNIST_C)
def test_mnist_cs_are_whole_gray_levels_of_color_and_other_sizes_too(images, name):
    wide = np.pad(images[:3], ((0, 0), (2, 2), (4, 8), (0, 0))).repeat(3, axis=3)
    found = corruptions.distort(wide, name)
    assert found.shape == (3, 32, 40, 3)
    assert np.array_equal(found, np.round(found).clip(0, 255))
    assert np.array_equal(found[..., 0], found[..., 2])


def test_shot_noise_counts_up_to_three_photons_and_keeps_black(images):
    found = corruptions.distort(images, "shot noise")
    assert set(np.unique(found)) == {0, 85, 170, 255}
    assert not found[images == 0].any()
    white = corruptions.distort(np.full_like(images, 255), "shot noise")
    # Photons have a Poisson distribution of mean 3, at most 3 count: 2.328, within 4 sigma.
    assert white.mean() / 85 == pytest.approx(2.328, abs=0.03)


def test_impulse_noise_makes_one_pixel_in_twelve_white_and_as_many_black(images):
    gray = np.full_like(images, 100)
    found = corruptions.distort(gray, "impulse noise")
    assert set(np.unique(found)) == {0, 100, 255}
    for level in (0, 255):
        assert np.mean(found == level) == pytest.approx(0.085, abs=0.01)  # 4 sigma


@pytest.mark.parametrize("name", ["glass blur", "motion blur"])
def test_blur_keeps_the_ink_and_lowers_its_peaks(images, name):
    found = corruptions.distort(images, name)
    assert found.mean() == pytest.approx(images.mean(), rel=0.05)  # rounding; ink near the border
    assert (found.max((1, 2, 3)) < images.max((1, 2, 3))).all()


def test_scale_shrinks_to_seven_tenths(images):
    found = corruptions.distort(images, "scale")
    assert found.sum() / images.sum() == pytest.approx(0.49, abs=0.01)  # sampling at the edges


def test_translate_moves_by_three_pixels_diagonally(images):
    found = corruptions.distort(images, "translate")
    moves = [(3, 3), (3, -3), (-3, 3), (-3, -3)]
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    expected = [padded[:, 3 + y : 31 + y, 3 + x : 31 + x] for y, x in moves]
    used = [[np.array_equal(found[i], one[i]) for one in expected] for i in range(len(images))]
    assert np.sum(used, axis=1).tolist() == [1] * len(images)
    assert np.sum(used, axis=0).all()


@pytest.mark.parametrize("name", ["shear", "rotate"])
def test_shear_and_rotation_go_either_way_about_the_center(name):
    bar = np.zeros((20, 29, 29, 1), np.float32)
    bar[:, 4:25, 14] = 255
    found = corruptions.distort(bar, name)[..., 0]
    assert (found[:, 14, 14] == 255).all()
    heads = {int(one[6].argmax()) for one in found}
    assert len(heads) == 2
    assert sum(heads) == 2 * 14


def test_brightness_stripes_and_edges(images):
    brighter = corruptions.distort(images, "brightness")
    assert brighter.min() == 128
    striped = corruptions.distort(images, "stripe")
    assert np.array_equal(striped[:, :, 7:21], images[:, :, 7:21])
    assert np.array_equal(striped[:, :, [6, 21]], 255 - images[:, :, [6, 21]])
    edges = corruptions.distort(images, "canny edges")
    assert set(np.unique(edges)) == {0, 255}
    square = np.zeros((1, 28, 28, 1), np.float32)
    square[:, 8:20, 8:20] = 255
    outline = corruptions.distort(square, "canny edges")[0, :, :, 0]
    drawn = [7, 8, 19, 20]  # both sides of an edge are equally steep
    assert outline[14].nonzero()[0].tolist() == outline[:, 14].nonzero()[0].tolist() == drawn


@pytest.mark.parametrize("name", ["dotted line", "zigzag"])
def test_strokes_add_ink_from_left_to_right(images, name):
    added = corruptions.distort(images, name) - images
    assert (added >= 0).all()
    drawn = added.max((0, 1, 3)) > 0
    assert drawn.nonzero()[0][[0, -1]].tolist() == ([2, 26] if name == "dotted line" else [2, 24])


def test_fog_and_mud_hide_the_paper_not_the_digit(images):
    fog = corruptions.distort(images, "fog")
    assert fog.std((1, 2, 3)).max() < images.std((1, 2, 3)).min()
    empty = np.zeros_like(images)
    assert set(np.unique(corruptions.distort(empty, "fog"))) == {0}
    mud = corruptions.distort(empty, "spatter")
    assert mud.max() <= 63
    assert 0.1 < np.mean(mud > 0) < 0.4


def test_draws_are_even_and_normal():
    rng = np.random.default_rng(1)
    assert draws.uniform(rng, 10_000).mean() == pytest.approx(0.5, abs=0.012)  # 4 sigma, as below
    assert draws.short_uniform(rng, 10_001).mean() == pytest.approx(0, abs=0.024)
    drawn = draws.normal(rng, 100, 100)
    assert (drawn.mean(), drawn.std()) == (pytest.approx(0, abs=0.04), pytest.approx(1, abs=0.03))
    assert set(draws.integers(rng, -1, 2, 1000)) == {-1, 0, 1, 2}
    assert set(draws.signs(rng, 100)) == {-1, 1}


def test_every_distortion_of_training_names_what_is_judged_of_its_kind():
    ranges = {field.name for field in dataclasses.fields(Affine)} - {"disturbed"}
    kinds = {f"disturbed: {kind.__name__}" for kind in disturb.KINDS}
    assert set(SAME_KIND) == {*ranges, *kinds, "disturbed: moved by wider ranges"}
    assert {name for names in SAME_KIND.values() for name in names} <= {*MNIST_C, *OWN}


@pytest.fixture
def original(tmp_path, images):
    """A folder in MNIST-C's layout; each corruption's images are of one gray level."""
    for level, name in enumerate(files.NAMES):
        own = tmp_path / ("identity" if name == "plain" else name.replace(" ", "_"))
        own.mkdir()
        for split in ("train", "test"):
            np.save(own / f"{split}_images.npy", np.full((5, 28, 28, 1), level, np.uint8))
            np.save(own / f"{split}_labels.npy", np.arange(5))
    return tmp_path


def test_mnist_cs_files_are_read_by_corruption(original):
    for level, name in enumerate(files.NAMES):
        found, labels = files.read(original, name)
        assert (found.dtype, found.shape) == (np.uint8, (5, 28, 28, 1))
        assert (found == level).all()
        assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("what", "array", "message"),
    [
        ("images", np.zeros((5, 28, 28, 1)), r"must be uint8 .* Got: float64 \[5, 28, 28, 1\]"),
        ("images", np.zeros((5, 28, 28), np.uint8), r"must be uint8 .* Got: uint8 \[5, 28, 28\]"),
        ("labels", np.arange(4), r"must be 5 integers, 0 to 9. Got: int64 \[4\]"),
        ("labels", np.arange(8, 13), "must be 5 integers, 0 to 9"),
        ("labels", np.array([{}] * 5), r"must be an .npy array. .* Give the folder of MNIST-C"),
        ("labels", None, r"test_labels.npy .*Give the folder of MNIST-C"),
    ],
)
def test_other_files_are_refused(original, what, array, message):
    path = original / "stripe" / f"test_{what}.npy"
    path.unlink()
    if array is not None:
        np.save(path, array)
    with pytest.raises(InputError, match=message):
        files.read(original, "stripe")


@pytest.mark.parametrize("wrong", ["mnist-c:nowhere", "nowhere"])
def test_data_that_are_no_folder_of_mnist_c_are_refused(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="must be mnist-c: and a folder"):
        files.folder(wrong)
