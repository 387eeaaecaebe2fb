"""Audit artifacts: read the files back and check that each matches its variant.

    python -m export.audit artifacts/edge/*.tflite artifacts/edge/*.onnx

prints the content of each file. The exit status is 1 if a file does not match the variant in
its metadata, or else its name, and 2 if a file can't be read. `python -m export` runs the same
audit on every artifact before it is written.
"""

import contextlib
import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from mnist_edge import cli
from mnist_edge.errors import InputError
from mnist_edge.manifest import AuditRecord
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Allowance, Process, State, WorkerFailed

from .formats import FORMATS
from .graph import FLOATS, INDEX_TYPES, Graph
from .variants import KNOWN, Variant

# The size limit of both FlatBuffers and Protocol Buffers.
_MOST_BYTES = 2**31
# The TFLite converter leaves smaller weights in float32 in a dynamic-int8 file.
_MIN_DYNAMIC_ELEMENTS = 1024
# Nor does it quantize what these add or multiply by, whatever its size: normalization that could
# not be folded (ResNetV2, DenseNet), positions of patches.
_ELEMENTWISE = {"ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "PRELU"}
# Operators that convert between floats and integers.
_BORDERS = {"QUANTIZE", "DEQUANTIZE", "CAST", "QuantizeLinear", "DequantizeLinear"}
# Present if the batch size is dynamic, or if variables were not frozen; as is PACK of indices. The
# batch size may be dynamic in ONNX.
_REMNANTS = {"SHAPE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
_DYNAMIC_ONNX = {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
_WEIGHTED_ONNX = {"Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}
_HELD_IN_FLOAT = {"ConvTranspose"}  # ONNX Runtime has no kernel for it with dynamic scales
# Limits on reading an untrusted file. The largest of this project's files take 1 s.
_ALLOWANCE = Allowance(timeout_seconds=60, memory_limit_mb=2000)
# Limits on the report of an untrusted file.
_LINES_SHOWN, _CHARACTERS_SHOWN = 200, 4000


@dataclasses.dataclass(frozen=True)
class Audit:
    """The result of auditing a file.

    Attributes:
        passed: Whether the file matches the variant in its metadata, or else its name.
        lines: The report.
    """

    passed: bool
    lines: tuple[str, ...]


def read(path: Path) -> Graph:
    """Reads an artifact's graph without running it.

    Raises:
        InputError: The file is missing, or is not a valid `.tflite`, `.onnx` or `.c` file.
    """
    format = path.suffix.removeprefix(".")
    if format not in FORMATS or not path.is_file():
        kind = "something else" if path.exists() else "nothing of this name"
        raise InputError(
            f"{path} must be a .tflite, .onnx or .c file. Got: {kind}. Give an artifact of a "
            "bundle."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path} must be a file of at most {_MOST_BYTES:,} bytes and is not.")
    with _parsing(path):
        return FORMATS[format].read_graph(path.read_bytes())


@contextlib.contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turns any exception of a parser into `InputError`: damaged files cause many kinds."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"{path} must be a valid {path.suffix} file. Got: {cli.in_words(error)}. "
            "Export it again."
        ) from error


def size_breakdown(content: bytes, format: str) -> dict[str, int]:
    """Divides an artifact's size by purpose.

    Returns:
        Bytes by purpose: `weights`, all stored constants; `quantization`, scales and zero
        points; `metadata`; `structure`, everything else. They add up to the file size.
    """
    parts = FORMATS[format].size_breakdown(content)
    return parts | {"structure": len(content) - sum(parts.values())}


def findings(graph: Graph, variant: Variant) -> list[str]:
    """Returns the ways in which a graph does not match its variant, one line each."""
    found = []
    if graph.format != variant.format:
        return [f"is a {graph.format} file"]
    io = "float32" if variant.calibrated and graph.front else variant.io
    if graph.io != (io, io):
        found.append(f"has {graph.io[0]} input and {graph.io[1]} output, expected {io}")
    for operator in graph.operators:
        if not operator.builtin:
            found.append(f"operator {operator.kind} is outside the format's builtin set")
        is_remnant = operator.kind in _REMNANTS or (
            operator.kind == "PACK" and operator.precision == "index"
        )
        if is_remnant and not variant.exporter:
            found.append(f"operator {operator.kind} should have been folded away")
    wrong = _CHECKS[variant.format, variant.weights, variant.calibrated](graph, variant)
    if not variant.mixed:
        return found + wrong
    if not wrong:
        found.append("is a mixed variant but has no layer in float32")
    elif all(operator.precision.startswith("float") for operator in graph.operators):
        found.append("is a mixed variant but has no layer in integers")
    return found


def _check_float(graph: Graph, variant: Variant) -> list[str]:
    """Checks that constants have the variant's dtype and nothing is computed in integers."""
    found = [
        f"constant {c.name!r} of {c.size} elements is {c.dtype}, expected {variant.weights}"
        for c in graph.constants
        if c.dtype not in INDEX_TYPES | {variant.weights} and c.size > 1
    ]
    return found + _integer_activations(graph)


def _integer_activations(graph: Graph) -> list[str]:
    return [
        f"operator {operator.kind} {operator.name!r} computes in {dtype}, expected float32"
        for operator in graph.operators
        for dtype in operator.activations
        if dtype not in INDEX_TYPES | FLOATS
    ]


def _check_dynamic_tflite(graph: Graph, variant: Variant) -> list[str]:
    found = [
        f"{operator.kind} has weights {c.name!r} in {c.dtype}, expected {variant.weights}"
        for operator in graph.operators
        if operator.kind not in _ELEMENTWISE
        for c in operator.weights
        if c.dtype in FLOATS and c.rank > 1 and c.size >= _MIN_DYNAMIC_ELEMENTS
    ]
    return found + _integer_activations(graph)


def _check_integer_tflite(graph: Graph, variant: Variant) -> list[str]:
    found = []
    for operator in graph.operators[len(graph.front) :]:
        flowing, stored = set(operator.activations), {c.dtype for c in operator.weights}
        wrong = (flowing | stored) & FLOATS or flowing - INDEX_TYPES - {variant.activations}
        if wrong and operator.kind not in _BORDERS:
            found.append(
                f"operator {operator.kind} {operator.name!r} computes in {sorted(wrong)[0]}, "
                f"expected {variant.activations}"
            )
    return found


def _check_dynamic_onnx(graph: Graph, variant: Variant) -> list[str]:
    return [
        f"{operator.kind} {operator.name!r} has weights in {c.dtype}, expected {variant.weights}"
        for operator in graph.operators
        if operator.kind in _WEIGHTED_ONNX - _HELD_IN_FLOAT
        for c in operator.weights
        if c.rank > 1
    ]


def _check_qdq_onnx(graph: Graph, variant: Variant) -> list[str]:
    found = [
        f"{operator.kind} {operator.name!r} has no QDQ on its input and weights"
        for operator in graph.operators
        if operator.kind in _WEIGHTED_ONNX and operator.weights and not operator.dequantized
    ]
    found += [
        f"operator {o.kind} {o.name!r} computes its scales at run time, expected static scales"
        for o in graph.operators
        if o.kind in _DYNAMIC_ONNX
    ]
    steps = {d for o in graph.operators if o.kind == "QuantizeLinear" for d in o.activations}
    wrong = steps - FLOATS - {variant.activations}
    return found + [f"has {d} activations, expected {variant.activations}" for d in wrong]


# By format, dtype of the weights, and whether activations are integers too.
_CHECKS = {
    ("tflite", "float32", False): _check_float,
    ("tflite", "float16", False): _check_float,
    ("tflite", "int8", False): _check_dynamic_tflite,
    ("tflite", "int8", True): _check_integer_tflite,
    ("c", "int8", True): _check_integer_tflite,
    ("onnx", "float32", False): _check_float,
    ("onnx", "int8", False): _check_dynamic_onnx,
    ("onnx", "int8", True): _check_qdq_onnx,
}


def record(graph: Graph) -> AuditRecord:
    """Returns the manifest's record of a graph."""
    return AuditRecord(
        opset=graph.opset,
        batch=graph.batch if isinstance(graph.batch, int) else None,
        tensors=graph.tensors,
        operators=graph.precisions(),
    )


def report(path: Path) -> Audit:
    """Audits an untrusted file.

    Raises:
        InputError: The file is missing, or is not a valid file of its format.
    """
    graph = read(path)
    with _parsing(path):
        sizes = size_breakdown(path.read_bytes(), graph.format)
        metadata = FORMATS[graph.format].read_metadata(path)
    outside = [o.kind for o in graph.operators if not o.builtin]
    lines = [
        f"{path}: {path.stat().st_size:,} bytes, {'opset' if graph.format == 'onnx' else 'schema'} "
        f"{graph.opset}, batch {graph.batch}, {graph.io[0]} in, {graph.io[1]} out",
        f"  {_shares('tensors', graph.tensors)}",
        f"  {_shares('operators', graph.precisions())}",
        f"  operators outside the builtin set: {', '.join(outside) or 'none'}",
        "  bytes: " + ", ".join(f"{n:,} {purpose}" for purpose, n in sizes.items()),
        f"  metadata: {json.dumps(metadata)[:_CHARACTERS_SHOWN] if metadata else 'none'}",
    ]
    name = metadata.get("variant", path.stem)
    if not isinstance(name, str) or name not in KNOWN:
        note = f"  {name!r} is not a known variant: not checked"
        return Audit(True, (*lines, note))
    found = findings(graph, KNOWN[name])
    return Audit(not found, (*lines, *(f"  NOT {name}: {finding}" for finding in found)))


def _shares(what: str, counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{100 * n / total:.0f} % {kind}" for kind, n in sorted(counts.items())]
    return f"{total} {what}: {', '.join(parts)}"


def _start(state: State) -> None:
    """Imports the parsers, then limits the memory of the process."""
    for module in ("ai_edge_litert.schema_py_generated", "onnx"):
        importlib.import_module(module)
    limits.limit_memory(state.allowance.memory_limit_mb)


def _report(state: State, path: str) -> Audit:
    audit = report(Path(path))
    lines = audit.lines
    if len(lines) > _LINES_SHOWN:
        lines = (*lines[:_LINES_SHOWN], f"  and {len(lines) - _LINES_SHOWN} more lines")
    shown = tuple(cli.printable(line)[:_CHARACTERS_SHOWN] for line in lines)
    return Audit(audit.passed, shown)


def ask(process: Process, path: Path | str) -> Audit:
    """Audits an untrusted file in a process from `reader`; otherwise as `report`."""
    try:
        return process.ask_for(Audit, "report", str(path))
    except WorkerFailed as error:
        raise InputError(f"{path} can't be read: {error}. Export it again.") from error


def reader(allowance: Allowance = _ALLOWANCE) -> Process:
    """Starts an isolated process that reads files for `ask`.

    Raises:
        InputError: A package that reads the formats can't be imported.
    """
    process = Process({"start": _start, "report": _report}, allowance, (InputError,))
    try:
        process.ask("start")
    except WorkerFailed as error:
        process.close()
        raise InputError(
            f"the audit process must start. Got: {error}. Install 'mnist-edge[export]'."
        ) from error
    return process


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Audits the files in `argv`; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("files", nargs="+", type=Path, help=".tflite and .onnx files")
    statuses, process = [], None
    with contextlib.ExitStack() as stack:
        for path in parser.parse_args(argv).files:
            if not (process and process.is_alive()):  # the last file may have crashed it
                process = stack.enter_context(reader())
            try:
                audit = ask(process, path)
            except InputError as error:
                print(f"error: {cli.one_line(error, most=None)}", file=sys.stderr)
                statuses.append(cli.BAD_INPUT)
            else:
                print("\n".join(audit.lines))
                statuses.append(cli.OK if audit.passed else cli.GATE_FAILED)
    return max(statuses)


if __name__ == "__main__":
    from . import audit  # its subprocess finds no functions in `__main__`

    sys.exit(audit.main())
