"""CSV files of OpenML, scikit-learn and pandas: labels anywhere, indices, semicolons, decimals."""

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from mnist_edge import data

SKLEARN = Path(datasets.__file__).parent / "data"
PIXELS = "pixel1,pixel2,pixel3,pixel4"


def write(path, header, row, count=14):
    lines = [header] if header else []
    lines += [row.format(i=i, digit=i % 3, name=("cat", "dog", "eel")[i % 3]) for i in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("header", "row", "shape", "dtype"),
    [
        (f"{PIXELS},class", "{i},1,2,255,{digit}", (2, 2), np.uint8),  # OpenML's mnist_784
        (f"{PIXELS},class", "{i},1,2,255,'{name}'", (2, 2), np.uint8),
        ("pixel_0_0,pixel_0_1,pixel_1_0,pixel_1_1,target", "{i}.0,1.0,2.0,16.0,{digit}", (2, 2),
         np.uint8),  # scikit-learn's digits
        (f",{PIXELS},label", "{i},{i},1,2,255,{digit}", (2, 2), np.uint8),  # with pandas's index
        (f",label,{PIXELS}", "{i},{digit},{i},1,2,255", (2, 2), np.uint8),
        (f"label,{PIXELS}", "{name},{i},1,2,255", (2, 2), np.uint8),
        ("id;w;h;target", "{i};{i};0.5;{digit}", (2,), np.float32),
        ('"w";"h";"species"', '{i};-0.5;"{name}"', (2,), np.float32),
        ("w\tlabel\th", "{i}\t{name}\t1e3", (2,), np.float32),
        ("w,h,d,e,target", "{i},1.5,2,3,{digit}.0", (4,), np.float32),  # 4 numbers are no image
        ("", "{i},0.5,1,4,{name}", (4,), np.float32),  # UCI's iris.data
        ("", "{name},{i},5,1,4", (4,), np.uint8),
        ("", "{i}.5,0.5,1,4,{digit}", (4,), np.float32),
        ("", "9,{i},1,4,{digit}", (2, 2), np.uint8),  # a column of one value holds no labels
    ],
)  # fmt: skip
def test_columns_are_found_by_the_header_or_their_values(tmp_path, header, row, shape, dtype):
    loaded = data.load(write(tmp_path / "a.csv", header, row))
    assert loaded.x_train.shape == (12, *shape)
    assert loaded.x_train.dtype == dtype
    assert loaded.labels == (("cat", "dog", "eel") if "name" in row else ("0", "1", "2"))
    first = np.concatenate([loaded.x_train, loaded.x_test]).reshape(14, -1)
    ascending = first[:, 1 if row.startswith("9") else 0]
    y = np.concatenate([loaded.y_train, loaded.y_test])
    assert np.array_equal(np.floor(ascending) % 3, y)
    assert sorted(np.floor(ascending)) == list(range(14))


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("iris.csv", (4,), 3), ("breast_cancer.csv", (30,), 2), ("digits.csv.gz", (8, 8), 10)],
)
def test_scikit_learns_own_files_are_read(name, shape, classes):
    loaded = data.load(SKLEARN / name)
    assert loaded.x_train.shape[1:] == shape
    assert loaded.classes == classes
