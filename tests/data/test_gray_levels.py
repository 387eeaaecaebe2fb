"""Pixels in [0, 1] where 0 to 255 is meant are recognized, wherever that is certain."""

import keras
import numpy as np
import pytest

from export import description
from export import source as sources
from mnist_edge import data, evaluate, train
from mnist_edge.errors import InputError


def save(path, x):
    y = np.arange(len(x)) % 3
    np.savez(path, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])
    return str(path)


@pytest.fixture
def scaled(tmp_path):
    """Path of a data set of floats in [0, 1]."""
    return save(tmp_path / "scaled.npz", data.load().x_train[:12] / 255)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 1.0, "Got: 0 to 1. Multiply by 255"),
        (0, np.uint8(1), "Got: 0 to 1. Multiply by 255"),
        (-1.0, 1.0, "Got: -1 to 1. Undo their scaling"),
        (-0.42, 2.8, "Undo their scaling"),
        (0, 65_535, "Got: 0 to 65535. Undo their scaling"),
    ],
)
def test_pixels_of_another_scale_are_recognized(tmp_path, low, high, message):
    x = np.full((12, 28, 28), high)
    x[0] = low
    loaded = data.load(save(tmp_path / "a.npz", x))
    with pytest.raises(InputError, match=f"must be pixels from 0 to 255.*{message}"):
        data.require_gray_levels(loaded)


@pytest.mark.parametrize("high", [0, 2.0, 255, np.uint8(255)])
def test_pixels_of_0_to_255_and_blank_ones_are_taken(tmp_path, high):
    loaded = data.load(save(tmp_path / "a.npz", np.full((12, 28, 28), high)))
    data.require_gray_levels(loaded)
    assert loaded.x_train.max() == high


RECOGNIZED = r"scaled.npz: x_train must be pixels from 0 to 255, .* Got: 0 to 1. Multiply by 255"


def test_training_evaluating_and_exporting_on_pixels_of_0_to_1_is_refused(small, scaled, tmp_path):
    settings = train.TrainSettings(data=scaled, output=tmp_path / "new", quiet=True)
    with pytest.raises(InputError, match=RECOGNIZED):
        train.train(settings)
    settings = evaluate.EvaluateSettings(bundle=small.folder, data=scaled, output=tmp_path / "new")
    with pytest.raises(InputError, match=RECOGNIZED):
        evaluate.evaluate(settings)
    with pytest.raises(InputError, match=RECOGNIZED):
        sources.open_bundle(small.folder, scaled)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("layer", "high", "is_warned"),
    [
        (keras.layers.Rescaling(1 / 255), 1.0, True),
        (keras.layers.Rescaling(1 / 255), 255.0, False),
        (keras.layers.Flatten(), 1.0, False),
    ],
)
def test_of_a_foreign_model_it_is_said_what_it_gets(layer, high, is_warned, tmp_path):
    image = keras.Input((1,))
    model = keras.Sequential([image, layer, keras.layers.Dense(2, activation="softmax")])
    x = np.linspace(0, high, 60, dtype=np.float32)[:, None]
    y = np.arange(60) // 30
    source = sources.save_model(model, data.Dataset(x, y, x, y), tmp_path)
    low, warnings = f"values from 0 to {high:g};", "\n".join(description.description(source))
    assert low in warnings
    assert ("multiply the data by 255" in warnings) == is_warned
