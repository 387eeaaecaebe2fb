"""TFLite files in LiteRT."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import artifact_metadata
from mnist_edge.models import ports

from .predictor import Predictor, Tensor, dequantizer, quantizer, require_some, unchanged


def open_artifact(path: str, threads: int, resolver: str = "AUTO", kernels: str = "") -> Predictor:
    """Opens a TFLite file.

    Args:
        path: The file.
        threads: Number of threads per call.
        resolver: A member of LiteRT's `OpResolverType`.
        kernels: What is added to the runtime's name.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    chosen = OpResolverType[resolver]
    interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=chosen)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:  # empty message if out of memory
        raise RuntimeError(str(error) or "its tensors can't be allocated") from error
    return of_interpreter(interpreter, lambda: artifact_metadata.read_tflite(Path(path)), kernels)


def of_interpreter(
    interpreter: Any,
    fields: Callable[[], Mapping[str, object]] = dict,
    kernels: str = "",
) -> Predictor:
    """Returns the predictor of a LiteRT interpreter whose tensors are allocated."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    require_some(inputs, outputs)
    is_single = len(inputs) == len(outputs) == 1
    if not is_single:
        inputs, outputs = _by_name(interpreter)
    given, made = ([*map(_tensor, side)] for side in (inputs, outputs))
    encoders, decoders = [*map(quantizer, given)], [*map(dequantizer, made)]
    first, last = inputs[0]["index"], outputs[0]["index"]
    shapes = [details["shape"][1:].tolist() for details in inputs]

    def call(values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(first, values)
        interpreter.invoke()
        return interpreter.get_tensor(last)

    def call_several(rows: np.ndarray) -> np.ndarray:
        parts = ports.split(rows, shapes)
        for details, encode, part in zip(inputs, encoders, parts, strict=True):
            interpreter.set_tensor(details["index"], encode(part))
        interpreter.invoke()
        found = [interpreter.get_tensor(details["index"]) for details in outputs]
        return ports.join([decode(one) for decode, one in zip(decoders, found, strict=True)])

    return Predictor(
        runtime=f"LiteRT {version('ai-edge-litert')}{kernels}",
        batch=int(inputs[0]["shape"][0]),
        encode=encoders[0] if is_single else unchanged,
        call=call if is_single else call_several,
        decode=decoders[0] if is_single else unchanged,
        inputs=tuple(given),
        outputs=tuple(made),
        fields=fields,
    )


def _by_name(interpreter: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns several inputs and outputs, named by the file's signature and sorted by name."""
    if len(interpreter.get_signature_list()) != 1:
        raise ValueError("has several inputs or outputs, and no signature that names them")
    runner = interpreter.get_signature_runner()
    inputs, outputs = (
        [details | {"name": name} for name, details in sorted(found.items())]
        for found in (runner.get_input_details(), runner.get_output_details())
    )
    return inputs, outputs


def _tensor(details: dict[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"])
    shape = tuple(details["shape"].tolist())
    if dtype.kind == "f":
        return Tensor(details["name"], shape, dtype.name)
    scale, zero_point = details["quantization"]
    return Tensor(details["name"], shape, dtype.name, float(scale), int(zero_point))
