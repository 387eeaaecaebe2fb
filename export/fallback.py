"""Rescue a quantized variant that breaches the gate, step by step.

More calibration; per-channel weights; the worst layers in float32; 16-bit activations.
Each attempt is measured on validation images and recorded, whether it helped or not.
"""

import dataclasses
import functools

import numpy as np

from .onnx import convert as onnx_convert
from .onnx import inspect as onnx_inspect
from .tflite import convert as tflite_convert
from .tflite import inspect as tflite_inspect
from .variants import KNOWN

_MORE_CALIBRATION = 4
# Shares of the layers, worst first; past half, hardly anything is quantized.
_SHARES_IN_FLOAT = (0.1, 0.2, 0.3, 0.5)


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One step of a rescue.

    Attributes:
        step: What is tried.
        variant: The `Variant` that it gives; None where the step does not apply.
        make: Returns the artifact's bytes.
        calibration: The `Calibration` that it uses.
        remark: Why the step does not apply, or which layers it leaves in float32.
    """

    step: str
    variant: object = None
    make: object = None
    calibration: object = None
    remark: str = ""


def attempts(variant, prepared, calibration, choose, error):
    """Yields the attempts at a variant, in order; each is made only when asked.

    Args:
        variant: The `Variant` that breached the gate.
        prepared: What the format's `prepare` returned.
        calibration: The `Calibration` that was used.
        choose: A function from a count to a `Calibration` of that many images.
        error: A function from a variant and an artifact's bytes to how far it is from
            the model, 0 or more.

    Yields:
        `Attempt`s.
    """
    convert = tflite_convert.convert if variant.format == "tflite" else onnx_convert.convert
    larger = choose(min(_MORE_CALIBRATION * len(calibration.indices), calibration.available))
    if variant.calibrated:
        yield Attempt(
            f"calibration on {len(larger.indices)} images",
            variant,
            lambda: convert(prepared, variant, larger),
            larger,
        )
    else:
        yield Attempt("more calibration", remark="does not apply: the variant takes none")
    int8, mixed = KNOWN[f"{variant.format}-int8"], KNOWN[f"{variant.format}-int8-mixed"]
    if variant.format == "onnx" and not variant.calibrated:
        # ConvInteger takes one scale a tensor; static QDQ takes one a channel.
        yield Attempt("per-channel weights", int8, lambda: convert(prepared, int8, larger), larger)
    else:
        yield Attempt("per-channel weights", remark="does not apply: they are per channel already")
    splitter = _split_tflite if variant.format == "tflite" else _split_onnx
    layers, make_mixed = splitter(prepared, int8, larger)
    ranked = _worst_first(layers, make_mixed, functools.partial(error, mixed))
    for count in sorted({max(1, round(share * len(layers))) for share in _SHARES_IN_FLOAT}):
        worst = ranked[:count]
        yield Attempt(
            f"the {count} worst of {len(layers)} layers in float32",
            mixed,
            functools.partial(make_mixed, worst),
            larger,
            "in float32: " + ", ".join(worst),
        )
    wide = KNOWN[f"{variant.format}-int16x8"]
    if variant == wide:
        return
    yield Attempt("int16x8", wide, lambda: convert(prepared, wide, larger), larger)


def _worst_first(layers, make_mixed, error):
    """Names of the layers by the error of a model in which each alone is quantized."""
    errors = {
        name: error(make_mixed([other for other in layers if other != name])) for name in layers
    }
    return sorted(errors, key=errors.get, reverse=True)


def _layers(operators):
    """Groups operators: one with weights, and those without weights that follow it.

    A pooling behind a layer in float32 must be in float32 too, or its output's scale
    brings the layer's error back.

    Returns:
        dict, the first operator's name to the list of the group's names.
    """
    groups = {}
    for operator in operators:
        if not groups or any(c.rank > 1 for c in operator.weights):
            group = groups.setdefault(operator.name, [])
        group.append(operator.name)
    return groups


def _split_tflite(prepared, variant, calibration):
    """The layers, and the function that leaves some of them in float32.

    Returns:
        `(layers, make)`: dict as of `_layers`, and a function from some of its keys to
        an artifact's bytes.
    """
    import tensorflow as tf

    options = tf.lite.experimental.QuantizationDebugOptions
    converter = tflite_convert.converter(prepared, variant, calibration)
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset
    )
    layers = _layers(tflite_inspect.read_graph(debugger.calibrated_model).operators)

    def make(names):
        nodes = [node for name in names for node in layers[name]]
        debugger.options = options(denylisted_nodes=nodes)
        return debugger.get_nondebug_quantized_model()

    return layers, make


def _split_onnx(prepared, variant, calibration):
    """As `_split_tflite`."""
    layers = _layers(onnx_inspect.read_graph(prepared.read_bytes()).operators)

    def make(names):
        nodes = [node for name in names for node in layers[name]]
        return onnx_convert.convert(prepared, variant, calibration, float_nodes=nodes)

    return layers, make


def mean_difference(probabilities, expected):
    """How far an artifact is from the model: mean absolute probability difference."""
    return float(np.abs(probabilities - expected).mean())
