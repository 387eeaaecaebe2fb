"""Allowlist for a model's configuration: only Keras's own classes, and no functions.

Keras's safe mode refuses a list of dangerous names; eight releases in two years fixed holes in
it. This module instead accepts a list of safe names, and a configuration with any other name
never reaches Keras. A test compares the list with the installed Keras: every layer must be
either accepted or refused with a reason.
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
_TEXT = "processes text or categories, which no artifact accepts"
# Keras's other layers, and why they are refused.
REFUSED_LAYERS = {
    "Lambda": "runs code from the file",
    "TorchModuleWrapper": "is unpickled, which runs code from the file",
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
    "MaxNumBoundingBoxes": "processes bounding boxes, which no classifier has",
    "Wrapper": "is an abstract base class",
}
_ANY = None  # any class: Keras itself loads only layers and operations from these modules

# Accepted classes, by module as Keras writes it.
CLASSES: dict[str, set[str] | None] = {
    "keras": {"DTypePolicy", "Model", "Sequential"},
    "keras.src.models.functional": {"Functional"},
    "keras.layers": set(_LAYERS.split()),
    "keras.src.applications.convnext": {"LayerScale", "StochasticDepth"},
    "keras.random": {"SeedGenerator"},
    "keras.constraints": {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"},
    "keras.regularizers": {"L1", "L1L2", "L2", "OrthogonalRegularizer"},
    "keras.initializers": set(_INITIALIZERS.split()),
    # Needed for a compiled model nested in the model.
    "keras.losses": _ANY,
    "keras.metrics": _ANY,
    "keras.optimizers": _ANY,
    "keras.optimizers.schedules": _ANY,
    # Operations on tensors. Others in keras.src.ops.core call functions, such as loops.
    "keras.src.ops.core": {"Cast", "ConvertToTensor", "SaturateCast", "Slice", "StopGradient"},
    "keras.src.ops.image": _ANY,
    "keras.src.ops.math": _ANY,
    "keras.src.ops.nn": _ANY,
    "keras.src.ops.numpy": _ANY,
}
# Class names that Keras writes without a module, for values.
_VALUES = {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
_DTYPES = {
    *("bool", "float16", "float32", "float64", "bfloat16"),
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
}
# Layers plus layer calls; limits the time to build the model. NASNetLarge, the largest of Keras's
# own applications, has 2,082; 6,000 in parallel took 6 s.
_MOST_CALLS = 5_000
_CALLED = {"Functional", "Model", "Sequential", *_LAYERS.split()}
# Keras rebuilds a Sequential for each added layer: 200 took 6 s, 800 took 84 s.
_MOST_IN_SEQUENCE = 300
# Levels of nesting. Keras's own networks reach 11, and each nested model adds 5.
_MOST_LEVELS = 100
_MOST_CHARACTERS = 1000


def check(config: Any) -> None:
    """Checks that a configuration names only accepted classes of Keras.

    Args:
        config: The parsed `config.json`.

    Raises:
        ValueError: It names something else, or is not a configuration. The message is a
            reason that fits after "the file can't be loaded: ".
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError("its configuration is not a Keras model's")
    # Keras does not read compile_config here, and it may name a custom loss.
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
    """Counts an object as a layer plus its calls, without the objects nested in it."""
    name, config = node["class_name"], node.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    if name == "Sequential" and isinstance(layers, list) and len(layers) > _MOST_IN_SEQUENCE:
        most = f"at most {_MOST_IN_SEQUENCE} are allowed"
        raise ValueError(f"it has a Sequential of {len(layers):,} layers, {most}")
    calls = node.get("inbound_nodes")
    is_layer = name in _CALLED or (node.get("module") or "").startswith("keras.src")
    return is_layer + (len(calls) if isinstance(calls, list) else 0)


def _check_class(node: dict[str, Any]) -> None:
    module, name = node.get("module"), node["class_name"]
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise ValueError(
            f"its configuration names the class {shown(name)} of {shown(module)}, not text"
        )
    if name in REFUSED_LAYERS:
        raise ValueError(f"it holds a {name} layer, which {REFUSED_LAYERS[name]}")
    if name == "function" or name.startswith("__lambda"):
        function = shown(node.get("config"))
        raise ValueError(
            f"it names a function, {function} of {shown(module)}; only classes are allowed"
        )
    if node.get("registered_name") not in (None, name):
        raise ValueError(f"it needs a custom class, {shown(node['registered_name'])}")
    names = _VALUES if module is None else CLASSES.get(module, set())
    # For _ANY: class names start with an upper-case letter, functions do not.
    if not (name[:1].isupper() and name.isalnum() if names is _ANY else name in names):
        raise ValueError(
            f"it names {shown(name)} of {shown(module)}, not a class of Keras's layers"
        )
    if name in ("__numpy__", "__tensor__"):
        value = node.get("config")
        if not isinstance(value, dict) or value.get("dtype") not in _DTYPES:
            raise ValueError(f"it holds an array that is not of numbers: {shown(value)}")


def shown(value: object) -> str:
    """Returns an untrusted value for a message on a terminal: escaped and shortened."""
    return files.short(ascii(value))
