"""Read an artifact back: is it what its name says?

    python -m export.audit artifacts/edge/*.tflite artifacts/edge/*.onnx

prints what each file holds and exits with 1 where a file is not what its metadata, or
else its name, says, and with 2 where one can't be read. `python -m export` runs the same
audit on every file before the file gets its name.
"""

import contextlib
import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnist_edge import cli
from mnist_edge.errors import InputError
from mnist_edge.manifest import AuditRecord
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from .formats import FORMATS
from .graph import FLOATS, INDEX_TYPES, Graph
from .variants import KNOWN, Variant

# Flatbuffers and Protocol Buffers both end here.
_MOST_BYTES = 2**31
# The TFLite converter leaves smaller weights as they are in a dynamic-int8 file.
_MIN_DYNAMIC_ELEMENTS = 1024
# Where a graph passes from floats to integers and back.
_BORDERS = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear"}
# Left behind by a free batch, or by variables that were not frozen.
_REMNANTS = {"SHAPE", "PACK", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "Shape"}
_DYNAMIC_ONNX = {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
_WEIGHTED_ONNX = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# What the reading of a stranger's file may take. The largest of this project's take 1 s.
_ALLOWANCE = Allowance(timeout_seconds=60, memory_limit_mb=2000)
# Of a stranger's file, at most so many lines of so many characters are shown.
_LINES_SHOWN, _CHARACTERS_SHOWN = 200, 4000


@dataclasses.dataclass(frozen=True)
class Audit:
    """What a file holds.

    Attributes:
        passed: Whether it is what its metadata, or else its name, says.
        lines: What to print.
    """

    passed: bool
    lines: tuple[str, ...]


def read(path: Path) -> Graph:
    """Reads an artifact's graph without running it.

    Raises:
        InputError: The file is missing, or is no whole `.tflite` or `.onnx` file.
    """
    format = path.suffix.removeprefix(".")
    if format not in FORMATS or not path.is_file():
        raise InputError(f"{path} must be a .tflite or .onnx file and is not.")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path} must be a file of at most {_MOST_BYTES:,} bytes and is not.")
    with _parsing(path):
        return FORMATS[format].read_graph(path.read_bytes())


@contextlib.contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Makes one line of whatever a parser raises in the block: it stumbles on anything."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"{path} must be a whole {path.suffix} file. Got: {cli.in_words(error)}. "
            "Export it again."
        ) from error


def size_breakdown(content: bytes, format: str) -> dict[str, int]:
    """Divides an artifact's size by purpose.

    Returns:
        Bytes by purpose: `weights`, constants as they are stored; `quantization`, scales
        and zero points; `metadata`; `structure`, all the rest. Their sum is the size.
    """
    found = FORMATS[format].size_breakdown(content)
    return found | {"structure": len(content) - sum(found.values())}


def findings(graph: Graph, variant: Variant) -> list[str]:
    """Ways in which a file is not what its variant promises, one line each."""
    found = []
    if graph.format != variant.format:
        return [f"is a {graph.format} file"]
    if graph.io != (variant.io, variant.io):
        found.append(f"takes {graph.io[0]} and gives {graph.io[1]}, {variant.io} promised")
    for operator in graph.operators:
        if not operator.builtin:
            found.append(f"operator {operator.kind} is outside the format's builtin set")
        if operator.kind in _REMNANTS and not variant.exporter:
            found.append(f"operator {operator.kind} should have been folded away")
    wrong = _CHECKS[variant.format, variant.weights, variant.calibrated](graph, variant)
    if not variant.mixed:
        return found + wrong
    if not wrong:
        found.append("is called mixed and has no layer in float32")
    elif all(operator.precision.startswith("float") for operator in graph.operators):
        found.append("is called mixed and has no layer in integers")
    return found


def _check_float(graph: Graph, variant: Variant) -> list[str]:
    """Constants of the variant's type, and nothing computed in integers."""
    found = [
        f"constant {c.name!r} of {c.size} elements is {c.dtype}, {variant.weights} promised"
        for c in graph.constants
        if c.dtype not in INDEX_TYPES | {variant.weights} and c.size > 1
    ]
    return found + _integer_activations(graph)


def _integer_activations(graph: Graph) -> list[str]:
    return [
        f"operator {operator.kind} {operator.name!r} computes in {dtype}, float32 promised"
        for operator in graph.operators
        for dtype in operator.activations
        if dtype not in INDEX_TYPES | FLOATS
    ]


def _check_dynamic_tflite(graph: Graph, variant: Variant) -> list[str]:
    found = [
        f"{operator.kind} has weights {c.name!r} in {c.dtype}, {variant.weights} promised"
        for operator in graph.operators
        for c in operator.weights
        if c.dtype in FLOATS and c.rank > 1 and c.size >= _MIN_DYNAMIC_ELEMENTS
    ]
    return found + _integer_activations(graph)


def _check_integer_tflite(graph: Graph, variant: Variant) -> list[str]:
    found = []
    for operator in graph.operators:
        flowing, stored = set(operator.activations), {c.dtype for c in operator.weights}
        wrong = (flowing | stored) & FLOATS or flowing - INDEX_TYPES - {variant.activations}
        if wrong and operator.kind not in _BORDERS:
            found.append(
                f"operator {operator.kind} {operator.name!r} computes in {sorted(wrong)[0]}, "
                f"{variant.activations} promised"
            )
    return found


def _check_dynamic_onnx(graph: Graph, variant: Variant) -> list[str]:
    return [
        f"{operator.kind} {operator.name!r} has weights in {c.dtype}, {variant.weights} promised"
        for operator in graph.operators
        if operator.kind in _WEIGHTED_ONNX
        for c in operator.weights
        if c.rank > 1
    ]


def _check_qdq_onnx(graph: Graph, variant: Variant) -> list[str]:
    found = [
        f"{operator.kind} {operator.name!r} has no QDQ on its data and weights"
        for operator in graph.operators
        if operator.kind in _WEIGHTED_ONNX and operator.weights and not operator.dequantized
    ]
    found += [
        f"operator {o.kind} {o.name!r} finds its scales at run time, static ones promised"
        for o in graph.operators
        if o.kind in _DYNAMIC_ONNX
    ]
    steps = {d for o in graph.operators if o.kind == "QuantizeLinear" for d in o.activations}
    wrong = steps - FLOATS - {variant.activations}
    return found + [f"its activations are {d}, {variant.activations} promised" for d in wrong]


# By format, element type of the weights, and whether activations are integers too.
_CHECKS = {
    ("tflite", "float32", False): _check_float,
    ("tflite", "float16", False): _check_float,
    ("tflite", "int8", False): _check_dynamic_tflite,
    ("tflite", "int8", True): _check_integer_tflite,
    ("onnx", "float32", False): _check_float,
    ("onnx", "int8", False): _check_dynamic_onnx,
    ("onnx", "int8", True): _check_qdq_onnx,
}


def record(graph: Graph) -> AuditRecord:
    """What the manifest holds of a graph."""
    return AuditRecord(
        opset=graph.opset,
        batch=graph.batch if isinstance(graph.batch, int) else None,
        tensors=graph.tensors,
        operators=graph.precisions(),
    )


def report(path: Path) -> Audit:
    """Audits one file from anywhere.

    Raises:
        InputError: It is no whole file of its format.
    """
    graph = read(path)
    with _parsing(path):
        spent = size_breakdown(path.read_bytes(), graph.format)
        carried = FORMATS[graph.format].read_metadata(path)
    outside = [o.kind for o in graph.operators if not o.builtin]
    lines = [
        f"{path}: {path.stat().st_size:,} bytes, {'opset' if graph.format == 'onnx' else 'schema'} "
        f"{graph.opset}, batch {graph.batch}, {graph.io[0]} in, {graph.io[1]} out",
        f"  {_shares('tensors', graph.tensors)}",
        f"  {_shares('operators', graph.precisions())}",
        f"  operators outside the builtin set: {', '.join(outside) or 'none'}",
        "  bytes: " + ", ".join(f"{n:,} {what}" for what, n in spent.items()),
        f"  metadata: {json.dumps(carried)[:_CHARACTERS_SHOWN] if carried else 'none'}",
    ]
    name = carried.get("variant", path.stem)
    if not isinstance(name, str) or name not in KNOWN:
        said = f"  {name!r} is no variant of this project: described, not checked"
        return Audit(True, (*lines, said))
    found = findings(graph, KNOWN[name])
    return Audit(not found, (*lines, *(f"  NOT {name}: {finding}" for finding in found)))


def _shares(what: str, counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{100 * n / total:.0f} % {kind}" for kind, n in sorted(counts.items())]
    return f"{total} {what}: {', '.join(parts)}"


def _start(state: dict[str, Any]) -> None:
    """Imports the parsers, and limits what is reserved from here on."""
    for module in ("ai_edge_litert.schema_py_generated", "onnx"):
        importlib.import_module(module)
    limits.limit_memory(state["allowance"].memory_limit_mb)


def _report(state: dict[str, Any], path: str) -> Audit:
    audit = report(Path(path))
    lines = audit.lines
    if len(lines) > _LINES_SHOWN:
        lines = (*lines[:_LINES_SHOWN], f"  and {len(lines) - _LINES_SHOWN} more lines")
    shown = tuple(cli.printable(line)[:_CHARACTERS_SHOWN] for line in lines)
    return Audit(audit.passed, shown)


def ask(process: Process, path: Path | str) -> Audit:
    """As `report`, in a process that `reader` started; whatever the file does, it does there."""
    try:
        return process.ask_for(Audit, "report", str(path))
    except WorkerFailed as error:
        raise InputError(f"{path} can't be read: {error}. Export it again.") from error


def reader(allowance: Allowance = _ALLOWANCE) -> Process:
    """Starts a process for `ask`.

    Raises:
        InputError: A package that reads the files can't be imported.
    """
    process = Process({"start": _start, "report": _report}, allowance, (InputError,))
    try:
        process.ask("start")
    except WorkerFailed as error:
        process.close()
        raise InputError(
            f"the audit's process must start. Got: {error}. Install 'mnist-edge[export]'."
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
            if not (process and process.is_alive()):  # the last file may have ended it
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
    sys.exit(main())
