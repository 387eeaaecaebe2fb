import json

import keras
import numpy as np
import pytest

from mnist_edge import models, schema
from mnist_edge.errors import InputError
from mnist_edge.models import folding


def layer_shapes(model):
    plain = ("InputLayer", "Rescaling", "BatchNormalization", "ReLU", "Activation", "Dropout")
    return [
        (type(layer).__name__, layer.output.shape[1:])
        for layer in model.layers
        if type(layer).__name__ not in plain
    ]


# Name of the row: (layers that change the shape, parameters).
ARCHITECTURES = {
    "conv-conv": (
        [
            ("Conv2D", (26, 26, 32)),
            ("Conv2D", (24, 24, 32)),
            ("Flatten", (18432,)),
            ("Dense", (10,)),
        ],
        320 + 9_248 + 184_330,
    ),
    "conv-pool-conv-pool": (
        [
            ("Conv2D", (26, 26, 32)),
            ("MaxPooling2D", (13, 13, 32)),
            ("Conv2D", (11, 11, 64)),
            ("MaxPooling2D", (5, 5, 64)),
            ("Flatten", (1600,)),
            ("Dense", (128,)),
            ("Dense", (10,)),
        ],
        320 + 18_496 + 204_928 + 1_290,
    ),
    "conv-conv-pool": (
        [
            ("Conv2D", (26, 26, 32)),
            ("Conv2D", (24, 24, 64)),
            ("MaxPooling2D", (12, 12, 64)),
            ("Flatten", (9216,)),
            ("Dense", (128,)),
            ("Dense", (10,)),
        ],
        320 + 18_496 + 1_179_776 + 1_290,
    ),
    "conv-pool-thrice": (
        [
            ("Conv2D", (28, 28, 32)),
            ("MaxPooling2D", (14, 14, 32)),
            ("Conv2D", (14, 14, 64)),
            ("MaxPooling2D", (7, 7, 64)),
            ("Conv2D", (7, 7, 64)),
            ("MaxPooling2D", (3, 3, 64)),
            ("Flatten", (576,)),
            ("Dense", (64,)),
            ("Dense", (10,)),
        ],
        320 + 18_496 + 36_928 + 36_928 + 650,
    ),
    # Reference D to the layer; its printed total of 122,930 is a slip of its author's.
    "classic": (
        [
            ("Conv2D", (26, 26, 32)),
            ("MaxPooling2D", (13, 13, 32)),
            ("Conv2D", (11, 11, 64)),
            ("MaxPooling2D", (5, 5, 64)),
            ("Flatten", (1600,)),
            ("Dense", (64,)),
            ("Dense", (10,)),
        ],
        121_930,
    ),
    "edge": (
        [
            ("Conv2D", (14, 14, 10)),
            ("Conv2D", (14, 14, 12)),
            ("Conv2D", (14, 14, 16)),
            ("MaxPooling2D", (7, 7, 16)),
            ("Conv2D", (7, 7, 16)),
            ("Conv2D", (5, 5, 16)),
            ("Conv2D", (3, 3, 16)),
            ("Flatten", (144,)),
            ("Dense", (10,)),
        ],
        11_764,
    ),
    "swift": (
        [
            ("ZeroPadding2D", (30, 30, 1)),
            ("Conv2D", (13, 13, 16)),
            ("ZeroPadding2D", (17, 17, 16)),
            ("Conv2D", (8, 8, 16)),
            ("Conv2D", (6, 6, 16)),
            ("Conv2D", (4, 4, 16)),
            ("Conv2D", (2, 2, 16)),
            ("Flatten", (64,)),
            ("Dense", (10,)),
        ],
        10_586,
    ),
    "robust": (
        [
            ("Conv2D", (14, 14, 16)),
            ("Conv2D", (14, 14, 24)),
            ("MaxPooling2D", (7, 7, 24)),
            ("Conv2D", (7, 7, 40)),
            ("Conv2D", (5, 5, 40)),
            ("Conv2D", (3, 3, 48)),
            ("Flatten", (432,)),
            ("Dense", (10,)),
        ],
        49_178,
    ),
    "micro": (
        [
            ("Conv2D", (13, 13, 8)),
            ("Conv2D", (11, 11, 8)),
            ("Conv2D", (9, 9, 8)),
            ("MaxPooling2D", (4, 4, 8)),
            ("Conv2D", (2, 2, 12)),
            ("Flatten", (48,)),
            ("Dense", (10,)),
        ],
        2_778,
    ),
    "nano": (
        [
            ("Conv2D", (26, 26, 7)),
            ("DepthwiseConv2D", (24, 24, 7)),  # twice, here by its first call
            ("Conv2D", (24, 24, 7)),
            ("AveragePooling2D", (12, 12, 7)),
            ("Conv2D", (10, 10, 10)),
            ("DepthwiseConv2D", (8, 8, 10)),  # three times
            ("Conv2D", (8, 8, 10)),
            ("Conv2D", (6, 6, 10)),
            ("Conv2D", (4, 4, 10)),
            ("GlobalAveragePooling2D", (10,)),
        ],
        851,
    ),
    # Three branches, layer by layer side by side.
    "accurate": (
        [
            *(("Conv2D", (side, side, 16)) for side in (26, 24, 22)),
            *(("Conv2D", (side, side, 24)) for side in (24, 22, 20)),
            *(
                (pooling, (side, side, 24))
                for pooling, side in (
                    ("AveragePooling2D", 12),
                    ("MaxPooling2D", 11),
                    ("MaxPooling2D", 10),
                )
            ),
            *(("Conv2D", (side, side, 32)) for side in (12, 11, 10)),
            *(("Conv2D", (side, side, 48)) for side in (10, 9, 8)),
            *(("Conv2D", (side, side, 64)) for side in (8, 7, 8)),
            *(
                (pooling, (side, side, 64))
                for pooling, side in (
                    ("AveragePooling2D", 4),
                    ("MaxPooling2D", 3),
                    ("MaxPooling2D", 4),
                )
            ),
            *3 * [("Conv2D", (2, 2, 96))],
            *3 * [("GlobalAveragePooling2D", (96,))],
            *3 * [("Dense", (10,))],
            ("Average", (10,)),
        ],
        298_286,
    ),
    "sprint": (
        [
            ("Conv2D", (14, 14, 24)),
            ("Conv2D", (14, 14, 32)),
            ("Conv2D", (14, 14, 48)),
            ("MaxPooling2D", (7, 7, 48)),
            ("Conv2D", (7, 7, 64)),
            ("Conv2D", (5, 5, 64)),
            ("GlobalMaxPooling2D", (64,)),
            ("Dense", (10,)),
        ],
        87_426,
    ),
}
ARCHITECTURES["edge-robust"] = ARCHITECTURES["edge"]


@pytest.mark.parametrize("name", models.ZOO)
def test_each_architecture_is_what_it_was(name):
    shapes, parameters = ARCHITECTURES[name]
    model = models.build(name)
    assert layer_shapes(model) == shapes
    assert model.count_params() == parameters


def test_the_small_and_the_large_keep_their_budgets():
    edge = models.build("edge")
    assert edge.count_params() <= 12_000
    assert models.multiply_accumulates(edge) <= 800_000
    assert folding.fold(models.build("nano")).count_params() <= 700
    micro = models.build("micro")
    assert models.multiply_accumulates(micro) <= 150_000
    folded = folding.fold(micro).get_weights()
    # In int8: a byte per weight, four per bias.
    assert sum(w.size * (4 if w.ndim == 1 else 1) for w in folded) <= 3_000
    assert models.build("robust").count_params() <= 60_000
    assert models.build("accurate").count_params() <= 300_000


def test_a_recipe_tells_itself_in_a_line():
    assert models.ZOO["classic"].recipe.describe() == "10 epochs, batch 64, Adam 0.001"
    assert models.ZOO["edge"].recipe.describe() == (
        "20 epochs, batch 128, Muon 0.05, AdamW 0.01, weight decay 0.01, warm-up and cosine, "
        "augmented, averaged"
    )
    augmented = models.Recipe(5, 64, augment=models.GENTLE, plain_epochs=2)
    assert "augmented except in the last 2 epochs" in augmented.describe()


def test_multiply_accumulates_of_a_convolution_and_a_dense_layer():
    model = models.build("classic")
    by_hand = 26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64 + 1600 * 64 + 64 * 10
    assert models.multiply_accumulates(model) == by_hand


def test_multiply_accumulates_of_depthwise_separable_and_grouped_convolutions():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 3, strides=2, padding="same"),  # 14 x 14
            layers.DepthwiseConv2D(5, padding="same", depth_multiplier=2),  # 14 x 14 x 12
            layers.SeparableConv2D(8, 3, strides=2),  # 6 x 6
            layers.Conv2D(4, 1, groups=4),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    by_hand = [
        14 * 14 * 9 * 1 * 6,
        14 * 14 * 25 * 6 * 2,
        6 * 6 * 9 * 12 + 6 * 6 * 12 * 8,
        6 * 6 * 2 * 4,
        4 * 3,
    ]
    assert models.multiply_accumulates(model) == sum(by_hand)


def test_multiply_accumulates_of_a_layer_that_is_called_twice_count_twice():
    spatial = keras.layers.DepthwiseConv2D(3)
    image = keras.Input((8, 8, 2))
    model = keras.Model(image, spatial(spatial(image)))
    assert models.multiply_accumulates(model) == (6 * 6 + 4 * 4) * 9 * 2
    assert model.count_params() == 9 * 2 + 2


def test_counting_multiply_accumulates_leaves_the_model_as_it_is():
    model = models.build("nano")
    layers, calls = model.layers, [layer.output for layer in model.layers]
    assert models.multiply_accumulates(model) == 142_440
    assert model.layers == layers
    assert all(layer.output is call for layer, call in zip(layers, calls, strict=True))


def test_multiply_accumulates_of_an_unknown_layer_are_not_left_out():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2DTranspose(2, 3)])
    with pytest.raises(InputError, match="a Conv2DTranspose with weights"):
        models.multiply_accumulates(model)


def test_a_network_may_branch(monkeypatch):
    def residual(layers):
        inside = layers.Conv2D(4, 3, padding="same")
        return [layers.Conv2D(4, 3), lambda x: layers.Add()([x, inside(x)]), layers.Flatten()]

    row = models.Network(residual, models.Recipe(1, 32))
    monkeypatch.setitem(models.ZOO, "branching", row)
    model = models.build("branching")
    assert [type(layer).__name__ for layer in model.layers].count("Add") == 1
    convolutions = 26 * 26 * 9 * 4 + 26 * 26 * 9 * 4 * 4
    assert models.multiply_accumulates(model) == convolutions + 26 * 26 * 4 * 10


def test_a_recipe_of_all_images_has_nothing_to_choose_by():
    for changes in ({"keep": "best"}, {"patience": 3}):
        with pytest.raises(InputError, match="no validation"):
            models.Recipe(1, 32, all_images=True, **changes)


@pytest.mark.parametrize("name", models.ZOO)
def test_every_model_takes_raw_pixels_and_gives_probabilities(name):
    model = models.build(name, classes=7)
    assert model.input.name == "image"
    assert model.input.shape == (None, 28, 28, 1)
    noise = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype(np.float32)
    probabilities = model.predict(noise, verbose=0)
    assert probabilities.shape == (4, 7)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", models.ZOO)
def test_the_first_thing_a_model_does_is_scale_its_pixels_to_one(name):
    model = models.build(name)
    scaled = keras.Model(model.input, model.layers[1].output)
    assert scaled.predict(np.full((1, 28, 28, 1), 255.0), verbose=0).max() == pytest.approx(1)


@pytest.mark.parametrize("name", models.ZOO)
def test_a_recipe_comes_back_from_its_record(name):
    recipe = models.ZOO[name].full_recipe
    record = json.loads(json.dumps(schema.encode(recipe)))
    assert schema.decode(models.Recipe, record) == recipe
    assert schema.decode(models.Recipe, record | {"epochs": 77}) != recipe
    older = {k: v for k, v in record.items() if k != "label_smoothing"}
    assert schema.decode(models.Recipe, older).label_smoothing == 0
    with pytest.raises(schema.SchemaError, match=r"known keys only\. Got: teacher"):
        schema.decode(models.Recipe, record | {"teacher": None}, "recipe")
