"""What a model's configuration may name: Keras's own classes, and no function.

Keras's safe mode is a list of what it refuses, and holes in it were mended in eight releases
in two years; this is a list of what is accepted. A configuration that names anything else never
reaches Keras. A test holds the list against the installed Keras: each of its layers is
either here or refused with a reason.
"""

from typing import Any

from mnist_edge.safety import files

_LAYERS = """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
    AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose
    Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D
    CutMix Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding
    Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell
    LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum
    MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline
    RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
    RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
    Orthogonal RandomNormal RandomUniform STFT TruncatedNormal VarianceScaling Zeros
"""
_CALLS = "calls a function that the file names"
_READS = "reads files that the model names"
_TEXT = "is about text and categories, which no artifact takes"
# Keras's other layers, and why not.
REFUSED_LAYERS = {
    "Lambda": "runs code out of the file",
    "TorchModuleWrapper": "is unpickled, which runs code out of the file",
    "TFSMLayer": "runs a SavedModel from another place",
    "FlaxLayer": _CALLS,
    "JaxLayer": _CALLS,
    "IntegerLookup": _READS,
    "StringLookup": _READS,
    "TextVectorization": _READS,
    "CategoryEncoding": _TEXT,
    "Discretization": _TEXT,
    "HashedCrossing": _TEXT,
    "Hashing": _TEXT,
    "MaxNumBoundingBoxes": "is about boxes, which no classifier gives",
    "Wrapper": "is no layer by itself",
}
_ANY = None  # any class: Keras itself takes only layers and operations from there

# By module, as Keras writes it, the classes that may be named.
CLASSES: dict[str, set[str] | None] = {
    "keras": {"DTypePolicy", "Model", "Sequential"},
    "keras.src.models.functional": {"Functional"},
    "keras.layers": set(_LAYERS.split()),
    "keras.src.applications.convnext": {"LayerScale", "StochasticDepth"},
    "keras.random": {"SeedGenerator"},
    "keras.constraints": {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"},
    "keras.regularizers": {"L1", "L1L2", "L2", "OrthogonalRegularizer"},
    "keras.initializers": set(_INITIALIZERS.split()),
    # Those of a compiled model within the model.
    "keras.losses": _ANY,
    "keras.metrics": _ANY,
    "keras.optimizers": _ANY,
    "keras.optimizers.schedules": _ANY,
    # Operations on tensors; keras.src.ops.core holds loops over functions as well.
    "keras.src.ops.core": {"Cast", "ConvertToTensor", "SaturateCast", "Slice", "StopGradient"},
    "keras.src.ops.image": _ANY,
    "keras.src.ops.math": _ANY,
    "keras.src.ops.nn": _ANY,
    "keras.src.ops.numpy": _ANY,
}
# What Keras writes without a module: values, not objects.
_VALUES = {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
_DTYPES = {
    *("bool", "float16", "float32", "float64", "bfloat16"),
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
}
# Layers and their calls, which take Keras time: NASNetLarge, the longest of Keras's own
# applications, has 2,082, and 6,000 side by side took 6 s.
_MOST_CALLS = 5_000
_CALLED = {"Functional", "Model", "Sequential", *_LAYERS.split()}
# Keras builds a Sequential anew with each layer: 200 took it 6 s, 800 took 84.
_MOST_IN_SEQUENCE = 300
# A network of Keras's own reaches 11, and each model within a model adds 5.
_MOST_LEVELS = 100
_MOST_CHARACTERS = 1000


def check(config: Any) -> None:
    """Makes sure that a configuration names nothing but Keras's own classes.

    Args:
        config: What `config.json` holds, parsed.

    Raises:
        ValueError: It names something else, or is no configuration; the reason, which
            goes on from "the file can't be loaded: ".
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError("its configuration is not a Keras model's")
    # How the model was compiled is not read, and may well name a loss of its author's.
    nodes: list[tuple[Any, int]] = [({**config, "compile_config": None}, 1)]
    calls = 0
    while nodes:
        node, level = nodes.pop()
        if level > _MOST_LEVELS:
            raise ValueError(f"its configuration is nested more than {_MOST_LEVELS} deep")
        if isinstance(node, dict):
            if "class_name" in node:
                _check_class(node)
                calls += _calls(node)
                if calls > _MOST_CALLS:
                    raise ValueError(
                        f"it has more than {_MOST_CALLS:,} layers and calls of layers, too many"
                    )
            nodes += ((child, level + 1) for pair in node.items() for child in pair)
        elif isinstance(node, list):
            nodes += ((child, level + 1) for child in node)
        elif isinstance(node, str) and not (node.isprintable() and len(node) <= _MOST_CHARACTERS):
            raise ValueError(f"its configuration holds the text {shown(node)}")


def _calls(node: dict[str, Any]) -> int:
    """How many layers and calls of layers an object stands for, without what is in it."""
    name, config = node["class_name"], node.get("config")
    inside = config.get("layers") if isinstance(config, dict) else None
    if name == "Sequential" and isinstance(inside, list) and len(inside) > _MOST_IN_SEQUENCE:
        most = f"at most {_MOST_IN_SEQUENCE} are allowed"
        raise ValueError(f"it has a Sequential of {len(inside):,} layers, {most}")
    calls = node.get("inbound_nodes")
    is_layer = name in _CALLED or (node.get("module") or "").startswith("keras.src")
    return is_layer + (len(calls) if isinstance(calls, list) else 0)


def _check_class(node: dict[str, Any]) -> None:
    module, name = node.get("module"), node["class_name"]
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise ValueError(f"its configuration names a class by {shown(name)} of {shown(module)}")
    if name in REFUSED_LAYERS:
        raise ValueError(f"it holds a {name} layer, which {REFUSED_LAYERS[name]}")
    if name == "function" or name.startswith("__lambda"):
        function = shown(node.get("config"))
        raise ValueError(
            f"it names a function, {function} of {shown(module)}; classes alone may be"
        )
    if node.get("registered_name") not in (None, name):
        raise ValueError(f"it needs a class of its author's, {shown(node['registered_name'])}")
    names = _VALUES if module is None else CLASSES.get(module, set())
    # Of any class: functions are written in lower case.
    if not (name[:1].isupper() and name.isalnum() if names is _ANY else name in names):
        raise ValueError(
            f"it names {shown(name)} of {shown(module)}, not a class of Keras's layers"
        )
    if name in ("__numpy__", "__tensor__"):
        value = node.get("config")
        if not isinstance(value, dict) or value.get("dtype") not in _DTYPES:
            raise ValueError(f"it holds an array that is not of numbers: {shown(value)}")


def shown(value: object) -> str:
    """A value out of a file, for a line on a terminal: escaped, and not long."""
    return files.short(ascii(value))
