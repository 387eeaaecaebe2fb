"""Alternatives for a quantized variant that breaches the gate, tried in order.

More calibration images; per-channel weights; operators that int8 lacks in float32; the worst layers
in float32; 16-bit activations.
Each attempt is measured on validation images and recorded in the manifest.
"""

import dataclasses
import functools
import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from mnist_edge import cli
from mnist_edge.manifest import CalibrationRecord

from .calibration import Calibration
from .graph import FLOATS, Operator
from .onnx import convert as onnx_convert
from .onnx import inspect as onnx_inspect
from .tflite import convert as tflite_convert
from .tflite import inspect as tflite_inspect
from .variants import KNOWN, Variant

_MORE_CALIBRATION = 4
# Shares of the layers, worst first; beyond half, hardly anything is quantized.
_SHARES_IN_FLOAT = (0.1, 0.2, 0.3, 0.5)
# Layers of larger models are ranked in blocks: each takes a conversion.
_MOST_RANKED = 16
# Returns the bytes of an int8 variant, with the layers of these names in float32.
_Make = Callable[[Variant, Iterable[str]], bytes]
# Of layers.
Names = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """How to make an artifact: its variant, a function that returns its bytes, calibration."""

    variant: Variant
    convert: Callable[[], bytes]
    calibration: CalibrationRecord


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a fallback.

    Attributes:
        name: What is tried, in words.
        conversion: How to make it; None if the step does not apply.
        remark: Why the step does not apply, or which layers it leaves in float32.
    """

    name: str
    conversion: Conversion | None = None
    remark: str = ""


def more_images(calibration: Calibration) -> int:
    """Returns the number of calibration images to try, more than before where there are more."""
    return min(_MORE_CALIBRATION * len(calibration.images), calibration.available)


def steps(
    variant: Variant,
    prepared: Path,
    larger: np.ndarray,
    record: CalibrationRecord,
    error: Callable[[Variant, bytes], float],
    layer_of: Callable[[str], str] = str,
    ranked_until: float = np.inf,
) -> Iterator[Step]:
    """Yields the steps to try for a variant, in order; computed lazily.

    Args:
        variant: The variant that breached the gate.
        prepared: Path that the format's `prepare` returned.
        larger: Calibration images, `more_images` of them, float32 `[n, ...]`.
        record: Their record in the manifest.
        error: Returns the error of an artifact, 0 or more; the larger, the worse.
        layer_of: Returns the name of a layer, given a name in the graph that Keras exported.
        ranked_until: Time of `time.monotonic` until which layers are compared.
    """
    of_format = tflite_convert if variant.format == "tflite" else onnx_convert
    int8, mixed, wide = (KNOWN[f"{variant.format}-{p}"] for p in ("int8", "int8-mixed", "int16x8"))

    def unmixed(name: str, target: Variant) -> Step:
        convert = functools.partial(of_format.convert, prepared, target, larger)
        return Step(name, Conversion(target, convert, record))

    if not variant.calibrated:
        yield Step("more calibration", remark="does not apply: the variant needs no calibration")
    elif variant != int8:
        yield unmixed(f"calibration on {len(larger)} images", variant)
    if variant.format == "onnx" and not variant.calibrated:
        # ConvInteger takes one scale per tensor; static QDQ takes one per channel.
        yield unmixed("per-channel weights", int8)
    split = _split_tflite if variant.format == "tflite" else _split_onnx
    names = onnx_convert.exported_names(prepared) if variant.format == "onnx" else {}
    with cli.native_logs_held():
        layers, make = split(prepared, larger)
    if variant == int8:  # calibrated just now
        convert = functools.partial(make, int8, ())
        yield Step(f"calibration on {len(larger)} images", Conversion(int8, convert, record))
    if variant.format == "tflite" or variant.calibrated:
        yield Step("per-channel weights", remark="does not apply: weights are already per channel")

    def error_of(quantized: Names) -> float:
        """Returns the error of a model in which only these layers are quantized."""
        with cli.native_logs_held():
            return error(mixed, make(mixed, (name for name in layers if name not in quantized)))

    if variant.format == "tflite":
        graph = tflite_inspect.read_graph(make(mixed, ()))
        quantized = graph.operators[len(graph.front) :]
        floats = sorted({o.kind for o in quantized if o.precision in FLOATS})
        if floats:
            yield Step(
                "operators without an integer kernel in float32",
                Conversion(mixed, functools.partial(make, mixed, ()), record),
                "in float32: " + ", ".join(floats),
            )
    counts = sorted({max(1, round(share * len(layers))) for share in _SHARES_IN_FLOAT})
    worst: list[str] = []
    for group in _worst_first(tuple(layers), error_of, ranked_until):
        worst += group
        if len(worst) < counts[0]:
            continue
        if len(worst) > counts[-1]:  # the time is over, and the halves are still large
            break
        yield Step(
            f"the {len(worst)} worst of {len(layers)} layers in float32",
            Conversion(mixed, functools.partial(make, mixed, tuple(worst)), record),
            "in float32: " + ", ".join(dict.fromkeys(layer_of(names.get(n, n)) for n in worst)),
        )
        counts = [count for count in counts if count > len(worst)]
        if not counts:
            break
    if variant != wide:
        yield unmixed("int16x8", wide)


def _worst_first(names: Names, error_of: Callable[[Names], float], until: float) -> Iterator[Names]:
    """Yields layers from the worst to the best, each by itself; computed lazily.

    The worst half of the layers, the worst half of that, and so on: to find the worst of 16 takes
    8 conversions.

    Args:
        names: Names of the layers.
        error_of: Returns the error that quantizing some layers causes.
        until: Time of `time.monotonic` from which no half is divided further.
    """
    halves = [(-np.inf, names)]  # a heap
    while halves:
        _, worst = heapq.heappop(halves)
        if len(worst) == 1 or time.monotonic() > until:
            yield worst
            continue
        middle = len(worst) // 2
        for half in (worst[:middle], worst[middle:]):
            heapq.heappush(halves, (-error_of(half), half))


def _layers(operators: Iterable[Operator]) -> dict[str, list[str]]:
    """Groups each operator that has weights with the operators without weights that follow.

    A pooling after a float32 layer must be in float32 too, or quantizing its output brings
    the layer's error back. More than 16 groups are joined to blocks of neighbors.

    Returns:
        The operator names of each group, keyed by the name of its first operator.
    """
    groups: dict[str, list[str]] = {}
    for operator in operators:
        if not groups or any(c.rank > 1 for c in operator.weights):
            group = groups.setdefault(operator.name, [])
        group.append(operator.name)
    names, size = list(groups), -(-len(groups) // _MOST_RANKED)
    blocks = (names[i : i + size] for i in range(0, len(names), size))
    return {block[0]: [node for name in block for node in groups[name]] for block in blocks}


def _split_tflite(prepared: Path, images: np.ndarray) -> tuple[dict[str, list[str]], _Make]:
    """Returns the layers, and a function that converts with some of them in float32."""
    calibrated, front = tflite_convert.calibrated(prepared, images)
    layers = _layers(tflite_inspect.read_graph(calibrated).operators)

    def make(variant: Variant, names: Iterable[str]) -> bytes:
        nodes = [node for name in names for node in layers[name]]
        return tflite_convert.quantize(calibrated, front, nodes, variant.io)

    return layers, make


def _split_onnx(prepared: Path, images: np.ndarray) -> tuple[dict[str, list[str]], _Make]:
    """Does the same as `_split_tflite`, for ONNX."""
    layers = _layers(onnx_inspect.read_graph(prepared.read_bytes()).operators)

    def make(variant: Variant, names: Iterable[str]) -> bytes:
        nodes = [node for name in names for node in layers[name]]
        return onnx_convert.convert(prepared, variant, images, float_nodes=nodes)

    return layers, make
