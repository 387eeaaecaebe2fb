"""Labels of any usual kind give the same classes; what is no label is refused."""

import numpy as np
import pytest

from mnist_edge import data
from mnist_edge.data import labels
from mnist_edge.errors import InputError

Y = np.array([2, 0, 1, 2, 0, 1, 1, 0])
NAMES = np.array(["cat", "dog", "eel"])


def dataset(y_train, y_test=None):
    y_test = y_train[:4] if y_test is None else y_test
    return data.Dataset(np.zeros((len(y_train), 3)), y_train, np.zeros((len(y_test), 3)), y_test)


@pytest.mark.parametrize(
    "given",
    [Y, Y[:, None], Y.astype(np.float64), Y[:, None].astype(np.float32), np.eye(3)[Y],
     np.eye(3, dtype=bool)[Y], np.eye(3, dtype=np.uint8)[Y]],
)  # fmt: skip
def test_numbers_of_every_usual_shape_are_the_same_labels(given):
    loaded = dataset(given)
    assert loaded.y_train.tolist() == Y.tolist()
    assert loaded.y_train.dtype == np.uint8
    assert loaded.labels == ("0", "1", "2")


@pytest.mark.parametrize(
    "given",
    [NAMES[Y], NAMES[Y][:, None], NAMES[Y].astype(bytes), NAMES[Y].astype(object),
     NAMES[Y].astype(bytes).astype(object), NAMES[Y].astype(">U9"),
     np.char.add(NAMES[Y], " ")],
)  # fmt: skip
def test_text_is_numbered_in_sorted_order_and_names_the_classes(given):
    loaded = dataset(given)
    assert loaded.y_train.tolist() == Y.tolist()
    assert loaded.labels == ("cat", "dog", "eel")


def test_booleans_are_two_classes():
    assert dataset(Y == 1).y_train.tolist() == (Y == 1).astype(int).tolist()


def test_text_is_numbered_over_both_sets():
    loaded = dataset(NAMES[[1, 1, 1]], NAMES[[0, 2]])
    assert (loaded.y_train.tolist(), loaded.y_test.tolist()) == ([1, 1, 1], [0, 2])


def test_names_given_by_the_user_take_precedence():
    x = np.zeros((8, 3))
    loaded = data.Dataset(x, NAMES[Y], x, NAMES[Y], labels=("Katze", "Hund", "Aal"))
    assert loaded.labels == ("Katze", "Hund", "Aal")


@pytest.mark.parametrize(
    "given",
    [Y[:, None, None],
     np.array(["a", 1, None, 2.0] * 2, object), np.array([b"\xff"] * 8),
     np.full(8, 0x7FFFFFFF, np.uint32).view("<U1")],
)  # fmt: skip
def test_what_is_no_label_is_refused(given):
    with pytest.raises(
        InputError, match=r"y_train must be integers \[8\], or one-hot rows or text"
    ):
        dataset(given)


@pytest.mark.parametrize("given", [np.where(Y, np.nan, 1.0), np.where(Y, np.inf, 1.0)])
def test_numbers_that_are_not_finite_are_refused(given):
    with pytest.raises(InputError, match="y_train must be finite, one row for each of 8"):
        dataset(given)


@pytest.mark.parametrize(
    ("given", "kind", "names"),
    [
        (Y + 0.5, "values", ("0",)),
        (np.full((8, 3), 1 / 3), "values", ("0", "1", "2")),
        (np.ones((8, 3)), "labels", ("0", "1", "2")),
        (np.zeros((8, 3), bool), "labels", ("0", "1", "2")),
    ],
)
def test_numbers_that_are_no_classes_are_values_or_several_labels(given, kind, names):
    loaded = dataset(given)
    assert [(target.kind, target.labels) for target in loaded.targets] == [(kind, names)]
    assert loaded.y_train.shape == (8, len(names))


def test_training_refuses_labels_that_are_no_classes():
    with pytest.raises(InputError, match=r"one class per image.* Got: labels"):
        data.require_gray_levels(dataset(np.ones((8, 3))))


@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "x" * 201])
def test_class_names_that_cannot_be_shown_are_refused(name):
    with pytest.raises(InputError, match=r"must be printable and of 1 to 200") as caught:
        labels.encode(np.array([name, "cat"]), np.array(["cat"]), "here")
    assert str(caught.value).isprintable()
