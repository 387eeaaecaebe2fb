"""Hugging Face's Parquet files of pictures become a data set or are refused in one line."""

import builtins
import io
import json

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from mnist_edge import data
from mnist_edge.errors import InputError
from mnist_edge.safety import files


def picture(value, mode="L"):
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 4), value, np.uint8)).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def write(path, count=14, names=("cat", "dog"), mode="L", image="image", label="label"):
    rows = {
        image: [{"bytes": picture(i, mode), "path": f"{i}.png"} for i in range(count)],
        label: [i % 2 for i in range(count)],
    }
    features = {label: {"names": list(names), "_type": "ClassLabel"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table(rows).replace_schema_metadata(about), path)
    return path


def test_one_file_is_split_by_seed_and_names_the_classes(tmp_path):
    loaded = data.load(write(tmp_path / "a.parquet"))
    assert (loaded.x_train.shape, loaded.x_test.shape) == ((12, 6, 4), (2, 6, 4))
    assert np.array_equal(loaded.x_train[:, 0, 0] % 2, loaded.y_train)
    assert loaded.labels == ("cat", "dog")
    assert "a.parquet has no test set: 2 of the 14 examples" in loaded.remark


@pytest.mark.parametrize("place", ["", "data"])
def test_a_folder_of_parts_is_read_by_split(tmp_path, place):
    for number in range(2):
        write(tmp_path / place / f"train-0000{number}-of-00002.parquet", 8, image="img", mode="RGB")
    write(tmp_path / place / "test-00000-of-00001.parquet", 4, image="img", mode="RGB")
    loaded = data.load(tmp_path)
    assert (loaded.x_train.shape, loaded.x_test.shape) == ((16, 6, 4, 3), (4, 6, 4, 3))
    assert loaded.remark == ""


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def page(path):
    path.write_bytes(b"<!DOCTYPE html>")


def no_label(path):
    write(path, label="caption")


def no_pictures(path):
    parquet.write_table(pyarrow.table({"image": [1.5], "label": [1]}), path)


def damaged_picture(path):
    rows = {"image": [picture(1), picture(2)[:40]], "label": ["cat", "dog"]}
    parquet.write_table(pyarrow.table(rows), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, r"a.parquet must be a complete Parquet file of pictures. Got: "),
        (page, "Got: a web page, not data"),
        (no_label, r"must have columns image and label. Got: image, caption. Rename"),
        (no_pictures, "Got: row 0 without a picture's bytes and a label"),
        (damaged_picture, "a.parquet: row 1 must be a complete picture"),
        (lambda path: write(path, 0), "must hold pictures and holds no row|Got: row 0|null"),
    ],
)
def test_files_of_another_kind_are_refused_in_one_line(tmp_path, change, message):
    change(write(tmp_path / "a.parquet"))
    with pytest.raises(InputError, match=message) as caught:
        data.load(tmp_path / "a.parquet")
    assert "\n" not in str(caught.value)


def test_more_than_the_limit_is_refused_from_the_files_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT_BYTES", 500)
    with pytest.raises(InputError, match=r"must unpack to at most 500 bytes. Got: "):
        data.load(write(tmp_path / "a.parquet"))


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "pyarrow":
            raise ModuleNotFoundError("no pyarrow", name="pyarrow")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pyarrow is required.* Install 'mnist-edge\[parquet\]'"):
        data.load(path)
