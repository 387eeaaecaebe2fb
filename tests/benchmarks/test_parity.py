import json

import numpy as np
import pytest

from benchmarks import parity
from benchmarks.measurement import Disagreements, Parity
from mnist_edge import gate, heads, schema

LABELS = np.array([0, 1, 2, 2], np.uint8)
REFERENCE = np.eye(4, dtype=np.float32)[[0, 1, 1, 2]]  # wrong on the third image
ANSWERS = np.eye(4, dtype=np.float32)[[3, 1, 2, 2]]  # wrong on the first alone


def measure(answers, reference):
    return parity.of_outputs(answers, reference, LABELS, heads.plain("0123"), gate.Thresholds())


@pytest.fixture(scope="module")
def figures():
    return measure(ANSWERS, REFERENCE)


def test_shares_of_a_known_case(figures):
    assert figures.accuracy == figures.reference_accuracy == 0.75
    assert figures.agreement == 0.5
    low, high = figures.accuracy_interval
    assert low < 0.75 < high


def test_images_that_became_wrong_and_right_are_counted_apart(figures):
    assert figures.newly_wrong_count == figures.newly_right_count == 1
    assert figures.mcnemar_p == 1
    worse = measure(np.roll(REFERENCE, 1, axis=1), REFERENCE)
    assert (worse.newly_wrong_count, worse.newly_right_count) == (3, 1)


def test_probability_differences(figures):
    assert figures.max_probability_difference == 1
    assert figures.mean_probability_difference == 4 / 16


def test_divergence_is_held_against_that_of_the_bare_choices(figures):
    assert figures.divergence > 1  # two of four answers are others
    assert figures.one_hot_divergence == 0  # the reference is one-hot itself


def test_figures_of_anything_finite_are_finite():
    huge = np.full((4, 4), np.float32(3e38)) * np.sign(REFERENCE - 0.5)
    found = measure(huge, -huge)
    assert np.isfinite(found.max_probability_difference)
    assert read_back(found) == found


def test_recall_is_by_class_and_null_for_a_class_without_images(figures):
    assert figures.recall_per_class == (0, 1, 1, None)


def test_disagreements_are_listed_with_both_answers(figures):
    assert figures.wrong_indices == (0,)
    assert figures.disagreements == Disagreements(
        indices=(0, 2), labels=(0, 2), reference_choices=(0, 1), choices=(3, 2)
    )


def read_back(figures):
    written = json.dumps(schema.encode(figures), allow_nan=False)
    return schema.decode(Parity, json.loads(written))


def test_figures_are_json_and_read_back(figures):
    assert read_back(figures) == figures
