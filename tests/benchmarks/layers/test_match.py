"""Which tensor of the artifact holds a layer's output."""

import numpy as np
import pytest

from benchmarks.layers import match
from benchmarks.layers.statistics import MOST_DB, Comparison
from tests.benchmarks.layers.made import tensor


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=(4, *shape))


def found(layers, tensors):
    return [(one.layer, one.tensor, one.way) for one in match.find(layers, tensors)]


CONV, NORM, RELU, OUT = drawn(0, 6, 6, 3), drawn(1, 6, 6, 3), drawn(2, 6, 6, 3), drawn(3, 5)
LAYERS = [tensor(each, name) for each, name in zip((CONV, NORM, RELU, OUT), "abcd", strict=True)]


def test_equal_values_are_a_match_and_a_fused_layer_has_none():
    tensors = [tensor(RELU + 0.01), tensor(OUT)]
    assert found(LAYERS, tensors) == [(2, 0, "values"), (3, 1, "values")]


def test_channels_may_come_first():
    (one,) = match.find(LAYERS[:1], [tensor(np.moveaxis(CONV, -1, 1))])
    assert one.is_moved
    assert np.array_equal(match.aligned(np.moveaxis(CONV, -1, 1), CONV, True), CONV)


def test_values_of_all_channels_are_compared():
    wide = drawn(0, 16, 16, 12) * np.where(np.arange(12) % 2, 1000, 1)
    lost = wide * (np.arange(12) % 2)  # every second value, at stride 2, is 0
    assert found([tensor(wide)], [tensor(lost)]) == [(0, 0, "values")]


def test_axes_of_length_1_do_not_count():
    assert found([tensor(drawn(0, 1, 1, 7))], [tensor(drawn(0, 7))]) == [(0, 0, "values")]


def test_the_same_values_in_another_scale_are_no_match_beside_right_ones():
    tensors = [tensor(255 * CONV), tensor(RELU), tensor(OUT)]
    assert found([LAYERS[0], *LAYERS[2:]], tensors) == [(1, 1, "values"), (2, 2, "values")]


def test_branches_may_run_in_another_order():
    tensors = [tensor(NORM), tensor(CONV), tensor(OUT)]
    layers = [LAYERS[0], LAYERS[1], LAYERS[3]]
    assert found(layers, tensors) == [(0, 1, "values"), (1, 0, "values"), (2, 2, "values")]


def test_what_is_wrong_from_one_layer_on_is_matched_by_order():
    tensors = [tensor(CONV), tensor(drawn(7, 6, 6, 3)), tensor(drawn(8, 5))]
    layers = [LAYERS[0], LAYERS[2], LAYERS[3]]
    assert found(layers, tensors) == [(0, 0, "values"), (1, 1, "order"), (2, 2, "order")]


def test_a_bad_match_between_good_ones_is_dropped():
    tensors = [tensor(CONV), tensor(NORM + 0.7 * drawn(9, 6, 6, 3)), tensor(RELU), tensor(OUT)]
    assert found(LAYERS, tensors) == [(0, 0, "values"), (2, 2, "values"), (3, 3, "values")]


def test_a_tensor_named_after_its_layer_is_its_match():
    tensors = [tensor(drawn(7, 6, 6, 3), "model/b/Relu:0"), tensor(RELU)]
    assert found(LAYERS[1:3], tensors) == [(0, 0, "name"), (1, 1, "values")]


def test_nothing_in_common_is_no_match():
    assert found(LAYERS, []) == found(LAYERS, [tensor(drawn(0, 11))]) == []


# The figures.


def figures(x, y, **quantization):
    compared = Comparison(x.shape[-1])
    for start in (0, 2):  # in two batches
        part = slice(start, start + 2)
        compared.add(x[part], y[part], tensor(y[part]) if not quantization else quantization["t"])
    return compared.figures()


def test_equal_values_have_the_largest_ratio():
    same = figures(CONV, CONV)
    assert same["snr_db"] == same["channel_snr_db"] == MOST_DB
    assert same["cosine"] == pytest.approx(1)
    assert same["max_difference"] == 0


def test_the_ratio_is_that_of_powers():
    assert figures(CONV, CONV * 1.1)["snr_db"] == pytest.approx(20)


def test_a_small_channel_that_is_lost_shows_by_channel_alone():
    wide = CONV * [1000, 1, 1]
    lost = wide * [1, 0, 0]
    assert figures(wide, lost)["snr_db"] > 50
    assert figures(wide, lost)["channel_snr_db"] == pytest.approx(10 * np.log10(3 / 2))
    assert figures(wide, lost)["channel_spread"] > 500
    assert figures(wide, lost)["worst_channel"] in (1, 2)


def test_values_that_are_not_numbers_are_all_noise():
    broken = np.full_like(CONV, np.nan)
    assert figures(CONV, broken)["channel_snr_db"] == 0
    assert figures(CONV, broken)["snr_db"] == -MOST_DB


def test_cut_off_values_are_counted_and_the_zeros_of_a_relu_are_not():
    x = np.array([[0.0, 0.5], [1.0, 3.0], [0.0, 0.2], [0.0, 0.9]], np.float32)
    t = match.Activation("", "", x.clip(0, 1), ends=(0.0, 1.0), step=1 / 255)
    compared = Comparison(2)
    compared.add(x, t.values, t)
    assert compared.figures()["saturated"] == 1 / 8
