"""IDX files: MNIST's, Fashion-MNIST's, KMNIST's, EMNIST's."""

import gzip
import tracemalloc

import numpy as np
import pytest

from mnist_edge import data
from mnist_edge.data import idx
from mnist_edge.errors import InputError
from mnist_edge.safety import files

SIZES = {"train": 9, "test": 6}


def idx_bytes(array):
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def images(split):
    """Upright, not square, each different."""
    count = SIZES[split]
    return np.arange(count * 20, dtype=np.uint8).reshape(count, 5, 4)


def labels(split):
    return (np.arange(SIZES[split]) % 3).astype(np.uint8)


def write_set(folder, names, first_label=0, transposed=False):
    """Writes the four files; `names` are their names, train images first."""
    folder.mkdir(exist_ok=True)
    contents = []
    for split in SIZES:
        x = images(split)
        contents += [idx_bytes(x.transpose(0, 2, 1) if transposed else x)]
        contents += [idx_bytes(labels(split) + np.uint8(first_label))]
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def four(train="train", test="t10k", middle="-", ending=""):
    return [
        f"{split}-{what}{middle}idx{rank}-ubyte{ending}"
        for split in (train, test)
        for what, rank in (("images", 3), ("labels", 1))
    ]


@pytest.mark.parametrize(
    "names",
    [
        four(),
        four(ending=".gz"),
        four(middle="."),
        four(test="test"),
        four("kmnist-train", "kmnist-test", ending=".gz"),
        [name.upper() for name in four()],
    ],
)
def test_idx_files_are_found_under_any_usual_name(tmp_path, names):
    loaded = data.load(write_set(tmp_path / "set", names))
    assert np.array_equal(loaded.x_train, images("train"))
    assert np.array_equal(loaded.y_test, labels("test"))
    assert loaded.classes == 3


def test_raw_and_packed_files_side_by_side_are_one_set(tmp_path):
    folder = write_set(tmp_path / "set", four())
    write_set(folder, four(ending=".gz"))
    assert data.load(folder).classes == 3


@pytest.mark.parametrize(
    ("folder", "label"),
    [("fashion-mnist", "Pullover"), ("KMNIST", "su"), ("mnist", "2")],
)
def test_a_folders_name_names_the_classes(tmp_path, folder, label):
    assert data.load(write_set(tmp_path / folder, four())).labels[2] == label


def test_torchvisions_raw_folder_takes_its_parents_name(tmp_path):
    (tmp_path / "FashionMNIST").mkdir()
    loaded = data.load(write_set(tmp_path / "FashionMNIST" / "raw", four(ending=".gz")))
    assert loaded.labels[2] == "Pullover"


@pytest.mark.parametrize(
    ("split", "first", "label"),
    [("letters", 1, "C"), ("balanced", 0, "2"), ("byclass", 0, "2"), ("digits", 0, "2")],
)
def test_emnist_is_turned_upright_and_counts_from_0(tmp_path, split, first, label):
    names = four(f"emnist-{split}-train", f"emnist-{split}-test", ending=".gz")
    loaded = data.load(write_set(tmp_path / "gzip", names, first, transposed=True))
    assert np.array_equal(loaded.x_train, images("train"))
    assert np.array_equal(loaded.y_train, labels("train"))
    assert loaded.labels[2] == label


def test_emnist_letters_that_count_from_0_are_refused(tmp_path):
    names = four("emnist-letters-train", "emnist-letters-test")
    with pytest.raises(InputError, match=r"labels of this set start at 1. Got: 0 in y_train"):
        data.load(write_set(tmp_path / "gzip", names))


def test_emnists_names_are_as_many_as_its_classes():
    from mnist_edge.data.catalog import CATALOG

    counts = {name: len(known.labels) for name, known in CATALOG.items() if "emnist" in name}
    assert counts == {
        "emnistbalanced": 47,
        "emnistbymerge": 47,
        "emnistbyclass": 62,
        "emnistletters": 26,
        "emnistdigits": 10,
        "emnistmnist": 10,
    }


def test_of_several_sets_in_a_folder_one_is_named(tmp_path):
    folder = write_set(tmp_path / "gzip", four("emnist-mnist-train", "emnist-mnist-test"))
    write_set(folder, four("emnist-letters-train", "emnist-letters-test"), first_label=1)
    assert data.load(folder / "emnist-letters").labels == ("A", "B", "C")
    with pytest.raises(InputError, match=r"one data set. .* emnist-letters, emnist-mnist"):
        data.load(folder)
    with pytest.raises(InputError, match=r"one data set. .* emnist-letters, emnist-mnist"):
        data.load(folder / "emnist-leters")


def test_a_missing_companion_is_named(tmp_path):
    folder = write_set(tmp_path / "set", four())
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"must hold test-labels-idx1-ubyte, raw or .gz"):
        data.load(folder)


def test_a_folder_without_data_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        InputError, match=r"must hold train-images-idx3-ubyte .*, train.csv, or one folder"
    ):
        data.load(tmp_path)


def test_more_images_than_labels_are_refused(tmp_path):
    folder = write_set(tmp_path / "set", four())
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(8, np.uint8)))
    with pytest.raises(InputError, match=r"y_train must be integers \[9\], .* Got: uint8 \[8\]"):
        data.load(folder)


WHOLE = idx_bytes(np.zeros((3, 5, 4), np.uint8))
PACKED = gzip.compress(WHOLE, mtime=0)
HUGE = WHOLE[:4] + b"\xff" * 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Got: an empty file"),
        (WHOLE[:9], "Got: 00000803 in 9 bytes of header"),
        (b"<html>not found</html>", "first bytes 00000803. Got: a web page, not data"),
        (
            gzip.compress(b"<!DOCTYPE html>", mtime=0),
            "first bytes 00000803. Got: a web page, not data",
        ),
        (idx_bytes(np.zeros(3, np.uint8)), "with 3 dimensions"),
        (b"\x00\x00\x0d" + WHOLE[3:], "must be an IDX file of unsigned bytes"),
        (WHOLE[:-1], r"must hold \[3, 5, 4\] bytes after its header. Got: a file of 75 bytes"),
        (WHOLE + b"\x00", "must hold 60 bytes after its header.* Got: more"),
        (HUGE, "Got: a file of 16 bytes"),
        (gzip.compress(HUGE, mtime=0), "bytes after its header. Got: a file of"),
        (gzip.compress(WHOLE[:-1], mtime=0), "must hold 60 bytes .*Got: 59"),
        (PACKED[:-12], "must be a complete .gz"),
        (PACKED[:-8] + b"\xff\xff\xff\xff" + PACKED[-4:], "must be a complete .gz"),
    ],
)
def test_damaged_idx_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        idx.read(path, 3)
    assert "\n" not in str(caught.value)


def test_whole_idx_is_read(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    for content in (WHOLE, PACKED):
        path.write_bytes(content)
        assert idx.read(path, 3).shape == (3, 5, 4)


def test_a_bomb_is_refused_by_its_header_and_a_lying_one_unpacks_to_no_more(tmp_path, monkeypatch):
    path = tmp_path / "train-images-idx3-ubyte"
    monkeypatch.setattr(files, "LIMIT_BYTES", 2**22)
    big = WHOLE[:4] + np.array((2, 2**11, 2**11), ">u4").tobytes()
    path.write_bytes(gzip.compress(big + bytes(2**23)))
    with pytest.raises(InputError, match=r"at most 4,194,304 bytes, .* Got: 41,943,040 by its"):
        idx.read(path, 3)
    path.write_bytes(gzip.compress(WHOLE + bytes(2**26)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"must hold 60 bytes .*Got: more"):
        idx.read(path, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
