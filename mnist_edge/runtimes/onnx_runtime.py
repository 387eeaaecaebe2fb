"""ONNX files in ONNX Runtime."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge.models import ports

from .predictor import Predictor, Tensor, require_some, unchanged

_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


def open_artifact(
    path: str, threads: int, level: str = "ORT_ENABLE_ALL", kernels: str = ""
) -> Predictor:
    """Opens an ONNX file.

    Args:
        path: The file.
        threads: Number of threads per call.
        level: A member of ONNX Runtime's `GraphOptimizationLevel`.
        kernels: What is added to the runtime's name.
    """
    import onnxruntime

    session = open_session(Path(path).read_bytes(), threads, level)
    inputs, outputs = (
        sorted(found, key=lambda tensor: tensor.name)
        for found in (session.get_inputs(), session.get_outputs())
    )
    require_some(inputs, outputs)
    names, shapes = [one.name for one in outputs], [one.shape[1:] for one in inputs]

    def call(values: np.ndarray) -> np.ndarray:
        return session.run(names, {inputs[0].name: values})[0]

    def call_several(rows: np.ndarray) -> np.ndarray:
        parts = ports.split(rows, shapes)
        feeds = {one.name: part for one, part in zip(inputs, parts, strict=True)}
        return ports.join(session.run(names, feeds))

    batch = inputs[0].shape[0]
    return Predictor(
        runtime=f"ONNX Runtime {onnxruntime.__version__}{kernels}",
        batch=batch if isinstance(batch, int) else None,
        encode=unchanged,
        call=call if len(inputs) == len(outputs) == 1 else call_several,
        decode=unchanged,
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, outputs)),
        fields=lambda: {
            name: json.loads(text)
            for name, text in session.get_modelmeta().custom_metadata_map.items()
            if name in ("input", "output")
        },
    )


def open_session(
    content: bytes, threads: int, level: str = "ORT_ENABLE_ALL", **options: Any
) -> Any:
    """Returns ONNX Runtime's session of a file's bytes; `options` are attributes of its options."""
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.__members__[level]
    chosen.intra_op_num_threads = chosen.inter_op_num_threads = threads
    for name, value in options.items():
        setattr(chosen, name, value)
    with tempfile.TemporaryDirectory() as empty:
        # The hash covers only the file itself, so data in external files must not be loaded.
        chosen.add_session_config_entry(_EXTERNAL_FOLDER, empty)
        return onnxruntime.InferenceSession(content, chosen, providers=["CPUExecutionProvider"])


_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


def _tensor(value: Any) -> Tensor:
    return Tensor(value.name, tuple(value.shape), _DTYPES.get(value.type, value.type))
