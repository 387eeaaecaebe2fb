"""Read every intermediate tensor of an ONNX file in ONNX Runtime, and time its operators."""

import collections
import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import cli
from mnist_edge.runtimes.onnx_runtime import open_session

from .activation import Activation, Traced, per_image

if TYPE_CHECKING:
    import onnx

# Profiled calls; the first ones also allocate memory.
_WARMUP, _CALLS = 10, 50


@dataclasses.dataclass(frozen=True)
class _Source:
    """Where a tensor's values come from.

    Attributes:
        name: The tensor, as a float operator returns it.
        kind: That operator's type.
        node: That operator's position in the graph.
        parts: The tensors to ask for: the values, or integers, their scale and zero point.
        ends: As of an `Activation`.
        step: As of an `Activation`.
    """

    name: str
    kind: str
    node: int
    parts: tuple[str, ...]
    ends: tuple[float, float] | None = None
    step: float = 0.0

    def read(self, found: Mapping[str, np.ndarray], batch: int) -> Activation | None:
        values, *quantization = (found[part] for part in self.parts)
        if quantization:
            scale, zero_point = quantization
            values = (values.astype(np.float32) - zero_point) * scale
        image = per_image(values, batch) if values.dtype.kind == "f" else None
        return image if image is None else self.activation(image)

    def activation(self, values: np.ndarray) -> Activation:
        return Activation(self.name, self.kind, values, self.ends, self.step)


def trace(path: Path, batch: int) -> Traced:
    """Opens a file with every tensor as an output, and graph optimizations turned off.

    A tensor that is quantized for its readers is returned as they read it, dequantized.

    Args:
        path: The file.
        batch: The batch size of the inputs.
    """
    with cli.needing("export"):
        import onnx

    content = path.read_bytes()
    model = onnx.load_from_string(content)
    graph = model.graph
    names = [list(node.output) + [node.name] * bool(node.name) for node in graph.node]
    image, given = graph.input[0].name, {output.name for output in graph.output}
    sources = list(_sources(graph))
    wanted = list(dict.fromkeys(part for source in sources for part in source.parts))
    graph.output.extend(onnx.ValueInfoProto(name=each) for each in wanted if each not in given)
    session = open_session(model.SerializeToString(), 1, "ORT_DISABLE_ALL", log_severity_level=4)
    kept: list[_Source] = []

    def run(inputs: np.ndarray) -> list[Activation]:
        found = dict(zip(wanted, session.run(wanted, {image: inputs}), strict=True))
        read = [(source, source.read(found, batch)) for source in sources]
        kept[:] = [source for source, activation in read if activation is not None]
        return [activation for _, activation in read if activation is not None]

    def time(inputs: np.ndarray) -> list[float]:
        by_node = _node_times(content, {image: inputs}, names)
        ends = [0, *(source.node + 1 for source in kept)]
        return [sum(by_node[start:end]) for start, end in itertools.pairwise(ends)]

    return Traced(run, time)


def _sources(graph: "onnx.GraphProto") -> Iterator[_Source]:
    """Yields the float tensors that depend on the input, in order."""
    from onnx import numpy_helper

    constants = {each.name: each for each in graph.initializer}
    reached = {value.name for value in graph.input if value.name not in constants}
    read_as: dict[
        str, dict[str, Any]
    ] = {}  # tensor -> what its readers read instead, and from which integers
    dequantized = {n.input[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            read_as[node.input[0]] = {"parts": tuple(node.output)}
        elif node.op_type == "QuantizeLinear" and node.output[0] in dequantized:
            scale, zero_point = (numpy_helper.to_array(constants[n]) for n in node.input[1:3])
            if scale.size == 1:
                limits, zero, step = np.iinfo(zero_point.dtype), int(zero_point), float(scale)
                read_as[node.input[0]] = {
                    "parts": (dequantized[node.output[0]].output[0],),
                    "ends": ((limits.min - zero) * step, (limits.max - zero) * step),
                    "step": step,
                }
    for position, node in enumerate(graph.node):
        if not reached.intersection(node.input):
            continue
        reached.update(node.output)
        if node.op_type.endswith("QuantizeLinear") or node.op_type == "DequantizeLinear":
            continue
        for name in filter(None, node.output):
            yield _Source(name, node.op_type, position, **read_as.get(name, {"parts": (name,)}))


def _node_times(
    content: bytes, inputs: dict[str, np.ndarray], names: Sequence[Sequence[str]]
) -> list[float]:
    """Profiles an optimized session; returns microseconds per call by node of the file.

    Optimized operators keep the name of an operator or tensor that they replace as the start of
    their own. Others, which change the layout for the next one, count to the one before.
    """
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "enable_profiling": True,
            "profile_file_prefix": str(Path(folder, "profile")),
        }
        session = open_session(content, 1, log_severity_level=4, **options)
        for _ in range(_WARMUP + _CALLS):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    durations: dict[str, list[float]] = collections.defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            durations[event["name"]].append(event["dur"])
    positions = {name: i for i, each in enumerate(names) for name in each}
    times = [0.0] * len(names)
    position = 0
    for name, each in durations.items():
        known = [start for start in positions if start and name.startswith(start)]
        position = positions[max(known, key=len)] if known else position
        times[position] += float(np.median(each[_WARMUP:] or each))
    return times
