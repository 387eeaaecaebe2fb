"""Convert a Keras model to ONNX: prepare it once, convert it per variant."""

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge.errors import InputError

from .. import keras_export
from ..variants import Variant
from . import rewrite, tf2onnx_fixes
from .front import NODES, scale_features
from .inspect import graphs, subgraphs

if TYPE_CHECKING:
    import keras
    import onnx
    from onnxruntime.quantization import CalibrationDataReader

# Also the newest that tf2onnx writes; later opsets are made by the version converter.
OLDEST_OPSET = 18
# Keras's own export; the clean graph is made from it.
_RAW = "keras.onnx"
# The names of its nodes, which say what layer they are of, by the names in the clean graph.
_NAMES = "names.json"
# New objects until garbage is looked for; a graph has tens of thousands.
_COLLECT_AFTER = 1000
# Largest difference in a probability by another order of sums; the gate's bound for float32.
_SIMPLIFIED = 1e-4


def prepare(
    model: "keras.Model", batch: int | None, folder: Path, opset: int = OLDEST_OPSET
) -> Path:
    """Saves a model as the float32 ONNX file that every precision is made from.

    Args:
        model: As `keras_export.save`.
        batch: The batch size; None makes it dynamic, named `batch`.
        folder: Where to save it.
        opset: ONNX opset version.

    Raises:
        onnx.checker.ValidationError: The graph is not valid ONNX.
    """
    import onnx

    tf2onnx_fixes.apply()
    with _collecting_garbage():
        raw = keras_export.save(model, folder / _RAW, "onnx", batch, opset_version=OLDEST_OPSET)
    graph = _simplified(onnx.load(raw))
    if opset != OLDEST_OPSET:
        graph = onnx.version_converter.convert_version(graph, opset)
    rewrite.mend(graph.graph)
    # A convolution that took in its normalization has a new name: the activation after it tells.
    nodes = graph.graph.node
    readers = {name: node.name for node in nodes for name in node.input}
    exported = [
        node.name if "/" in node.name else readers.get(node.output[0], node.name) for node in nodes
    ]
    rewrite.name_by_order(graph.graph)
    names = dict(zip((node.name for node in graph.graph.node), exported, strict=True))
    (folder / _NAMES).write_text(json.dumps(names))
    graph.graph.ClearField("doc_string")  # counts the conversions in this process, so it varies
    for value in (*graph.graph.input, *graph.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        if batch:
            dimension.dim_value = batch
        else:
            dimension.dim_param = "batch"
    # tf2onnx copies operators that it can't convert, without an exception.
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, folder / "float32.onnx")
    return folder / "float32.onnx"


def exported_names(prepared: Path) -> dict[str, str]:
    """Returns the names that nodes had in Keras's own export, by their names in `prepared`."""
    names: dict[str, str] = json.loads(prepared.with_name(_NAMES).read_text())
    return names


@contextlib.contextmanager
def _collecting_garbage() -> Iterator[None]:
    """Lets Python free what the block creates often and soon, and leave the rest alone.

    Each of tf2onnx's many passes copies the graph with all weights. A copy refers to itself, and
    Python collects such garbage only when it has become a share of all objects, of which
    TensorFlow has a million: ResNet50 took 8 GB.
    """
    thresholds, was_frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.collect()  # counts the objects that are left: none
    gc.set_threshold(_COLLECT_AFTER, 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.collect()
        if not was_frozen:
            gc.unfreeze()


def _simplified(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Returns the model without the operators that a dynamic batch leaves, if it is right.

    onnxsim rounds the size of a resized image in another way than ONNX Runtime, so that the
    graph may not even run. Then the model is returned as it is.
    """
    import onnxsim
    from onnxruntime import InferenceSession

    found, _ = onnxsim.simplify(model)
    rng = np.random.default_rng(0)
    given = {
        value.name: rng.random([d.dim_value or 2 for d in value.type.tensor_type.shape.dim], "f4")
        for value in model.graph.input
    }
    try:
        before, after = (
            InferenceSession(each.SerializeToString()).run(None, given) for each in (model, found)
        )
    except Exception:  # if the model itself does not run, the checker says why
        return model
    is_right = all(np.allclose(*pair, atol=_SIMPLIFIED) for pair in zip(before, after, strict=True))
    return found if is_right else model


def check_opset(opset: int) -> None:
    """Raises `InputError` if the installed ONNX does not know an opset version."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise InputError(f"--opset must be {OLDEST_OPSET} to {newest}. Got: {opset}.")


def convert(
    prepared: Path, variant: Variant, images: np.ndarray, float_nodes: Iterable[str] = ()
) -> bytes:
    """Converts a prepared model to a variant; returns the artifact's bytes.

    Args:
        prepared: Path that `prepare` returned.
        variant: A variant of format "onnx".
        images: Calibration images, float32 `[n, ...]`; unused by variants without calibration.
        float_nodes: Names of the nodes to leave in float32.
    """
    import onnx
    from onnxruntime import quantization

    target = prepared.with_name(variant.file)
    if variant.exporter:
        return prepared.with_name(_RAW).read_bytes()
    if not variant.quantized:
        return prepared.read_bytes()
    if not variant.calibrated:
        quantization.quantize_dynamic(
            prepared,
            target,
            per_channel=True,
            nodes_to_exclude=list(float_nodes),
            extra_options={"EnableSubgraph": True},  # weights that loops read
        )
        return _ordered(target)
    model, source = onnx.load(prepared), prepared
    if scale_features(model, images):
        source = prepared.with_name("scaled.onnx")
        onnx.save(model, source)
    activations = {"int8": quantization.QuantType.QInt8, "int16": quantization.QuantType.QInt16}
    quantization.quantize_static(
        source,
        target,
        _calibration_reader(model, images),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=activations[variant.activations],
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=[*float_nodes, *NODES],
        # The ranges, which the variants and the steps of a fallback share.
        calibration_cache_path=source.with_name(f"{source.stem}-{_digest(images)}.json"),
    )
    return _ordered(target)


def _ordered(path: Path) -> bytes:
    """Returns a quantized file, each loop after the nodes from which it reads.

    The quantizer sorts nodes by their inputs alone. What a loop reads from the graph around it is
    none of them.
    """
    import onnx

    model = onnx.load(path)
    if len(list(graphs(model.graph))) == 1:
        return path.read_bytes()
    nodes = list(model.graph.node)
    missing = {name for node in nodes for name in node.output}
    del model.graph.node[:]
    while nodes:
        later = []
        for node in nodes:
            inner = [
                each for body in subgraphs(node) for part in graphs(body) for each in part.node
            ]
            if any(name in missing for each in (node, *inner) for name in each.input):
                later.append(node)
                continue
            model.graph.node.append(node)
            missing.difference_update(node.output)
        nodes = later
    content: bytes = model.SerializeToString()
    return content


def _digest(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:16]


def _calibration_reader(model: "onnx.ModelProto", images: np.ndarray) -> "CalibrationDataReader":
    from onnxruntime.quantization import CalibrationDataReader

    dimensions = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in sorted(model.graph.input, key=lambda value: value.name)
    }
    batch = next(iter(dimensions.values()))[0] or 1
    shapes = {name: sides[1:] for name, sides in dimensions.items()}
    batches = iter(keras_export.in_batches(images, batch, shapes))

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    return Reader()
