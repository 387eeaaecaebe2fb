"""Read a C source without compiling it: its graph and its size breakdown."""

import json
import re

from mnist_edge.artifact_metadata import C_COMMENT

from ..graph import Constant, Graph, Operator

_ARRAY = re.compile(r"^static const \w+ \w+\[\d+\] = \{\n.*?^\};\n", re.DOTALL | re.MULTILINE)


def read_graph(content: bytes) -> Graph:
    """Returns the graph that a source says it was made from; a damaged one may raise anything."""
    first = content.partition(b"\n")[0].decode() + "\n"
    if not (first.startswith(C_COMMENT[0]) and first.endswith(C_COMMENT[1])):
        raise ValueError("it lacks the comment with its metadata")
    about = json.loads(first[len(C_COMMENT[0]) : -len(C_COMMENT[1])])["c"]["graph"]
    operators = tuple(
        Operator(
            name=f"{kind} {i}",
            kind=str(kind),
            builtin=True,
            activations=tuple(map(str, activations)),
            weights=tuple(Constant("", str(d), int(n), int(rank)) for d, n, rank in weights),
        )
        for i, (kind, activations, weights) in enumerate(about["operators"])
    )
    constants = tuple(c for o in operators for c in o.weights)
    io = (str(about["io"][0]), str(about["io"][1]))
    tensors = {str(dtype): int(count) for dtype, count in about["tensors"].items()}
    return Graph("c", int(about["opset"]), 1, io, operators, constants, tensors)


def size_breakdown(content: bytes) -> dict[str, int]:
    """Returns the number of bytes of text by purpose, except for code."""
    text = content.decode()
    return {
        "weights": sum(len(found.group()) for found in _ARRAY.finditer(text)),
        "metadata": text.index("\n") + 1,
    }
