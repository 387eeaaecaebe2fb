"""An `.npz` from elsewhere is read whole or refused in one line, whatever it claims."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from mnist_edge.data import npz
from mnist_edge.errors import InputError


class Bomb:
    """What runs code when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def member(shape="(3,)", descr="'|u1'", content=b"abc", version=(1, 0)):
    """An `.npy` whose header says what it is told to."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + content


def write(path, content, method=zipfile.ZIP_DEFLATED, name="a.npy"):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def lie(path, **sizes):
    """Overwrites the sizes in the archive's only directory entry: `packed`, `unpacked`."""
    raw = bytearray(path.read_bytes())
    start = raw.rindex(b"PK\x01\x02")
    for name, size in sizes.items():
        struct.pack_into("<I", raw, start + {"packed": 20, "unpacked": 24}[name], size)
    path.write_bytes(raw)
    return path


def test_what_numpy_wrote_is_read_as_numpy_reads_it(tmp_path):
    given = {
        "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.float32(3),
        "d": np.zeros((0, 5), ">i2"),
        "e": np.arange(600_000, dtype=np.int32),  # more than a chunk
        "f": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **given)
        read = npz.read(tmp_path / "a.npz")
        assert list(read) == list(given)
        for name, array in given.items():
            assert read[name].dtype == array.dtype
            assert np.array_equal(read[name], array)
            assert read[name].shape == array.shape
    assert list(npz.read(tmp_path / "a.npz", ["c", "a"])) == ["c", "a"]


def test_a_pickle_is_refused_and_never_runs(tmp_path):
    marker = tmp_path / "ran"
    np.savez(tmp_path / "a.npz", a=np.array([Bomb(marker)], object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb(marker)))
    for name, message in (("a", "a must be numbers. Got: Python objects"), ("b", "Got: a pickle")):
        with pytest.raises(InputError, match=message):
            npz.read(tmp_path / f"{name}.npz")
    assert not marker.exists()
    pickle.loads((tmp_path / "b.npz").read_bytes())  # the marker is one that can appear
    assert marker.exists()


FOUR_TIB = "(4398046511104,)"
DAMAGED = {
    "4 TiB header": (lambda p: write(p, member(FOUR_TIB)), r"a must be \[4398046511104\] of uint8"),
    "less than its header": (lambda p: write(p, member("(4,)")), r"must be \[4\] of uint8"),
    "more than its header": (lambda p: write(p, member("(2,)")), r"must be \[2\] of uint8"),
    "negative shape": (lambda p: write(p, member("(-1, -3)")), "must be of a possible shape"),
    "shape of 40": (lambda p: write(p, member(f"({'1,' * 40})")), "must be of a possible shape"),
    "shape beyond 64 bits": (lambda p: write(p, member(f"({10**400},)")), "of a possible shape"),
    "shape of words": (lambda p: write(p, member("('a',)")), "must be an .npy array"),
    "deep header": (lambda p: write(p, member("(" * 5000)), "must be an .npy array"),
    "long header": (lambda p: write(p, member("(3,)" + " " * 20_000)), "must be an .npy array"),
    "code in header": (lambda p: write(p, member("exit()")), "must be an .npy array"),
    "objects": (lambda p: write(p, member(descr="'|O'")), "must be numbers. Got: Python objects"),
    "text": (lambda p: write(p, member("(1,)", "'|S3'")), r"must be numbers. Got: \|S3"),
    "nothing wide": (lambda p: write(p, member("(9,)", "'|V0'", b"")), "must be numbers"),
    "fields": (lambda p: write(p, member("(3,)", "[('x', '|u1')]")), "must be numbers"),
    "version 9": (lambda p: write(p, member(version=(9, 0))), "must be an .npy array"),
    "no array": (lambda p: write(p, b"abc"), "must be an .npy array"),
    "empty member": (lambda p: write(p, b""), "must be an .npy array"),
    "another member": (lambda p: write(p, b"abc", name="a.txt"), "hold an array. Got: no array"),
    "bzip2": (lambda p: write(p, member(), zipfile.ZIP_BZIP2), "only stored and deflated are read"),
    "lzma": (lambda p: write(p, member(), zipfile.ZIP_LZMA), "only stored and deflated are read"),
    "lies of 3 GB": (
        lambda p: lie(write(p, member("(3221225472,)")), unpacked=3_221_225_540),
        r"a.npy of [\d,]+ bytes, 3,221,[\d,]+ unpacked",
    ),
    "lies of a packed 3 GB": (
        lambda p: lie(write(p, member()), packed=3 * 2**30, unpacked=3 * 2**30),
        r"a.npy of [\d,]+ bytes, 3,221,[\d,]+ unpacked",
    ),
    "empty": (lambda p: p.write_bytes(b""), "Got: an empty file"),
    "web page": (lambda p: p.write_bytes(b"\n<!DOCTYPE html>"), "Got: a web page, not data"),
    "pointer": (lambda p: p.write_bytes(b"version https://git-lfs.github.com"), "git lfs pull"),
    "a bare array": (lambda p: p.write_bytes(member()), "Got: one bare array"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08"), r"Got: a \.gz"),
    "folder": (lambda p: p.mkdir(), "Got: a folder"),
    "pipe": (lambda p: os.mkfifo(p), "Got: a pipe or device"),
    "missing": (lambda p: None, "must be a file and is not. Got: nothing"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_what_is_no_archive_of_numbers_is_refused_in_one_line(tmp_path, fault):
    make, message = DAMAGED[fault]
    path = tmp_path / "b.npz"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        npz.read(path, remedy="Fetch it again.")
    said = str(caught.value)
    assert said.startswith(str(path))
    assert said.endswith("Fetch it again.")
    assert "\n" not in said
    assert len(said) < 300 + len(str(path))


def test_a_missing_array_is_named_beside_what_there_is(tmp_path):
    np.savez(tmp_path / "a.npz", x=1, y=2)
    with pytest.raises(InputError, match=r"must hold z\. Got: x, y"):
        npz.read(tmp_path / "a.npz", ["x", "z"])


@pytest.mark.parametrize("count", [1, 6])
def test_a_bomb_is_refused_from_its_headers_and_nothing_is_allocated(tmp_path, monkeypatch, count):
    path = tmp_path / "a.npz"
    size = 6 * 2**20 // count
    np.savez_compressed(path, **{f"a{i}": np.zeros(size, np.uint8) for i in range(count)})
    assert path.stat().st_size < 12_000  # 500 times as small

    def allocate(*_, **__):
        raise AssertionError("allocated")

    with monkeypatch.context() as patched:
        patched.setattr(npz.files, "read_at_most", allocate)
        with pytest.raises(InputError, match=r"at most 6,291,455 bytes\. Got: 6,291,456\."):
            npz.read(path, limit_bytes=6 * 2**20 - 1)
        with pytest.raises(InputError, match=r"bytes, also as float32\. Got: 31,457,280\."):
            npz.read(path, limit_bytes=7 * 2**20, as_data=True)
        with pytest.raises(AssertionError, match="allocated"):
            npz.read(path, limit_bytes=7 * 2**20)
    assert len(npz.read(path, limit_bytes=7 * 2**20)) == count
    assert len(npz.read(path, ["a0"], limit_bytes=size + 1000)) == 1  # others don't count


def test_a_directory_of_millions_of_members_is_not_read(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(20_000):
            archive.writestr(f"{i:020}.npy", b"")
    (tmp_path / "a.npz").write_bytes(packed.getvalue())
    with pytest.raises(InputError, match=r"a directory of 1,4[\d,]+ bytes"):
        npz.read(tmp_path / "a.npz")


def test_one_flipped_bit_in_the_data_is_seen(tmp_path):
    path = write(tmp_path / "a.npz", member(), zipfile.ZIP_STORED)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"abc", b"abd", 1))
    with pytest.raises(InputError, match=r"must be a complete \.npz\. Got: Bad CRC-32"):
        npz.read(path)
