import gzip
import itertools
import os
import types

import numpy as np
import pytest

import mnist_edge
from mnist_edge import backend, data
from mnist_edge.data import sources
from mnist_edge.errors import InputError
from mnist_edge.safety import files


def save(path, **changes):
    arrays = {
        "x_train": np.zeros((12, 28, 28), np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": np.zeros((3, 28, 28), np.uint8),
        "y_test": np.arange(3),
    }
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


def test_packaged_mnist_is_whole():
    mnist = data.load()
    assert mnist.x_train.shape == (60_000, 28, 28)
    assert mnist.x_test.shape == (10_000, 28, 28)
    assert mnist.classes == 10
    assert np.bincount(mnist.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_packaged_mnist_with_one_changed_pixel_is_refused(tmp_path, monkeypatch):
    mnist = data.load()
    arrays = {name: getattr(mnist, name).copy() for name in ("x_train", "y_train", "x_test")}
    arrays["x_test"][0, 0, 0] ^= 1
    changed = tmp_path / "mnist.npz"
    np.savez(changed, **arrays, y_test=mnist.y_test)
    monkeypatch.setattr(sources, "MNIST_FILE", changed)
    with pytest.raises(InputError, match=r"x_test must have SHA-256 6d87.* Restore the file"):
        data.load()


def test_damaged_packaged_mnist_is_refused_in_one_line(tmp_path, monkeypatch):
    whole = sources.MNIST_FILE.read_bytes()
    damaged = tmp_path / "mnist.npz"
    monkeypatch.setattr(sources, "MNIST_FILE", damaged)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (b"", whole[: len(whole) // 2], bytes(flipped), b"<html>not found</html>"):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match=r"mnist\.npz must be a complete \.npz") as caught:
            data.load()
        assert "\n" not in str(caught.value)


def test_npz_in_the_layout_of_keras_is_loaded(tmp_path):
    loaded = data.load(save(tmp_path / "three.npz"))
    assert loaded.classes == 3
    assert loaded.y_train.dtype == np.uint8


def test_arrays_in_memory_are_a_data_set_and_nobodys_are_changed():
    x, y = np.zeros((12, 28, 28)), np.arange(12) % 3
    dataset = mnist_edge.Dataset(x, y, x[:3], y[:3], labels=("cat", "dog", "eel"))
    assert (dataset.classes, dataset.labels) == (3, ("cat", "dog", "eel"))
    assert dataset.y_train.dtype == np.uint8
    assert y.dtype == int
    assert mnist_edge.Dataset(x, y.tolist(), x, y).labels == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": np.array([0, 1, -1])}, "in memory: y_test must be 0 to 65535, or .* Got: -1"),
        ({"x_test": np.full((3, 28, 28), np.nan)}, "x_test must be finite"),
        ({"y_train": np.arange(11)}, r"y_train must be integers \[12\]"),
        ({"x_train": "pictures"}, "x_train must be numbers"),
        ({"labels": ("cat", "dog")}, "must name 3 classes"),
        ({"labels": ("cat", "cat", "dog")}, "must be distinct names"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(changes, message):
    x, y = np.zeros((12, 28, 28), np.uint8), np.arange(12) % 3
    arrays = {"x_train": x, "y_train": y, "x_test": x[:3], "y_test": y[:3]}
    with pytest.raises(InputError, match=message):
        data.Dataset(**arrays | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "must hold x_test"),
        ({"x_train": np.full((12, 28, 28), "a")}, "x_train must be numbers"),
        ({"x_train": np.zeros(12)}, "x_train must be numbers"),
        ({"x_test": np.zeros((3, 28, 27), np.uint8)}, "x_test must be numbers .* shaped as"),
        ({"x_test": np.full((3, 28, 28), np.nan)}, "x_test must be finite"),
        ({"y_train": np.arange(11)}, r"y_train must be integers \[12\]"),
        ({"y_test": np.array([0, 1, -1])}, "y_test must be 0 to 65535"),
        ({"x_test": np.full((3, 28, 28), np.inf)}, "x_test must be finite"),
        ({"x_train": np.zeros((12, 28, 28), complex)}, "x_train must be numbers .*complex"),
        ({"x_train": np.zeros((0, 28, 28)), "y_train": np.zeros(0, int)}, "n at least 1"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, int)}, "n at least 1"),
        ({"y_train": np.eye(12) * 2}, r"y_train must be integers \[12\], or one-hot rows or text"),
        (
            {"y_train": np.ones((12, 3), int)},
            r"y_train must be integers \[12\].* Got: int64 \[12, 3",
        ),
        ({"y_train": np.array(["a"] * 12)}, "y_train must be integers.* Got: <U1"),
        (
            {"y_train": np.array([""] * 12), "y_test": np.array(["a"] * 3)},
            "labels that are text must be",
        ),
        (
            {"y_train": np.full(12, 2**16)},
            "y_train must be 0 to 65535, or floats for regression. Got: 65536",
        ),
        ({"x_test": np.full((3, 28, 28), 1e300)}, "finite in float32.* Got: 1e.300 to 1e.300"),
        ({"x_train": np.full((12, 28, 28), -1e39)}, "finite in float32.* Got: -1e.39"),
        ({"y_test": np.array([0, 1, None])}, "y_test must be numbers. Got: Python objects"),
        (
            {"x_train": np.full((12, 28, 28), 255), "x_test": np.full((3, 28, 28), 0.5)},
            r"must have the same scale. Got: up to 255 and up to 0.5. Multiply",
        ),
    ],
)
def test_npz_of_another_kind_is_refused_with_what_was_required(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        data.load(save(tmp_path / "wrong.npz", **changes))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mnist.npz", b"<!DOCTYPE html><title>404", "a web page, not data: the download failed"),
        ("mnist.csv", b"\xef\xbb\xbf\n <html>", "a web page, not data"),
        ("mnist.csv.gz", gzip.compress(b"<!doctype HTML>", mtime=0), "a web page, not data"),
        ("mnist.csv.gz", b"<!doctype HTML>", "a complete file. Got: a web page, not data"),
        ("mnist.zip", b"<HTML>", "a complete file. Got: a web page, not data"),
        ("mnist.bin", b"<?xml version='1.0'?>", "a web page, not data"),
        ("mnist.npz", b"version https://git-lfs.github.com/spec/v1", "run git lfs pull"),
        ("mnist.npz", b"", "an empty file"),
        ("mnist.zip", b"", "an empty file"),
        ("mnist.csv.gz", b"", "an empty file"),
        ("mnist.csv", "label,1x1\n0,0\n".encode("utf-16"), "text in UTF-16: save it in UTF-8"),
        ("mnist.csv", gzip.compress(b"label,1x1\n0,0\n", mtime=0), r"Got: a \.gz"),
    ],
)
def test_what_came_instead_of_data_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} must be .*{message}") as caught:
        data.load(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.npz", "a.csv", "a.csv.gz", "a.zip", "a"])
def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path, name):
    for made, kind in ((os.mkfifo, "a pipe or device"), (os.mkdir, "")):
        path = tmp_path / kind[:4] / name
        path.parent.mkdir(exist_ok=True)
        made(path)
        with pytest.raises(InputError, match=f"{name} must .*{kind}"):
            data.load(path)  # a pipe without a writer would be waited for
    with pytest.raises(
        InputError, match=r"/dev/zero must be a file and is not. Got: a pipe or dev"
    ):
        data.load("/dev/zero")


def test_missing_file_is_refused():
    with pytest.raises(InputError, match="no-such must be a file and is not"):
        data.load("no-such")


def test_classes_are_numbered_where_nothing_names_them(tmp_path):
    assert data.load(save(tmp_path / "three.npz")).labels == ("0", "1", "2")


def test_classes_take_their_names_from_the_sets_name(tmp_path):
    few = data.load(save(tmp_path / "fashion_mnist.npz"))
    assert few.labels == ("T-shirt/top", "Trouser", "Pullover")
    many = save(tmp_path / "Fashion-MNIST.npz", y_train=np.arange(12))
    assert data.load(many).labels == tuple(map(str, range(12)))  # ten names are too few


@pytest.mark.parametrize("given", ["cat, dog,eel", ("cat", "dog", "eel"), "names.txt"])
def test_classes_can_be_named(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\neel\r\n")
    loaded = data.load(save(tmp_path / "three.npz"), given)
    assert loaded.labels == ("cat", "dog", "eel")
    assert loaded.classes == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cat,dog", "must name 3 classes, one per label of the data. Got: 2, cat, dog"),
        ("a,b,c,d", "must name 3 classes.*Got: 4"),
        ("cat,cat,dog", "distinct names, none empty. Got: 'cat'"),
        ("cat,,dog", "none empty. Got: ''"),
        ("no-such.txt", "Got: no-such.txt, which is not a file"),
        ("latin.txt", "latin.txt must be a text file in UTF-8"),
        (
            "large.txt",
            "large.txt must hold one name per line, at most 4,194,304 bytes. Got: 5,000,000",
        ),
        ("cat,d\x1b[2Jog,bird", r"printable names of at most 200 characters. Got: 'd\\x1b\[2Jog'"),
        (f"cat,{'x' * 201},bird", "printable names of at most 200 characters"),
    ],
)
def test_wrong_names_are_refused_in_one_line(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large.txt").write_bytes(b"name\n" * 1_000_000)
    (tmp_path / "latin.txt").write_bytes("Möwe\nb\nc".encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        data.load(save(tmp_path / "three.npz"), given)
    assert "\n" not in str(caught.value)


def fake_keras(load_data):
    loader = types.SimpleNamespace(load_data=load_data)
    return types.SimpleNamespace(datasets=types.SimpleNamespace(mnist=loader, fashion_mnist=loader))


def test_keras_own_sets_come_through_its_loader(monkeypatch):
    x, y = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
    monkeypatch.setattr(
        backend, "start_keras", lambda: fake_keras(lambda: ((x, y), (x[:10], y[:10])))
    )
    loaded = data.load("keras:fashion_mnist")
    assert loaded.source == "keras:fashion_mnist"
    assert loaded.labels[9] == "Ankle boot"
    assert (len(loaded.x_train), len(loaded.x_test)) == (20, 10)
    assert data.load("keras:mnist").labels[9] == "9"


def test_keras_cache_is_read(tmp_path, monkeypatch):
    from keras.src.datasets import mnist

    # `get_file` checks the hash of a file in the cache; these few images have another.
    monkeypatch.setattr(mnist, "get_file", lambda *_, **__: save(tmp_path / "mnist.npz"))
    assert data.load("keras:mnist").classes == 3


def test_keras_without_a_network_is_one_line(monkeypatch):
    def fail():
        raise Exception("URL fetch failure on https://host/file: None -- \n[Errno -2] Name unknown")

    monkeypatch.setattr(backend, "start_keras", lambda: fake_keras(fail))
    with pytest.raises(InputError, match="keras:mnist must be in Keras's cache") as caught:
        data.load("keras:mnist")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"keras:mnist or .* or keras:cifar100 .*Got: keras:imdb"):
        data.load("keras:imdb")


def test_split_is_disjoint_and_complete_and_follows_the_seed():
    train, validation = data.split_indices(60_000, seed=0)
    assert (len(train), len(validation)) == (55_000, 5_000)
    assert len(np.union1d(train, validation)) == 60_000
    assert np.array_equal(train, data.split_indices(60_000, seed=0)[0])
    assert not np.array_equal(train, data.split_indices(60_000, seed=1)[0])


def test_inputs_keep_their_values_and_take_the_models_shape():
    images = np.array([[[0, 255]]], np.uint8)
    assert data.as_inputs(images, (1, 2, 1)).dtype == np.float32
    assert data.as_inputs(images, (1, 2, 1)).tolist() == [[[[0.0], [255.0]]]]
    assert data.as_inputs(images, (2,)).tolist() == [[0.0, 255.0]]


def test_inputs_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"takes examples of shape \[3\]. Got: \[1, 2\]"):
        data.as_inputs(np.zeros((1, 1, 2)), (3,))


class Batches:
    """What `keras.utils.PyDataset` offers."""

    def __init__(self, x, y, size=5):
        self.x, self.y, self.size = x, y, size

    @property
    def num_batches(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):  # never ends with an IndexError
        part = slice(index * self.size, (index + 1) * self.size)
        return self.x[part], self.y[part], np.ones(self.size)


X, Y = np.arange(84, dtype=np.uint8).reshape(21, 2, 2), np.arange(21) % 3


@pytest.mark.parametrize("kind", ["PyDataset", "tf.data", "tf.data unbatched", "list"])
def test_batches_of_any_kind_are_collected(kind):
    if kind.startswith("tf"):
        import tensorflow as tf

        names = tf.constant([b"cat", b"dog", b"eel"])
        train = tf.data.Dataset.from_tensor_slices((X, tf.gather(names, Y)))
        train = train if "unbatched" in kind else train.batch(5)
    else:
        train = Batches(X, Y) if kind == "PyDataset" else [(X[:9], Y[:9]), (X[9:], Y[9:])]
    loaded = mnist_edge.Dataset.from_batches(train, [(X[:4], np.array(Y)[:4])] if "tf" not in kind
                                             else train)  # fmt: skip
    assert np.array_equal(loaded.x_train, X)
    assert np.array_equal(loaded.y_train, Y)
    assert loaded.labels == (("cat", "dog", "eel") if "tf" in kind else ("0", "1", "2"))


def test_batches_without_a_test_set_are_split_and_keep_their_class_names():
    train = Batches(X, Y)
    train.class_names = ["cat", "dog", "eel"]
    loaded = mnist_edge.Dataset.from_batches(train)
    assert (len(loaded.x_train), len(loaded.x_test)) == (18, 3)
    assert loaded.labels == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "must give .*Got: nothing"),
        ([X], "must give .*Got: ndarray"),
        ([(X, Y[:3])], r"Got: x \[21, 2, 2\] with y \[3\]"),
        ([(X, Y), (X[:, :1], Y)], r"Got: x \[21, 1, 2\]"),
        ([({"a": X}, Y)], "Got: examples of type dict"),
        (itertools.repeat((X, Y)), r"must take at most 1,000,000 bytes.* Got: more. Give a finite"),
    ],
)
def test_batches_that_are_no_data_set_are_refused(monkeypatch, train, message):
    monkeypatch.setattr(files, "LIMIT_BYTES", 1_000_000)
    with pytest.raises(InputError, match=message):
        mnist_edge.Dataset.from_batches(train)


def test_cifar_comes_through_keras_with_its_names(monkeypatch):
    x, y = np.zeros((20, 4, 4, 3), np.uint8), np.arange(20)[:, None] % 10
    loader = types.SimpleNamespace(load_data=lambda: ((x, y), (x, y)))
    names = types.SimpleNamespace(cifar10=loader, cifar100=loader)
    monkeypatch.setattr(backend, "start_keras", lambda: types.SimpleNamespace(datasets=names))
    assert data.load("keras:cifar10").labels[9] == "truck"
    assert data.load("keras:cifar100").labels[9] == "bottle"


def test_training_on_rgb_says_that_the_networks_take_gray_images():
    x = np.arange(240, dtype=np.uint8).reshape(20, 2, 2, 3)
    dataset = mnist_edge.Dataset(x, np.arange(20) % 2, x, np.arange(20) % 2)
    with pytest.raises(InputError, match=r"take gray images, uint8 \[n, height, width\].* RGB"):
        mnist_edge.train_model("edge", dataset)


def test_keys_that_are_no_names_become_those_of_the_models_inputs():
    x, y = {"meta data": np.ones((3, 2)), "b": np.ones((3, 1))}, np.arange(3)
    assert [part.name for part in data.Dataset(x, y, x, y).inputs] == ["b", "meta_data"]
