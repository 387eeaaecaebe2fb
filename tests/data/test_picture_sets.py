"""Folders of pictures, one per class, become a data set or are refused in one line."""

import builtins

import numpy as np
import pytest
from PIL import Image

from mnist_edge import data
from mnist_edge.errors import InputError
from mnist_edge.safety import files


def pixels(value, size=(4, 6), mode="L"):
    width, height = size
    return Image.fromarray(np.full((height, width), value, np.uint8)).convert(mode)


def make(folder, classes=("cat", "dog"), count=7, mode="L"):
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels(100 * label + number, mode=mode).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(("mode", "shape"), [("L", (6, 4)), ("RGB", (6, 4, 3)), ("P", (6, 4, 3))])
def test_a_folder_per_class_is_split_by_seed_and_names_the_classes(tmp_path, mode, shape):
    folder = make(tmp_path / "pets", mode=mode)
    (folder / "cat" / ".DS_Store").write_bytes(b"of no use")
    (folder / ".cache").mkdir()
    loaded = data.load(folder)
    assert loaded.labels == ("cat", "dog")
    assert loaded.x_train.shape == (12, *shape)
    assert loaded.x_train.dtype == np.uint8
    assert np.array_equal(loaded.x_train.reshape(12, -1)[:, 0] >= 100, loaded.y_train == 1)
    assert loaded.sha256() == data.load(folder).sha256()
    assert "pets has no test set: 2 of the 14 examples, drawn by seed 0" in loaded.remark


@pytest.mark.parametrize("name", ["test", "validation"])
def test_train_and_test_folders_are_the_sets(tmp_path, name):
    make(tmp_path / "train")
    make(tmp_path / name, count=2)
    loaded = data.load(tmp_path)
    assert (len(loaded.x_train), len(loaded.x_test), loaded.remark) == (14, 4, "")
    assert loaded.y_test.tolist() == [0, 0, 1, 1]


def test_one_picture_in_color_makes_all_of_them_rgb(tmp_path):
    pixels(9, mode="RGB").save(make(tmp_path) / "dog" / "0.png")
    assert data.load(tmp_path).x_train.shape == (12, 6, 4, 3)


def other_size(folder):
    pixels(1, (5, 6)).save(folder / "dog" / "3.png")


def deep(folder):
    Image.fromarray(np.zeros((6, 4), np.uint16)).save(folder / "dog" / "3.png")


def damaged(folder):
    (folder / "dog" / "3.png").write_bytes((folder / "dog" / "3.png").read_bytes()[:45])


def empty_class(folder):
    (folder / "eel").mkdir()


def other_class(folder):
    make(folder / "train")
    make(folder / "test", ("cat", "eel"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_size, r"3.png must have 4 x 6 pixels, as 0.png. Got: 5 x 6. Resize"),
        (deep, r"3.png must be a complete picture.* Got: more than 8 bits per channel"),
        (damaged, r"3.png must be a complete picture"),
        (empty_class, r"eel must contain pictures"),
        (other_class, r"test must hold the classes of .*train. Got: eel"),
    ],
)
def test_pictures_that_are_no_data_set_are_refused_in_one_line(tmp_path, change, message):
    change(make(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        data.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_more_pictures_than_the_limit_are_refused_before_they_are_allocated(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT_BYTES", 14 * 24 * 5 - 1)
    with pytest.raises(InputError, match=r"must take at most 1,679 bytes.* Got: 1,680"):
        data.load(make(tmp_path))


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    make(tmp_path)
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "PIL":
            raise ModuleNotFoundError("no PIL", name="PIL")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"PIL is required.* Install 'mnist-edge\[images\]'"):
        data.load(tmp_path)
