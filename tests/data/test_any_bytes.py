"""Any bytes give data or a refusal of one line that names the file: every loader, by Hypothesis.

Bytes at random; whole files with random edits; and contents with random edits packed rightly,
so that what is inside an archive meets the parsers too.
"""

import collections
import gzip
import io
import struct
import warnings
import zipfile

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from mnist_edge import data, images
from mnist_edge.data import idx
from mnist_edge.errors import InputError
from mnist_edge.safety import files

EXAMPLES, MANY_EXAMPLES = 40, 1_500  # a file's kind and way
LIMIT_BYTES = 2**24


def npy():
    stream = io.BytesIO()
    np.save(stream, np.arange(48, dtype=np.uint8).reshape(12, 2, 2))
    return stream.getvalue()


def npz(x_train, method=zipfile.ZIP_DEFLATED):
    """An `.npz` of a data set; `x_train` is the bytes of its `.npy`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("x_train.npy", x_train)
        for name, array in {
            "y_train": np.arange(12) % 3,
            "x_test": np.full((3, 2, 2), 255, np.uint8),
            "y_test": np.arange(3),
        }.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)
    return packed.getvalue()


def zipped(content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)
    return packed.getvalue()


def picture(format):
    pixels = np.full((12, 9), 255, np.uint8)
    pixels[2:10, 4:6] = 0
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


IDX = bytes((0, 0, 8, 3)) + struct.pack(">III", 12, 2, 2) + bytes(range(48))
CSV = b"label,1x1,1x2,2x1,2x2\n" + b"".join(b"%d,0,9,99,255\n" % (i % 3) for i in range(9))


TABLE = b"w;h;class\n" + b"".join(b"%d;0.5;%s\n" % (i, (b"a", b"b")[i % 2]) for i in range(9))


def parquet_file():
    rows = {"image": [picture("png")] * 9, "label": [0, 1, 2] * 3}
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(rows), stream)
    return stream.getvalue()


def texts():
    """An `.npy` of labels that are text."""
    stream = io.BytesIO()
    np.save(stream, np.array(["cat", "dog", "eel"] * 4))
    return stream.getvalue()


def labeled(y_train):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", npy())
        archive.writestr("y.npy", y_train)
    return packed.getvalue()


def plain(content):
    return content


# name: (a whole file's content, how it is packed, what loads it)
KINDS = {
    "stored.npz": (npy(), lambda content: npz(content, zipfile.ZIP_STORED), data.load),
    "deflated.npz": (npy(), npz, data.load),
    "images-idx3-ubyte": (IDX, plain, lambda path: idx.read(path, 3)),
    "images-idx3-ubyte.gz": (IDX, gzip.compress, lambda path: idx.read(path, 3)),
    "text.npz": (texts(), labeled, data.load),
    "table.csv": (TABLE, plain, data.load),
    "a.parquet": (parquet_file(), plain, data.load),
    "a.csv": (CSV, plain, data.load),
    "a.csv.gz": (CSV, gzip.compress, data.load),
    "a.zip": (CSV, zipped, data.load),
    "predict.csv": (b"0," * 783 + b"255\n", plain, lambda path: images.load([path])),
    **{
        f"a.{format}": (picture(format), plain, lambda path: images.load([path]))
        for format in ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")
    },
}

TOKENS = [b",", b";", b"\t", b"\n", b"\r", b'"', b"\0", b"\xff", b"-1", b"256", b"0.5", b"nan"]
TOKENS += [b"label", b"'|O'", b"(4398046511104,)", b"(-1,)", b"PK\x01\x02", b"<!DOCTYPE html>"]
NUMBERS = [0, 1, 2, 127, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1]
PAYLOADS = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(TOKENS),
    st.builds(
        lambda number, size, order: (number % 2 ** (8 * size)).to_bytes(size, order),
        st.sampled_from(NUMBERS),
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["little", "big"]),
    ),
)
EDITS = {
    "overwrite": lambda content, at, payload: content[:at] + payload + content[at + len(payload) :],
    "insert": lambda content, at, payload: content[:at] + payload + content[at:],
    "remove": lambda content, at, payload: content[:at] + content[at + len(payload) :],
    "repeat": lambda content, at, payload: content[:at] + content[at : at + 20] * 3 + content[at:],
    "flip": lambda content, at, payload: (
        content[:at]
        + bytes(byte ^ 1 << at % 8 for byte in content[at : at + 1])
        + content[at + 1 :]
    ),
    "end": lambda content, at, payload: content[:at],
}


@st.composite
def edited(draw, content):
    """A whole file's bytes with one to three edits."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        content = EDITS[draw(st.sampled_from(sorted(EDITS)))](content, at, draw(PAYLOADS))
    return content


def at_random(content, pack):
    start = pack(content)[:8]
    return st.builds(lambda own, rest: own * start + rest, st.booleans(), st.binary(max_size=200))


WAYS = {
    "at random": at_random,
    "edited": lambda content, pack: edited(pack(content)),
    "edited inside": lambda content, pack: edited(content).map(pack),
}
CASES = [
    (name, way)
    for name, (_, pack, _) in KINDS.items()
    for way in WAYS
    if way != "edited inside" or pack is not plain  # that would be "edited" again
]


def explore(name, way, folder, examples):
    """Loads many files; counts what came of them; anything but data or a refusal raises."""
    content, pack, load = KINDS[name]
    path, outcomes = folder / name, collections.Counter()

    def shown(message, *_):
        outcomes[f"warned: {message}"] += 1

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(WAYS[way](content, pack))
    def holds(given):
        path.write_bytes(given)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.showwarning = shown
                loaded = load(path)
        except InputError as error:
            outcomes["refused"] += 1
            check_refusal(str(error), str(path))
        else:
            outcomes["data"] += 1
            check(loaded)

    holds()
    assert set(outcomes) <= {"data", "refused"}
    return outcomes


def check_refusal(line, path):
    assert "\n" not in line
    assert path in line
    assert len(line) < len(path) + 500


def check(loaded):
    """What is loaded is what every user of it counts on."""
    if isinstance(loaded, data.Dataset):
        for split in ("train", "test"):
            x, y = getattr(loaded, f"x_{split}"), getattr(loaded, f"y_{split}")
            assert len(x) == len(y) > 0
            assert np.isfinite(x).all()
            assert y.max() < loaded.classes
    elif isinstance(loaded, np.ndarray):
        assert (loaded.dtype, loaded.ndim) == (np.uint8, 3)
    else:
        assert loaded
        assert all((d.pixels.dtype, d.pixels.shape) == (np.uint8, (28, 28)) for d in loaded)


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    """None of these files is large: what allocates more follows a lie."""
    monkeypatch.setattr(files, "LIMIT_BYTES", LIMIT_BYTES)


@pytest.mark.parametrize(("name", "way"), CASES)
def test_any_bytes_give_data_or_a_refusal(tmp_path, name, way):
    outcomes = explore(name, way, tmp_path, EXAMPLES)
    print(name, way, dict(outcomes))
    assert outcomes["refused"]


@pytest.mark.long
@pytest.mark.parametrize(("name", "way"), CASES)
def test_any_of_many_bytes_give_data_or_a_refusal(tmp_path, name, way):
    outcomes = explore(name, way, tmp_path, MANY_EXAMPLES)
    print(name, way, dict(outcomes))
    assert outcomes["refused"]


@pytest.mark.parametrize("name", KINDS)
def test_the_whole_files_are_data(tmp_path, name):
    content, pack, load = KINDS[name]
    (tmp_path / name).write_bytes(pack(content))
    check(load(tmp_path / name))


@pytest.mark.parametrize("name", ["deflated.npz", "a.csv.gz"])
def test_a_loader_that_lets_errors_through_is_found_out(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "DAMAGE", ())
    with pytest.raises((Exception, ExceptionGroup)) as caught:
        explore(name, "edited", tmp_path, EXAMPLES)
    assert not isinstance(caught.value, InputError)
