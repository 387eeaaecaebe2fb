"""Read an artefact back: is it what its name says?

    python -m export.audit artifacts/edge/*.tflite artifacts/edge/*.onnx

prints what each file holds and exits with 1 where a file is not what its contract, or
else its name, says. `python -m export` runs the same audit on every file before the file
gets its name.
"""

import collections
import json
import sys
from pathlib import Path

from export import contract, graph, sizes
from export.variants import KNOWN
from mnist_edge import cli

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
        if operator.kind in _WEIGHTED_ONNX and operator.weights and not operator.dequantised
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
    if operator.dequantised:
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
    """What a file is, in a few lines."""
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
    spent = sizes.shares(path.read_bytes(), read.format)
    lines.append("  bytes: " + ", ".join(f"{n:,} {what}" for what, n in spent.items()))
    carried = contract.read(path)
    lines.append(f"  contract: {json.dumps(carried) if carried else 'none'}")
    return "\n".join(lines)


@cli.command
def main(argv=None):
    """Audits the files in `argv`; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("files", nargs="+", type=Path, help=".tflite and .onnx files")
    status = cli.OK
    for path in parser.parse_args(argv).files:
        read = graph.read(path)
        print(describe(path, read))
        name = contract.read(path).get("variant", path.stem)
        if name not in KNOWN:
            print(f"  {name!r} is no variant of this project: described, not judged")
            continue
        for finding in findings(read, KNOWN[name]):
            print(f"  NOT {name}: {finding}")
            status = cli.GATE_BREACHED
    return status


if __name__ == "__main__":
    sys.exit(main())
