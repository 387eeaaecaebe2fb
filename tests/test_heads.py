"""Outputs of every kind are judged by what they mean: classes, labels, values, several outputs."""

import numpy as np
import pytest

from benchmarks import parity
from mnist_edge import gate, heads
from mnist_edge.errors import InputError
from mnist_edge.heads import Head

COUNT = 1000
RANDOM = np.random.default_rng(0)
DIGITS = Head("digit", heads.CLASSES, ("a", "b", "c"))
EVEN = Head("even", heads.BINARY, ("odd", "even"))
TAGS = Head("tags", heads.LABELS, ("red", "round", "rare"))
SIZES = Head("sizes", heads.VALUES, ("width", "height"))
ALL = (DIGITS, EVEN, SIZES, TAGS)

CHOSEN = RANDOM.integers(0, 3, COUNT)
TRUE_TAGS = (RANDOM.random((COUNT, 3)) < (0.5, 0.5, 0.03)).astype(np.float32)
TRUE_SIZES = RANDOM.normal(50, 10, (COUNT, 2)).astype(np.float32)
TRUTH = np.column_stack([CHOSEN, CHOSEN == 1, TRUE_SIZES, TRUE_TAGS]).astype(np.float32)
REFERENCE = np.column_stack(
    [
        0.85 * np.eye(3)[CHOSEN] + 0.05,
        0.8 * (CHOSEN == 1) + 0.1,
        TRUE_SIZES + RANDOM.normal(0, 1, (COUNT, 2)),
        0.9 * TRUE_TAGS + 0.05,
    ]
).astype(np.float32)
# First column of each output.
STARTS = dict(zip(("digit", "even", "sizes", "tags"), (0, 3, 4, 6), strict=True))


def verdict(outputs, is_float32=False):
    thresholds = gate.Thresholds()
    return gate.check(outputs, REFERENCE, TRUTH, is_float32, thresholds, ALL).breaches


def changed(column, values):
    outputs = REFERENCE.copy()
    outputs[:, column] = values
    return outputs


@pytest.mark.parametrize("is_float32", [True, False])
def test_the_reference_itself_passes(is_float32):
    assert verdict(REFERENCE, is_float32) == []


def test_rounding_to_8_bits_passes():
    steps = np.where(np.arange(9) // 2 == 2, 0.25, 1 / 256).astype(np.float32)
    assert verdict((np.round(REFERENCE / steps) * steps).astype(np.float32)) == []


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (3, 1 - REFERENCE[:, 3], "even: agrees with the reference on 0.00%"),
        (3, np.where(np.arange(COUNT) < 30, 1 - REFERENCE[:, 3], REFERENCE[:, 3]), "97.00%"),
        (3, 1.5, "even: outputs are not probabilities"),
        (8, 0.05, "tags: label 'rare': agrees with the reference on 9"),
        (6, 0.5, "tags: label 'red': agrees"),
        (4, 50.0, "sizes: agrees with the reference on"),
        (5, REFERENCE[:, 5] + 1.5, "sizes: value 'height' differs from the reference's by 0.15"),
        (4, np.nan, "values are NaN or infinite"),
    ],
)
def test_each_output_each_label_and_each_value_can_fail_alone(column, values, message):
    found = verdict(changed(column, values))
    assert message in "\n".join(found)
    name = message.partition(":")[0]
    assert name not in STARTS or all(line.startswith(name) for line in found)


def test_a_label_that_is_rare_and_no_longer_found_fails():
    # It agrees on 99 % of the images, which the agreement alone would accept.
    tags = Head("tags", heads.LABELS, ("common", "rare"))
    truth = np.column_stack([CHOSEN == 0, np.arange(COUNT) < 10])
    reference = (0.98 * truth + 0.01).astype(np.float32)
    outputs = reference.copy()
    outputs[:, 1] = 0.01
    found = gate.check(outputs, reference, truth, False, gate.Thresholds(), (tags,)).breaches
    assert any("label 'rare'" in line and "diverges" in line for line in found)
    assert not any("common" in line for line in found)


def test_float32_values_may_differ_by_rounding_alone():
    assert verdict(changed(4, REFERENCE[:, 4] * (1 + 1e-6)), is_float32=True) == []
    found = verdict(changed(4, REFERENCE[:, 4] * (1 + 1e-3)), is_float32=True)
    assert len(found) == 1
    assert "sizes: differs from the reference by" in found[0]
    assert "in a value, at most" in found[0]


def test_shares_are_of_all_decisions_and_each_output_is_told():
    outputs = changed(3, np.where(np.arange(COUNT) < 100, 1 - REFERENCE[:, 3], REFERENCE[:, 3]))
    arrays = outputs, REFERENCE, TRUTH, ALL, gate.Thresholds()
    found = parity.of_outputs(*arrays)
    six = 1 - 0.1 / 6  # classes, binary, values, three labels
    assert found.agreement == pytest.approx(six)
    assert gate.agreement(outputs, REFERENCE, ALL) == pytest.approx(six)
    assert (found.newly_wrong_count, found.newly_right_count) == (100, 0)
    assert found.recall_per_class == found.disagreements.indices == ()
    compared = zip(ALL, gate.compare(*arrays), strict=True)
    agreements = {part.name: each.hits[0].mean() for part, each in compared}
    assert agreements == {"digit": 1, "even": 0.9, "sizes": 1, "tags": 1}


@pytest.mark.parametrize("added", ["softmax", "sigmoid"])
def test_logits_of_the_keras_model_get_the_activation_that_export_added(added):
    head = Head("x", heads.CLASSES, ("a", "b"), added=added)
    found = heads.finish((head,), np.array([[0.0, 0.0], [-1000, 1000]], np.float32))
    assert np.allclose(found, [[0.5, 0.5], [0, 1]])
    wrong = np.zeros((2, 3), np.float32)  # which the gate refuses
    assert heads.finish((head,), wrong) is wrong


def test_what_needs_classes_says_so():
    heads.require_classes((DIGITS,), "here", "robustness")
    with pytest.raises(InputError, match=r"robustness needs .* Got: even \(binary\) in here"):
        heads.require_classes((EVEN,), "here", "robustness")
    with pytest.raises(InputError, match=r"Got: digit \(classes\), even \(binary\)"):
        heads.require_classes((DIGITS, EVEN), "here", "robustness")
