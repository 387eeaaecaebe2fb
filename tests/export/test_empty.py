"""The empty graphs are what `python -m export.empty` makes: one operator, the artifacts' shapes."""

import numpy as np
import pytest

from benchmarks import overhead
from export import empty, inspection
from mnist_edge import runtimes


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_remaking_gives_the_shipped_bytes(format, tmp_path, monkeypatch):
    monkeypatch.setattr(empty, "FOLDER", tmp_path)
    assert empty.main([]) == 0
    shipped = overhead.GRAPHS[format]
    assert shipped.read_bytes() == (tmp_path / shipped.name).read_bytes()
    assert shipped.stat().st_size < 1000


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_an_empty_graph_is_one_operator_and_gives_ten_pixels_of_an_image(format):
    path = overhead.GRAPHS[format]
    assert len(inspection.read(path).operators) == 1
    opened = runtimes.open_artifact(path, threads=1)
    image = np.arange(28 * 28, dtype=np.float32).reshape(1, 28, 28, 1)
    given = opened.decode(opened.call(opened.encode(image)))
    assert (opened.batch, given.dtype) == (1, np.float32)
    np.testing.assert_array_equal(given, [range(10)])
