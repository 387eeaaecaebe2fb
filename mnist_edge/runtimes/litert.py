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
    runtime = f"LiteRT {version('ai-edge-litert')}{kernels}"
    if len(inputs) > 1 or len(outputs) > 1:
        return _several(interpreter, runtime)
    (input_index,), (output_index,) = ([one["index"] for one in side] for side in (inputs, outputs))
    given, output = map(_tensor, (*inputs, *outputs))

    def call(values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(input_index, values)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return Predictor(
        runtime=runtime,
        batch=int(inputs[0]["shape"][0]),
        encode=quantizer(given),
        call=call,
        decode=dequantizer(output),
        inputs=(given,),
        outputs=(output,),
        fields=fields,
    )


def _several(interpreter: Any, runtime: str) -> Predictor:
    """Opens a TFLite file with several inputs or outputs, named by its signature."""
    if len(interpreter.get_signature_list()) != 1:
        raise ValueError("has several inputs or outputs, and no signature that names them")
    runner = interpreter.get_signature_runner()
    inputs, outputs = (
        [details | {"name": name} for name, details in sorted(found.items())]
        for found in (runner.get_input_details(), runner.get_output_details())
    )
    shapes = [details["shape"][1:].tolist() for details in inputs]
    feeds = [(one["index"], quantizer(_tensor(one))) for one in inputs]
    reads = [(one["index"], dequantizer(_tensor(one))) for one in outputs]

    def call(rows: np.ndarray) -> np.ndarray:
        for (index, encode), part in zip(feeds, ports.split(rows, shapes), strict=True):
            interpreter.set_tensor(index, encode(part))
        interpreter.invoke()
        return ports.join([decode(interpreter.get_tensor(index)) for index, decode in reads])

    return Predictor(
        runtime=runtime,
        batch=int(inputs[0]["shape"][0]),
        encode=unchanged,
        call=call,
        decode=unchanged,
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, outputs)),
    )


def _tensor(details: dict[str, Any]) -> Tensor:
    dtype = np.dtype(details["dtype"])
    shape = tuple(details["shape"].tolist())
    if dtype.kind == "f":
        return Tensor(details["name"], shape, dtype.name)
    scale, zero_point = details["quantization"]
    return Tensor(details["name"], shape, dtype.name, float(scale), int(zero_point))
