"""At which layer quality falls."""

import pytest

from benchmarks.layers import falls
from tests.benchmarks.layers.made import result


def named(ratios, precision="int8", **changes):
    layers = [result(f"layer{i}", db, **changes) for i, db in enumerate(ratios)]
    found = falls.first(layers, precision)
    return found and found.layer


@pytest.mark.parametrize(
    ("precision", "sound"),
    [("float32", [140, 130, 120]), ("float16", [75, 66, 54]), ("int8", [40, 30, 25, 37])],
)
def test_in_a_sound_artifact_no_layer_falls(precision, sound):
    assert named(sound, precision) is None


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int16x8", ""])
def test_the_first_bad_layer_is_named(precision):
    assert named([130, 125, 3, 1, 2], precision) == "layer2"


def test_the_first_of_all_may_be_bad():
    assert named([2, 1, 0]) == "layer0"


def test_what_is_sound_in_int8_is_not_in_float32():
    assert named([130, 40, 40], "float32") == "layer1"


def test_a_bad_layer_under_a_good_output_does_no_harm():
    assert named([40, 5, 38]) is None


def test_where_noise_adds_up_the_layer_that_adds_most_is_named():
    assert named([35, 34, 22, 21, 20, 19]) == "layer2"


def test_channels_that_differ_too_much_are_the_reason_also_for_the_layer_that_reads_them():
    layers = [result("a", 45), result("b", 39, spread=1500), result("c", 1), result("d", 1)]
    found = falls.first(layers, "int16x8")
    assert found.layer == "b"
    assert "at c, which reads it" in found.reason
    assert "1,500 times" in found.reason


def test_the_output_is_judged_as_a_whole():
    layers = [result("a", 40), result("out", 40, channel_snr_db=4.0)]
    assert falls.first(layers, "int8") is None
