"""The export variants: each a format and a precision."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Variant:
    """A format and precision to export to.

    Attributes:
        format: "tflite", "onnx" or "c"; also the file extension.
        precision: Name of the precision, such as "dynamic-int8".
        weights: NumPy dtype of the weights.
        activations: NumPy dtype of the activations.
        io: NumPy dtype of input and output; integers have a scale and a zero point. In place of
            uint8, float32 where one scale can't hold the input (docs/export.md).
        mixed: Whether some layers stay in float32.
        exporter: "keras" for Keras's own export, unmodified; empty for this project's.
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
        """The variant's name in files, flags and reports."""
        return "-".join(filter(None, (self.format, self.precision, self.exporter)))

    @property
    def file(self) -> str:
        """The artifact's file name in the bundle."""
        return f"{self.name}.{self.format}"

    @property
    def calibrated(self) -> bool:
        """Whether conversion needs calibration images."""
        return self.activations != "float32"

    @property
    def quantized(self) -> bool:
        """Whether the weights are integers."""
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

# Made only on request.
OPTIONAL = _by_name(
    Variant("onnx",   "float32",      _F32,   _F32,   _F32, exporter="keras"),  # Keras's own export
    Variant("c",      "int8",         _I8,    _I8,    _U8),   # tflite-int8 as C, without a runtime
)

# Made only by the fallback, where a quantized variant fails the gate.
FALLBACKS = _by_name(
    Variant("tflite", "int8-mixed",   _I8,    _I8,    _F32, mixed=True),  # worst layers in float32
    Variant("onnx",   "int8-mixed",   _I8,    _I8,    _F32, mixed=True),  # worst layers in float32
    Variant("onnx",   "int16x8",      _I8,    _I16,   _F32),  # 16-bit activations
)
# fmt: on
CHOICES = VARIANTS | OPTIONAL
# A web page around an artifact, on request; no runtime here opens it (export/web).
PAGE, PAGE_OF = "web-int8", "tflite-int8"
KNOWN = CHOICES | FALLBACKS
