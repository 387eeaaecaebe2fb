"""Arrays of an `.npz` are found under any usual names, or under those that the user gives."""

import numpy as np
import pytest

from mnist_edge import data
from mnist_edge.errors import InputError

X = np.arange(80, dtype=np.uint8).reshape(20, 2, 2)
Y = np.arange(20) % 3


def save(folder, names):
    arrays = (X, Y, X[:5], Y[:5]) * 2
    path = folder / "a.npz"
    np.savez(path, **dict(zip(names.split(), arrays, strict=False)))
    return path


@pytest.mark.parametrize(
    "names",
    [
        "x_train y_train x_test y_test",
        "X_train Y_train X_test Y_test",
        "train_images train_labels test_images test_labels",
        "trainX trainY testX testY",
        "train_data train_target test_data test_target",
        "training_images training_labels testing_images testing_labels",
        "x y x_test y_test",
        "x_train y_train x_test y_test x_val y_val",
        "train_images train_labels test_images test_labels val_images val_labels",
    ],
)
def test_usual_names_are_recognized(tmp_path, names):
    loaded = data.load(save(tmp_path, names))
    assert np.array_equal(loaded.x_train, X)
    assert np.array_equal(loaded.y_test, Y[:5])
    assert loaded.remark == ""


@pytest.mark.parametrize("names", ["x y", "X y", "images labels", "data target", "x_train y_train"])
def test_one_pair_is_split_by_seed(tmp_path, names):
    loaded = data.load(save(tmp_path, names))
    assert (len(loaded.x_train), len(loaded.x_test)) == (17, 3)
    assert "a.npz has no test set: 3 of the 20 examples, drawn by seed 0" in loaded.remark


@pytest.mark.parametrize(("given", "count"), [("a,b,c,d", 20), ("a, b", 17), ("b2,a2", None)])
def test_the_user_names_them_in_the_source(tmp_path, given, count):
    source = f"{save(tmp_path, 'a b c d')}:{given}"
    if count:
        loaded = data.load(source)
        assert len(loaded.x_train) == count
        assert loaded.source == source
    else:
        with pytest.raises(InputError, match=r"a.npz must hold b2, a2. Got: a, b, c, d"):
            data.load(source)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("foo bar", r"hold x_train, y_train, x_test, y_test, under.* Got: foo, bar. Name them: a."),
        ("x y images", "must hold x_train, under these or other usual names. Got: x, y, images"),
        ("x_train y_train x_test", "must hold y_test, under these"),
    ],
)
def test_names_that_are_unknown_or_ambiguous_are_asked_for(tmp_path, names, message):
    with pytest.raises(InputError, match=message) as caught:
        data.load(save(tmp_path, names))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["a", "a,b,c", "a,a", "a,b,c,d,e"])
def test_a_wrong_number_of_names_is_refused(tmp_path, given):
    with pytest.raises(InputError, match=r"a.npz: must be followed by the names of 4 arrays, or 2"):
        data.load(f"{save(tmp_path, 'a b c d')}:{given}")
