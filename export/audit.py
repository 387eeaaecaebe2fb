"""Read an artifact back: is it what its name says?

    python -m export.audit artifacts/edge/*.tflite artifacts/edge/*.onnx

prints what each file holds and exits with 1 where a file is not what its contract, or
else its name, says, and with 2 where one can't be read. `python -m export` runs the same
audit on every file before the file gets its name.
"""

import collections
import contextlib
import importlib
import json
import sys
from pathlib import Path

from mnist_edge import cli, expect
from mnist_edge.errors import InputError
from mnist_edge.safety import limits
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from . import inspection, metadata
from .variants import KNOWN

# The TFLite converter leaves smaller weights as they are in a dynamic-int8 file.
_MIN_DYNAMIC_ELEMENTS = 1024
_FLOATS = {"float16", "float32", "float64"}
# Element types that hold shapes and indices as well; they say nothing of precision.
_INDEX_TYPES = {"int32", "int64", "bool"}
# Where a graph passes from floats to integers and back.
_BORDERS = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear"}
# Left behind by a free batch, or by variables that were not frozen.
_REMNANTS = {"SHAPE", "PACK", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "Shape"}
_DYNAMIC_ONNX = {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
_WEIGHTED_ONNX = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# What the reading of a stranger's file may take. The largest of this project's take 1 s.
_ALLOWANCE = Allowance(timeout_seconds=60, memory_limit_mb=2000)
# Of a stranger's file, at most so many lines of so many characters are shown.
_LINES_SHOWN, _CONTRACT_SHOWN = 200, 4000
_REPORT = {"passed": expect.TRUTH, "lines": [expect.TEXT]}


def findings(read, variant):
    """Compares what a file holds with what its variant promises.

    Args:
        read: A `graph.Graph`.
        variant: A `Variant`.

    Returns:
        list of str, a line each; empty where the file is what its name says.
    """
    found = []
    if read.format != variant.format:
        return [f"is a {read.format} file"]
    if read.io != (variant.io, variant.io):
        found.append(f"takes {read.io[0]} and gives {read.io[1]}, {variant.io} promised")
    for operator in read.operators:
        if not operator.builtin:
            found.append(f"operator {operator.kind} is outside the format's builtin set")
        if operator.kind in _REMNANTS:
            found.append(f"operator {operator.kind} should have been folded away")
    wrong = _CHECKS[variant.format, variant.weights, variant.calibrated](read, variant)
    if not variant.mixed:
        return found + wrong
    if not wrong:
        found.append("is called mixed and has no layer in float32")
    elif all(precision(operator).startswith("float") for operator in read.operators):
        found.append("is called mixed and has no layer in integers")
    return found


def _check_float(read, variant):
    """Constants of the variant's type, and nothing computed in integers."""
    found = [
        f"constant {c.name!r} of {c.size} elements is {c.dtype}, {variant.weights} promised"
        for c in read.constants
        if c.dtype not in _INDEX_TYPES | {variant.weights} and c.size > 1
    ]
    return found + _integer_activations(read)


def _integer_activations(read):
    return [
        f"operator {operator.kind} {operator.name!r} computes in {dtype}, float32 promised"
        for operator in read.operators
        for dtype in operator.activations
        if dtype not in _INDEX_TYPES | _FLOATS
    ]


def _check_dynamic_tflite(read, variant):
    found = [
        f"{operator.kind} has weights {c.name!r} in {c.dtype}, {variant.weights} promised"
        for operator in read.operators
        for c in operator.weights
        if c.dtype in _FLOATS and c.rank > 1 and c.size >= _MIN_DYNAMIC_ELEMENTS
    ]
    return found + _integer_activations(read)


def _check_integer_tflite(read, variant):
    found = []
    for operator in read.operators:
        flowing, stored = set(operator.activations), {c.dtype for c in operator.weights}
        wrong = (flowing | stored) & _FLOATS or flowing - _INDEX_TYPES - {variant.activations}
        if wrong and operator.kind not in _BORDERS:
            found.append(
                f"operator {operator.kind} {operator.name!r} computes in {sorted(wrong)[0]}, "
                f"{variant.activations} promised"
            )
    return found


def _check_dynamic_onnx(read, variant):
    return [
        f"{operator.kind} {operator.name!r} has weights in {c.dtype}, {variant.weights} promised"
        for operator in read.operators
        if operator.kind in _WEIGHTED_ONNX
        for c in operator.weights
        if c.rank > 1
    ]


def _check_qdq_onnx(read, variant):
    found = [
        f"{operator.kind} {operator.name!r} has no QDQ on its data and weights"
        for operator in read.operators
        if operator.kind in _WEIGHTED_ONNX and operator.weights and not operator.dequantized
    ]
    found += [
        f"operator {o.kind} {o.name!r} finds its scales at run time, static ones promised"
        for o in read.operators
        if o.kind in _DYNAMIC_ONNX
    ]
    steps = {d for o in read.operators if o.kind == "QuantizeLinear" for d in o.activations}
    wrong = steps - _FLOATS - {variant.activations}
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


def precision(operator):
    """What an operator computes in: "float32", "int8", "float32 x int8", "QDQ int8"."""
    stored = sorted({c.dtype for c in operator.weights if c.rank > 1} - _INDEX_TYPES)
    if operator.dequantized:
        return f"QDQ {'/'.join(stored) or 'int8'}"
    flowing = sorted(set(operator.activations) - _INDEX_TYPES)
    parts = ["/".join(flowing), "/".join(t for t in stored if t not in flowing)]
    return " x ".join(part for part in parts if part) or "index"


def record(read):
    """What the manifest holds of a graph, a dict."""
    return {
        "opset": read.opset,
        "batch": read.batch,
        "tensors": read.tensors,
        "operators": dict(collections.Counter(precision(o) for o in read.operators)),
    }


def describe(path, read):
    """What a file is, in a few lines; and its contract."""
    shares = {
        "tensors": read.tensors,
        "operators": collections.Counter(precision(o) for o in read.operators),
    }
    version = "opset" if read.format == "onnx" else "schema"
    lines = [
        f"{path}: {path.stat().st_size:,} bytes, {version} {read.opset}, batch {read.batch}, "
        f"{read.io[0]} in, {read.io[1]} out"
    ]
    for what, counts in shares.items():
        total = sum(counts.values())
        parts = [f"{100 * n / total:.0f} % {kind}" for kind, n in sorted(counts.items())]
        lines.append(f"  {total} {what}: {', '.join(parts)}")
    outside = [o.kind for o in read.operators if not o.builtin]
    lines.append(f"  operators outside the builtin set: {', '.join(outside) or 'none'}")
    try:
        spent, carried = (
            inspection.size_breakdown(path.read_bytes(), read.format),
            metadata.read(path),
        )
    except Exception as error:  # as the graph's parsers, whatever they stumble on
        raise inspection.damaged(path, error) from error
    lines.append("  bytes: " + ", ".join(f"{n:,} {what}" for what, n in spent.items()))
    lines.append(f"  contract: {json.dumps(carried)[:_CONTRACT_SHOWN] if carried else 'none'}")
    return lines, carried


def report(path):
    """Audits one file from anywhere.

    Args:
        path: A `.tflite` or `.onnx` file.

    Returns:
        `(lines, passed)`: what to print, a list of str, and whether the file is what its
        contract, or else its name, says.

    Raises:
        InputError: It is no whole file of its format.
    """
    read = inspection.read(path)
    lines, carried = describe(path, read)
    name = carried.get("variant", path.stem)
    if not isinstance(name, str) or name not in KNOWN:
        return [*lines, f"  {name!r} is no variant of this project: described, not judged"], True
    found = findings(read, KNOWN[name])
    return [*lines, *(f"  NOT {name}: {finding}" for finding in found)], not found


def _start(state):
    """Imports the parsers, and limits what is reserved from here on."""
    for module in ("ai_edge_litert.schema_py_generated", "onnx"):
        importlib.import_module(module)
    limits.limit_memory(state["allowance"].memory_limit_mb)


def _report(state, path):
    lines, passed = report(Path(path))
    if len(lines) > _LINES_SHOWN:
        lines = [*lines[:_LINES_SHOWN], f"  and {len(lines) - _LINES_SHOWN} more lines"]
    return {"passed": passed, "lines": [cli.printable(line)[:_CONTRACT_SHOWN] for line in lines]}


def ask(process, path):
    """As `report`, in a process that `reader` started; whatever the file does, it does there."""
    try:
        found = process.ask("report", str(path), wanted=_REPORT)
    except WorkerFailed as error:
        raise InputError(f"{path} can't be read: {error}. Export it again.") from error
    return found["lines"], found["passed"]


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
def main(argv=None):
    """Audits the files in `argv`; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("files", nargs="+", type=Path, help=".tflite and .onnx files")
    statuses, process = [], None
    with contextlib.ExitStack() as stack:
        for path in parser.parse_args(argv).files:
            if not (process and process.is_alive()):  # the last file may have ended it
                process = stack.enter_context(reader())
            try:
                lines, passed = ask(process, path)
            except InputError as error:
                print(f"error: {cli.one_line(error, most=None)}", file=sys.stderr)
                statuses.append(cli.BAD_INPUT)
            else:
                print("\n".join(lines))
                statuses.append(cli.OK if passed else cli.GATE_FAILED)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
