"""Kaggle's CSV: both layouts, plain and packed, one file and a pair."""

import gzip
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from mnist_edge import data
from mnist_edge.data import csv_files
from mnist_edge.data.csv_files import CsvFile
from mnist_edge.errors import InputError
from mnist_edge.safety import files

PIXELS = "label," + ",".join(f"pixel{i}" for i in range(4))
NAMED = "label,1x1,1x2,2x1,2x2"


def rows(count, labels=3):
    y = np.arange(count) % labels
    x = np.arange(count * 4, dtype=np.uint8).reshape(count, 4)
    return x, y


def text(count, header=PIXELS, labeled=True):
    x, y = rows(count)
    lines = [header] if header else []
    for pixels, label in zip(x.tolist(), y.tolist(), strict=True):
        lines.append(",".join(map(str, [label, *pixels] if labeled else pixels)))
    return "\n".join(lines) + "\n"


def write(path, content):
    content = content.encode() if isinstance(content, str) else content
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.stem.removesuffix(".csv") + ".csv", content)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("header", [PIXELS, NAMED, None, '"label","1x1","1x2","2x1","2x2"'])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zip", "a.zip"])
def test_both_layouts_are_read_plain_and_packed(tmp_path, header, name):
    x, y = csv_files.read(CsvFile(write(tmp_path / name, text(5, header))))
    assert np.array_equal(x, rows(5)[0].reshape(5, 2, 2))
    assert np.array_equal(y, rows(5)[1])
    assert x.dtype == y.dtype == np.uint8


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    content = b"\xef\xbb\xbf" + text(5).replace("\n", "\r\n\r\n").encode()
    assert len(csv_files.read(CsvFile(write(tmp_path / "a.csv", content)))[1]) == 5


@pytest.mark.parametrize("given", ["folder", "pair", "zip", "prefix"])
def test_a_pair_is_read_from_a_folder_by_name_and_from_a_zip(tmp_path, given):
    train = write(tmp_path / "mnist_train.csv", text(9, NAMED))
    test = write(tmp_path / "mnist_test.csv", text(6, NAMED))
    packed = tmp_path / "elsewhere" / "archive.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__MACOSX/._mnist_train.csv", "of no use")
        for path in (train, test):
            archive.write(path, f"mnist/{path.name}")
    source = {
        "folder": tmp_path,
        "pair": f"{train},{test}",
        "zip": packed,
        "prefix": tmp_path / "mnist",
    }[given]
    loaded = data.load(source)
    assert (len(loaded.x_train), len(loaded.x_test)) == (9, 6)
    assert loaded.remark == ""
    assert loaded.classes == 3


def test_one_file_is_split_by_a_stated_rule_that_gives_the_same_rows_again(tmp_path):
    path = write(tmp_path / "train.csv", text(42))
    loaded = data.load(path)
    assert (len(loaded.x_train), len(loaded.x_test)) == (36, 6)
    together = np.concatenate([loaded.x_train, loaded.x_test]).reshape(42, 4)
    assert np.array_equal(np.sort(together, axis=0), np.sort(rows(42)[0], axis=0))
    assert loaded.sha256() == data.load(path).sha256()
    assert "train.csv has no test set: 6 of the 42 examples" in loaded.remark
    assert "drawn by seed 0" in loaded.remark


def test_kaggles_unlabeled_test_file_is_no_test_set(tmp_path):
    write(tmp_path / "train.csv", text(42))
    header = PIXELS.removeprefix("label,")
    write(tmp_path / "test.csv", text(28, header, labeled=False))
    write(tmp_path / "sample_submission.csv", "ImageId,Label\n1,0\n")
    loaded = data.load(tmp_path)
    assert (len(loaded.x_train), len(loaded.x_test)) == (36, 6)
    assert "test.csv has no labels: 6 of the 42 examples" in loaded.remark
    with pytest.raises(InputError, match=r"test.csv must have labels.*give its train.csv"):
        data.load(tmp_path / "test.csv")


def test_emnists_csv_is_turned_upright_too(tmp_path):
    for split, count in (("train", 9), ("test", 6)):
        _, y = rows(count)
        lines = [f"{label + 1},1,2,3,4" for label in y]
        write(tmp_path / f"emnist-letters-{split}.csv", "\n".join(lines))
    loaded = data.load(tmp_path)
    assert loaded.x_train[0].tolist() == [[1, 3], [2, 4]]
    assert loaded.labels == ("A", "B", "C")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a CSV. Got: an empty file"),
        ("\n\n", "Got: 1 values in the first line, ''"),
        (PIXELS + "\n", "must have one row per image. Got: 1 lines without a row"),
        (text(3).replace(",", "|"), "semicolons or tabs. Got: vertical bars in the first line"),
        (text(3, None).replace(",", " "), "semicolons or tabs. Got: spaces in the first line"),
        ("0," * 1_000_000 + "0\n", "line 1 must have at most 1,048,576 characters. Got: more"),
        (text(3) + "1,2,3,4," + "9" * 2**20, "line 5 must have at most 1,048,576 characters"),
        (text(3, None) + "1,2,\0,3,4\n", r"line 4 must hold whole numbers .*Got: '\\x00'"),
        ("\0" * 999, "Got: 1 values in the first line"),
        ("256,1,2,3,4\n", "line 1 must hold whole numbers from 0 to 255. Got: '256'"),
        ("nan,1,2,3,4\n", "line 1 must hold whole numbers from 0 to 255. Got: 'nan'"),
        ("1,0.5,1.0,0,0\n", "Got: '0.5'. Multiply values between 0 and 1 by 255"),
        (text(3) + "1,2,3\n", "line 5 must have 5 values. Got: 3"),
        (PIXELS + "\n1,2,3\n" + text(3, None), "line 2 must have 5 values. Got: 3"),
        (text(3) + "1,2,3,4,\n", "line 5 must hold whole numbers from 0 to 255. Got: ''"),
        (text(3) + "1,2,3,4,256\n", "line 5 .* from 0 to 255. Got: '256'"),
        (text(3) + "1,2,3,4,-1\n", "Got: '-1'"),
        (text(3) + "1,2,3,4,0.5\n", "Got: '0.5'"),
        (text(3) + "1,2,3,4,ink\n", "Got: 'ink'"),
        (text(3).encode() + b"1,2,3,4,\xff\n", "line 5 must hold whole numbers"),
        ("1,2,3,4\n" * 3 + "1,2,3,4\n", "must have labels"),
        ("1,2,3,4,5,6\n", "pixels of a square image per row.*Got: 6 values"),
        ("ImageId,Label\n1,0\n", "with a column label, class or target.* Got: 2 values"),
        (
            "a,b,class\n1,2,cat\n1,x,cat\n",
            "line 3 must hold numbers and one label. Got: 'x' in col",
        ),
        ("a,b,class\n1,2,cat\n1,,cat\n", "line 3 must hold numbers and one label. Got: '' in col"),
        ("a,b,class\n1,2,cat\n1,2\n", "line 3 must have 3 values. Got: 2"),
        ("a,b,class\n1,2," + "c" * 201, "line 2 must have a label of at most 200 characters"),
        ("a,b,class\n", "must have one row per example. Got: 1 lines without a row"),
        ("a,b,class\n1,nan,cat\n2,1,dog\n", "x_train must be finite|x_test must be finite"),
        ("a,b,c,digit\n1,2,3,4\n", "must have labels, in a column named label, class or target"),
    ],
)
def test_csv_of_another_kind_is_refused_with_the_line_that_is_wrong(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        data.load(write(tmp_path / "a.csv", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_half_a_packed_file_is_refused(tmp_path, name):
    path = write(tmp_path / name, text(50))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="must be a complete"):
        data.load(path)


def test_a_zip_of_other_files_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "")
    with pytest.raises(InputError, match=r"a.zip must hold a .csv and does not"):
        data.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", text(3))
        archive.writestr("b.csv", text(3))
    with pytest.raises(InputError, match=r"one .csv, or train.csv and test.csv. Got: a.csv, b.csv"):
        data.load(path)


def test_a_pair_of_three_or_with_a_missing_file_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", text(3))
    with pytest.raises(InputError, match=r"must be TRAIN.csv,TEST.csv. Got: 3 names"):
        data.load(f"{path},{path},{path}")
    with pytest.raises(InputError, match=r"b.csv must be a file and is not"):
        data.load(f"{path},{tmp_path / 'b.csv'}")


def test_a_test_file_alone_is_refused(tmp_path):
    write(tmp_path / "mnist_test.csv", text(3))
    with pytest.raises(InputError, match=r"mnist_test.csv must be next to a train.csv"):
        data.load(tmp_path)


BOMBS = {
    "rows": text(2) + "1,2,3,4,5\n" * 200_000,
    "blank lines": text(2) + "\n" * 1_000_000,
    "a line": text(2) + " " * 2_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_a_packed_bomb_is_refused_and_memory_stays_small(tmp_path, monkeypatch, name, bomb):
    path = write(tmp_path / name, BOMBS[bomb])
    assert path.stat().st_size < len(BOMBS[bomb]) / 100
    csv_files.read(
        CsvFile(write(tmp_path / "small.csv", text(2)))
    )  # what is imported at the first call
    monkeypatch.setattr(files, "LIMIT_BYTES", 200_000)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"must have at most 1,048,576|at most 200,000 bytes"):
        csv_files.read(CsvFile(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_more_lines_than_any_data_set_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "_MOST_LINES", 100)
    assert len(csv_files.read(CsvFile(write(tmp_path / "a.csv", text(50))))[1]) == 50
    with pytest.raises(InputError, match=r"a.csv must have at most 100 lines. Got: more"):
        csv_files.read(CsvFile(write(tmp_path / "a.csv", text(3) + "\n" * 97)))


def test_data_are_held_to_what_they_take_as_float32_too(tmp_path, monkeypatch):
    train, test = (write(tmp_path / name, text(100)) for name in ("train.csv", "test.csv"))
    assert train.stat().st_size < 2000
    monkeypatch.setattr(files, "LIMIT_BYTES", 5000)
    assert len(data.load(f"{train},{test}").x_train) == 100
    monkeypatch.setattr(files, "LIMIT_BYTES", 4999)
    with pytest.raises(InputError, match=r"at most 4,999 bytes, also as float32\. Got: 5,000\."):
        data.load(f"{train},{test}")


def test_a_zips_member_that_lies_of_its_size_is_refused(tmp_path):
    path = write(tmp_path / "a.zip", text(5))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.rindex(b"PK\x01\x02") + 24, 2**32 - 2)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"must be a complete file. Got: a.csv of \d+ bytes, 4,29"):
        csv_files.read(CsvFile(path))
