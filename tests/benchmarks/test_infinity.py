"""A model that gives infinity is a failed or breached row, and never "inf %"."""

import json

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import predict
from mnist_edge import manifest
from tests import tiny
from tests.safety import hostile


@pytest.fixture
def folder(tiny_bundle, without_keras):
    tiny.add(tiny_bundle, "onnx-exploding", _exploding())
    return tiny_bundle


def _exploding():
    """An ONNX file that is right where pixels are 0 or 1, and infinite from 100 on."""
    nodes, constants = hostile._ten()
    nodes += [
        ("Sub", ["flat", "one"], ["less"], {}),
        ("Exp", ["less"], ["huge"], {}),
        ("Mul", ["flat", "huge"], ["probabilities"], {}),
    ]
    return hostile.onnx_of(nodes, constants | {"one": np.float32(1)})


def test_infinity_on_distorted_images_is_a_failed_row(folder, capsys):
    argv = [str(folder), *tiny.QUICK, "--robustness", "--robustness-count", "5", "--json"]
    assert benchmarks.main(argv) == 1
    printed = capsys.readouterr().out
    breach = "BREACH onnx-exploding: returned NaN or infinity for test images, impulse noise"
    assert breach in printed
    assert "inf" not in printed.replace("infinity", "")
    result = json.loads(printed.splitlines()[-1], parse_constant=pytest.fail)
    rows = result["measurements"]
    assert {row["variant"]: row["status"] for row in rows} == {
        "keras": "not installed",
        "tflite-float32": "passed",
        "onnx-float32": "passed",
        "onnx-exploding": "failed",
    }
    measured = [row["variant"] for row in rows if row["robustness"]]
    assert measured == ["tflite-float32", "onnx-float32"]


@pytest.mark.parametrize(("pixel", "words"), [(255, "Got: 0 to inf"), (2, "0 to 5.43656")])
def test_a_picture_that_makes_an_artifact_infinite_is_no_answer(folder, pixel, words):
    pixels = np.zeros((1, 28, 28, 1), np.float32)
    pixels[0, 0, 3] = pixel
    read = manifest.read(folder, "")
    _, _, failed = predict.run_all(folder, read, pixels)
    assert words in failed["onnx-exploding"]
