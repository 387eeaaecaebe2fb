"""The one list of variants; nothing else names one."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Variant:
    """A format and a precision that a model is exported to.

    Attributes:
        format: "tflite" or "onnx", also the file's ending.
        precision: The rest of the name, but for the exporter.
        weights: Element type of the weights, NumPy's name.
        activations: Element type between operators.
        io: Element type of input and output; integers carry scale and zero point.
        mixed: Whether some layers are left in float32.
        exporter: Whose graph it is as it stands, "keras"; empty where this project cleans it.
    """

    format: str
    precision: str
    weights: str
    activations: str
    io: str
    mixed: bool = False
    exporter: str = ""

    @property
    def name(self) -> str:
        """The variant's name: the file's stem, the flag's value, the report's row."""
        return "-".join(filter(None, (self.format, self.precision, self.exporter)))

    @property
    def file(self) -> str:
        """The artifact's file name in the bundle."""
        return f"{self.name}.{self.format}"

    @property
    def calibrated(self) -> bool:
        """Whether conversion needs images to find the activations' ranges."""
        return self.activations != "float32"

    @property
    def quantized(self) -> bool:
        """Whether its weights are integers."""
        return self.weights.startswith("int")


def _by_name(*variants: Variant) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants}


_F32, _F16, _I8, _U8, _I16 = "float32", "float16", "int8", "uint8", "int16"
# fmt: off
VARIANTS = _by_name(
    #        format    precision      weights activations in, out
    Variant("tflite", "float32",      _F32,   _F32,   _F32),  # the model as trained
    Variant("tflite", "float16",      _F16,   _F32,   _F32),  # half the bytes, for GPUs
    Variant("tflite", "dynamic-int8", _I8,    _F32,   _F32),  # int8 weights, no calibration
    Variant("tflite", "int8",         _I8,    _I8,    _U8),   # all integer, raw bytes in
    Variant("tflite", "int16x8",      _I8,    _I16,   _F32),  # microcontrollers; slow on a CPU
    Variant("onnx",   "float32",      _F32,   _F32,   _F32),  # the model as trained
    Variant("onnx",   "dynamic-int8", _I8,    _F32,   _F32),  # int8 weights, no calibration
    Variant("onnx",   "int8",         _I8,    _I8,    _F32),  # static QDQ, per channel
)

# Made only where it is asked for by name.
OPTIONAL = _by_name(
    Variant("onnx",   "float32",      _F32,   _F32,   _F32, exporter="keras"),  # Keras's own export
)

# What `--fallback` may make where an int8 variant breaches the gate.
FALLBACKS = _by_name(
    Variant("tflite", "int8-mixed",   _I8,    _I8,    _F32, mixed=True),  # worst layers in float32
    Variant("onnx",   "int8-mixed",   _I8,    _I8,    _F32, mixed=True),  # worst layers in float32
    Variant("onnx",   "int16x8",      _I8,    _I16,   _F32),  # 16-bit activations
)
# fmt: on
CHOICES = VARIANTS | OPTIONAL
KNOWN = CHOICES | FALLBACKS
