"""The one list of variants; nothing else names one."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Variant:
    """A format and a precision that a model is exported to.

    Attributes:
        format: "tflite" or "onnx", also the file's ending.
        precision: The rest of the name.
        weights: Element type of the weights, NumPy's name.
        activations: Element type between operators.
        io: Element type of input and output; integers carry scale and zero point.
        summary: What it is for, in a line.
    """

    format: str
    precision: str
    weights: str
    activations: str
    io: str
    summary: str

    @property
    def name(self):
        """The variant's name: the file's stem, the flag's value, the report's row."""
        return f"{self.format}-{self.precision}"

    @property
    def file(self):
        """The artefact's file name in the bundle."""
        return f"{self.name}.{self.format}"

    @property
    def calibrated(self):
        """Whether conversion needs images to find the activations' ranges."""
        return self.activations != "float32"


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("tflite", "float32", "float32", "float32", "float32", "the reference's own bits"),
        Variant("tflite", "int8", "int8", "int8", "uint8", "all integer, raw bytes in"),
        Variant("onnx", "float32", "float32", "float32", "float32", "any batch size"),
    )
}
