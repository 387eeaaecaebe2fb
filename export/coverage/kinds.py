"""The kinds of models that the table covers: layers by use, and Keras's own applications."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mnist_edge import data

from . import samples

if TYPE_CHECKING:
    import keras

# A layer, or a function of a tensor.
Step = Callable[..., Any]


Build = Callable[[data.Dataset], "keras.Model"]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: Its name in flags and in the table.
        what: What it consists of.
        data: Returns the data that it learns.
        build: Returns a new model for them, with random weights.
        epochs: See `training.train`.
    """

    name: str
    what: str
    data: Callable[[], data.Dataset]
    build: Build
    epochs: int = 0


def _network(
    steps: Callable[[Any], Sequence[Step]],
    policy: str = "float32",
    activation: str | None = "softmax",
) -> Build:
    """Returns a function that builds a model from its input to a dense last layer.

    Args:
        steps: Returns what comes between them, given `keras.layers`.
        policy: Keras's dtype policy for these.
        activation: Of the last layer.
    """

    def build(dataset: data.Dataset) -> "keras.Model":
        import keras

        shape = dataset.x_train.shape[1:]
        if dataset.x_train.dtype == "uint8" and len(shape) == 2:
            shape = (*shape, 1)  # gray images
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            x = image = keras.Input(shape, name="image")
            for step in steps(keras.layers):
                x = step(x)
            if len(x.shape) > 2:
                x = keras.layers.Flatten()(x)
        finally:
            keras.config.set_dtype_policy(before)
        return keras.Model(image, keras.layers.Dense(dataset.classes, activation)(x))

    return build


def _application(name: str) -> Build:
    """Returns a function that builds one of `keras.applications` for images of the data's size."""

    def build(dataset: data.Dataset) -> "keras.Model":
        import keras

        function = getattr(keras.applications, name)
        return function(
            weights=None, input_shape=dataset.x_train.shape[1:], classes=dataset.classes
        )

    return build


def _residual(*steps: Step) -> Step:
    """Returns a step that adds what the steps compute to their input."""

    def add(x: Any) -> Any:
        y = x
        for step in steps:
            y = step(y)
        return x + y

    return add


def _attending(layer: Step) -> Step:
    """Returns a step in which a sequence attends to itself."""
    return lambda x: layer(x, x)


def _joined(join: Step, *branches: Step) -> Step:
    """Returns a step that computes several things of its input, and joins them."""
    return lambda x: join([branch(x) for branch in branches])


def _scaled(k: Any, *steps: Step) -> list[Step]:
    return [k.Rescaling(1 / 255), *steps]


def _convolution(k: Any) -> list[Step]:
    return _scaled(
        k,
        k.Conv2D(8, 3, use_bias=False),
        k.BatchNormalization(),
        k.ReLU(),
        k.MaxPooling2D(),
        k.Dropout(0.5),
    )


def _transformer(k: Any) -> list[Step]:
    """Returns the steps of a transformer's block on `[n, 16]`."""
    return [
        _residual(k.LayerNormalization(), _attending(k.MultiHeadAttention(2, 8))),
        _residual(k.LayerNormalization(), k.Dense(32, activation="gelu"), k.Dense(16)),
        k.LayerNormalization(),
    ]


def _excited(k: Any) -> Step:
    """Returns a squeeze-and-excitation block for eight channels."""
    steps = (
        k.GlobalAveragePooling2D(keepdims=True),
        k.Conv2D(4, 1, activation="relu"),
        k.Conv2D(8, 1, activation="sigmoid"),
    )

    def block(x: Any) -> Any:
        y = x
        for step in steps:
            y = step(y)
        return k.Multiply()([x, y])

    return block


def _nested(k: Any) -> list[Step]:
    import keras

    return _scaled(k, keras.Sequential([k.Conv2D(8, 3), k.ReLU(), k.MaxPooling2D()]))


def _gelu(approximate: bool) -> Callable[[Any], list[Step]]:
    def steps(k: Any) -> list[Step]:
        import keras

        return _scaled(k, k.Flatten(), k.Dense(32), lambda x: keras.ops.gelu(x, approximate))

    return steps


def _normalized(axis: int | None, data: Callable[[], data.Dataset]) -> Callable[[Any], list[Step]]:
    def steps(k: Any) -> list[Step]:
        layer = k.Normalization(axis=axis)
        layer.adapt(data().x_train.astype("float32"))
        return [layer, k.Flatten(), k.Dense(32, activation="relu")]

    return steps


def _pooled(k: Any) -> list[Step]:
    """Returns pooling to a fixed size, each kind beside the others."""

    def pooled(layer: Step) -> Step:
        return lambda x: k.Flatten()(layer(x))

    every = (
        *(k.AdaptiveAveragePooling2D(5), k.AdaptiveMaxPooling2D(4)),
        *(k.GlobalMaxPooling2D(), k.GlobalAveragePooling2D()),
    )
    return _scaled(k, k.Conv2D(8, 3), _joined(k.Concatenate(), *map(pooled, every)))


def _merged(k: Any) -> list[Step]:
    joins = (k.Add(), k.Subtract(), k.Multiply(), k.Average(), k.Maximum(), k.Minimum())
    pairs = (_joined(join, k.Conv2D(4, 3), k.Conv2D(4, 3)) for join in joins)
    return _scaled(k, _joined(k.Concatenate(), *pairs))


def _simple_activations(k: Any) -> list[Step]:
    names = ("celu", "exponential", "hard_sigmoid", "log_sigmoid", "mish", "relu6", "softsign")
    dense = (k.Dense(16, name) for name in names)
    return _scaled(k, k.Flatten(), _joined(k.Concatenate(), *dense))


_KINDS = (
    Kind("dense", "Dense", samples.rows, _network(lambda k: [k.Flatten(), k.Dense(32, "relu")])),
    Kind(
        "conv",
        "Conv2D, BatchNormalization, MaxPooling2D, Dropout",
        samples.gray,
        _network(_convolution),
    ),
    Kind(
        "depthwise",
        "DepthwiseConv2D, SeparableConv2D, ReLU6",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.Conv2D(8, 3, strides=2, padding="same"),
                k.DepthwiseConv2D(3, padding="same"),
                k.ReLU(6),
                k.SeparableConv2D(16, 3, activation="relu"),
            )
        ),
    ),
    Kind(
        "dilated",
        "Conv2D, dilated and in groups",
        samples.gray,
        _network(
            lambda k: _scaled(
                k, k.Conv2D(8, 3, dilation_rate=2), k.ReLU(), k.Conv2D(8, 3, groups=2)
            )
        ),
    ),
    Kind(
        "conv1d",
        "Conv1D, causal and dilated too; MaxPooling1D",
        samples.rows,
        _network(
            lambda k: [
                k.Conv1D(16, 3, activation="relu"),
                k.MaxPooling1D(),
                k.Conv1D(16, 3, padding="causal", dilation_rate=2, activation="relu"),
            ]
        ),
    ),
    Kind(
        "conv3d",
        "Conv3D, MaxPooling3D",
        samples.frames,
        _network(lambda k: [k.Conv3D(4, 3, activation="relu"), k.MaxPooling3D((1, 2, 2))]),
    ),
    Kind(
        "conv-transpose",
        "Conv2DTranspose",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
                k.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
            )
        ),
    ),
    Kind(
        "resampling",
        "ZeroPadding2D, Cropping2D, UpSampling2D, AveragePooling2D",
        samples.gray,
        _network(
            lambda k: _scaled(
                k, k.ZeroPadding2D(1), k.Cropping2D(2), k.UpSampling2D(), k.AveragePooling2D(3)
            )
        ),
    ),
    Kind(
        "resizing",
        "Resizing, bilinear",
        samples.gray,
        _network(lambda k: _scaled(k, k.Resizing(10, 10))),
    ),
    Kind("gru", "GRU", samples.rows, _network(lambda k: [k.GRU(32)])),
    Kind(
        "gru-unrolled", "GRU, unrolled", samples.rows, _network(lambda k: [k.GRU(32, unroll=True)])
    ),
    Kind("lstm", "LSTM", samples.rows, _network(lambda k: [k.LSTM(32)])),
    Kind(
        "lstm-stacked",
        "LSTM twice, TimeDistributed",
        samples.rows,
        _network(
            lambda k: [
                k.LSTM(16, return_sequences=True),
                k.TimeDistributed(k.Dense(16, "relu")),
                k.LSTM(32),
            ]
        ),
    ),
    Kind(
        "lstm-dropout",
        "LSTM with dropout and recurrent dropout",
        samples.rows,
        _network(lambda k: [k.LSTM(32, dropout=0.2, recurrent_dropout=0.2)]),
    ),
    Kind("rnn", "SimpleRNN", samples.rows, _network(lambda k: [k.SimpleRNN(32)])),
    Kind(
        "bidirectional",
        "Bidirectional GRU",
        samples.rows,
        _network(lambda k: [k.Bidirectional(k.GRU(16))]),
    ),
    Kind(
        "conv-lstm",
        "ConvLSTM2D",
        samples.frames,
        _network(lambda k: [k.ConvLSTM2D(4, 3, strides=2)]),
    ),
    Kind(
        "embedding",
        "Embedding, GlobalAveragePooling1D",
        samples.tokens,
        _network(lambda k: [k.Embedding(100, 32), k.GlobalAveragePooling1D(), k.Dense(16, "relu")]),
    ),
    Kind(
        "embedding-lstm",
        "Embedding with a mask, Bidirectional LSTM",
        samples.tokens,
        _network(lambda k: [k.Embedding(100, 16, mask_zero=True), k.Bidirectional(k.LSTM(16))]),
    ),
    Kind(
        "text-transformer",
        "Embedding, transformer block",
        samples.tokens,
        _network(lambda k: [k.Embedding(100, 16), *_transformer(k), k.GlobalMaxPooling1D()]),
    ),
    Kind(
        "normalization",
        "Normalization per feature, on a table",
        samples.table,
        _network(_normalized(-1, samples.table)),
    ),
    Kind(
        "normalization-scalar",
        "Normalization by one mean",
        samples.rows,
        _network(_normalized(None, samples.rows)),
    ),
    Kind(
        "augmentation",
        "RandomFlip, -Rotation, -Zoom, -Translation, -Contrast, GaussianNoise",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.RandomFlip(),
                k.RandomRotation(0.1),
                k.RandomZoom(0.1),
                k.RandomTranslation(0.1, 0.1),
                k.RandomContrast(0.1),
                k.GaussianNoise(0.1),
                k.Conv2D(8, 3, activation="relu"),
            )
        ),
    ),
    Kind(
        "mixed-float16",
        "conv in mixed_float16",
        samples.gray,
        _network(_convolution, "mixed_float16"),
    ),
    Kind(
        "mixed-bfloat16",
        "conv in mixed_bfloat16",
        samples.gray,
        _network(_convolution, "mixed_bfloat16"),
    ),
    Kind(
        "vit",
        "small ViT: patches, LayerNormalization, MultiHeadAttention, gelu",
        samples.gray,
        _network(
            lambda k: _scaled(k, k.Conv2D(16, 2, strides=2), k.Reshape((49, 16)), *_transformer(k))
        ),
    ),
    Kind(
        "attention",
        "MultiHeadAttention, Attention",
        samples.rows,
        _network(
            lambda k: [_attending(k.MultiHeadAttention(2, 8)), lambda x: k.Attention()([x, x])]
        ),
    ),
    Kind("gelu", "gelu", samples.gray, _network(_gelu(False))),
    Kind("gelu-approximate", "gelu, approximate", samples.gray, _network(_gelu(True))),
    Kind(
        "layer-norm",
        "LayerNormalization",
        samples.rows,
        _network(lambda k: [k.LayerNormalization(), k.Flatten(), k.Dense(32, "relu")]),
    ),
    Kind(
        "group-norm",
        "GroupNormalization",
        samples.gray,
        _network(
            lambda k: _scaled(
                k, k.Conv2D(8, 3), k.GroupNormalization(2), k.ReLU(), k.MaxPooling2D()
            )
        ),
    ),
    Kind(
        "prelu",
        "PReLU",
        samples.gray,
        _network(
            lambda k: _scaled(k, k.Conv2D(8, 3), k.PReLU(shared_axes=[1, 2]), k.MaxPooling2D())
        ),
    ),
    Kind(
        "swish",
        "swish, squeeze and excitation",
        samples.gray,
        _network(
            lambda k: _scaled(k, k.Conv2D(8, 3, activation="swish"), k.MaxPooling2D(), _excited(k))
        ),
    ),
    Kind(
        "hard-swish",
        "hard_swish, residual",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.Conv2D(8, 3, strides=2, activation="hard_swish"),
                _residual(k.Conv2D(8, 3, padding="same", activation="hard_swish")),
            )
        ),
    ),
    Kind(
        "activations",
        "elu, selu, tanh, softplus, leaky_relu",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.Flatten(),
                *(k.Dense(32, name) for name in ("elu", "selu", "tanh", "softplus", "leaky_relu")),
            )
        ),
    ),
    Kind(
        "more-activations",
        "celu, exponential, hard_sigmoid, log_sigmoid, mish, relu6, softsign",
        samples.gray,
        _network(_simple_activations),
    ),
    Kind(
        "pooling",
        "AdaptiveAveragePooling2D, AdaptiveMaxPooling2D, GlobalMaxPooling2D",
        samples.gray,
        _network(_pooled),
    ),
    Kind(
        "merging",
        "Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate",
        samples.gray,
        _network(_merged),
    ),
    Kind(
        "shapes-1d",
        "ZeroPadding1D, Cropping1D, UpSampling1D, SeparableConv1D, Conv1DTranspose, Permute",
        samples.rows,
        _network(
            lambda k: [
                *(k.ZeroPadding1D(1), k.Cropping1D(1), k.UpSampling1D(2)),
                *(k.SeparableConv1D(8, 3), k.Conv1DTranspose(8, 3, strides=2)),
                *(k.AveragePooling1D(2), k.Permute((2, 1))),
            ]
        ),
    ),
    Kind(
        "random",
        "RandomCrop, -Brightness, -Shear, -Erasing, -Invert, -Hue, -Saturation, -Grayscale",
        samples.color,
        _network(
            lambda k: [
                *(k.RandomCrop(14, 14), k.RandomBrightness(0.2), k.RandomShear((0, 0.2), (0, 0.2))),
                *(k.RandomErasing(), k.RandomInvert(), k.RandomHue(0.2), k.RandomSaturation(0.2)),
                *_scaled(k, k.RandomGrayscale(), k.Conv2D(8, 3, activation="relu")),
            ]
        ),
    ),
    Kind(
        "norms",
        "RMSNormalization, UnitNormalization, SpectralNormalization",
        samples.gray,
        _network(
            lambda k: _scaled(
                k,
                k.SpectralNormalization(k.Conv2D(8, 3, activation="relu")),
                k.RMSNormalization(),
                k.UnitNormalization(),
            )
        ),
    ),
    Kind(
        "attention-more",
        "GroupQueryAttention, AdditiveAttention, EinsumDense",
        samples.rows,
        _network(
            lambda k: [
                _attending(k.GroupQueryAttention(8, 4, 2)),
                lambda x: k.EinsumDense("abc,cd->abd", (x.shape[1], 16), bias_axes="d")(x),
                lambda x: k.AdditiveAttention()([x, x]),
            ]
        ),
    ),
    Kind("nested", "a Sequential inside the model", samples.gray, _network(_nested)),
    Kind("gray-32", "conv on gray 32 x 32", samples.gray32, _network(_convolution)),
    Kind("color", "conv on RGB", samples.color, _network(_convolution)),
    Kind(
        "classes-1000",
        "1,000 classes",
        samples.thousand,
        _network(lambda k: _scaled(k, k.Flatten(), k.Dense(256, "relu"))),
    ),
    Kind(
        "logits",
        "logits, without softmax",
        samples.rows,
        _network(lambda k: [k.Flatten(), k.Dense(32, "relu")], activation=None),
    ),
)
# Name -> side of the smallest image that it takes, and whether it scales pixels itself.
_APPLICATIONS = {
    "MobileNet": (32, False),
    "MobileNetV2": (32, False),
    "MobileNetV3Small": (32, True),
    "MobileNetV3Large": (32, True),
    "EfficientNetB0": (32, True),
    "EfficientNetV2B0": (32, True),
    "ResNet50": (32, False),
    "ResNet50V2": (32, False),
    "DenseNet121": (32, False),
    "NASNetMobile": (32, False),
    "Xception": (71, False),
    "InceptionV3": (75, False),
    "ConvNeXtTiny": (32, True),
    "VGG16": (32, False),
}
# Other than four, after which MobileNet is right on 91 % of the test images; after one, on 65 %.
# VGG16 diverges, having no batch normalization, and is right on 98 % with the last layer alone.
_EPOCHS = {"EfficientNetB0": 8, "EfficientNetV2B0": 8, "VGG16": 0}
KINDS = {kind.name: kind for kind in _KINDS}
APPLICATIONS = {
    name: Kind(
        name,
        f"{side} x {side} x 3",
        functools.partial(samples.photos, side, pixels),
        _application(name),
        epochs=_EPOCHS.get(name, 4),
    )
    for name, (side, pixels) in _APPLICATIONS.items()
}
