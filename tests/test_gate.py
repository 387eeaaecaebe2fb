"""The gate: each limit with a case that passes and one that breaks it."""

import numpy as np
import pytest

from benchmarks import gate

REFERENCE = np.eye(4, dtype=np.float32)[[0, 1, 2, 3] * 50] * 0.6 + 0.1  # 200 images
LABELS = np.array([0, 1, 2, 3] * 50, np.uint8)


def breaches(probabilities, limits=gate.Limits(), is_float32=False):  # noqa: B008, frozen
    return gate.breaches(probabilities, REFERENCE, LABELS, limits, is_float32)


def with_wrong(count):
    """The reference, with another first choice on the first `count` images."""
    changed = REFERENCE.copy()
    changed[np.arange(count), (LABELS[:count] + 1) % 4] += 1.1
    return changed


def test_gate_passes_the_reference_itself():
    assert breaches(REFERENCE, gate.Limits(min_accuracy=1.0), is_float32=True) == []


def test_gate_breaks_on_agreement():
    limits = gate.Limits(max_accuracy_drop=1.0)
    assert breaches(with_wrong(4), limits) == []
    assert breaches(with_wrong(5), limits) == [
        "agrees with the reference on 97.50% of images, at least 98.00% required"
    ]


def test_gate_breaks_on_accuracy_drop():
    assert breaches(with_wrong(1)) == []
    assert breaches(with_wrong(2)) == [
        "accuracy 99.00% is 1.00 points below the reference's, at most 0.50 allowed"
    ]


def test_gate_breaks_on_accuracy_where_asked():
    assert breaches(with_wrong(1), gate.Limits(min_accuracy=0.995)) == []
    assert breaches(with_wrong(1), gate.Limits(min_accuracy=0.996)) == [
        "accuracy 99.50%, at least 99.60% required"
    ]


def test_gate_breaks_where_float32_differs_on_a_clear_image():
    assert breaches(with_wrong(1), is_float32=True) == [
        "differs from the reference on 1 images whose two largest probabilities are more "
        "than 0.0001 apart, none allowed"
    ]
    tie = REFERENCE.copy()
    tie[0] = [0.4, 0.39995, 0.1, 0.1]
    other = tie.copy()
    other[0] = [0.39995, 0.4, 0.1, 0.1]
    assert gate.breaches(other, tie, LABELS, gate.Limits(), is_float32=True) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gate_breaks_on_nan_and_infinity(bad):
    broken = REFERENCE.copy()
    broken[7, 2] = bad
    assert breaches(broken) == ["1 probabilities are NaN or infinite"]


def test_gate_breaks_on_another_shape():
    assert breaches(REFERENCE[:, :3]) == ["gives [200, 3] instead of [200, 4]"]


def test_gate_breaks_on_a_required_variant_that_is_missing_or_not_installed():
    statuses = {"tflite-int8": "passed", "onnx-int8": "not installed"}
    assert gate.missing(["tflite-int8"], statuses, "not installed") == []
    assert gate.missing(["onnx-int8", "tflite-int4"], statuses, "not installed") == [
        "onnx-int8: required and its runtime is not installed",
        "tflite-int4: required and not in the bundle's manifest",
    ]
