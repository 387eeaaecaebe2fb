"""Metadata of a C source: a comment of one line in JSON; and the files beside it."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from mnist_edge.artifact_metadata import C_COMMENT
from mnist_edge.artifact_metadata import read_c as read

from ..tflite import inspect as tflite_inspect
from . import likeness, plan, source
from .graph import Tensor
from .steps import Program

__all__ = ["companions", "head", "made_from", "read"]

_EXAMPLE = "main.c"


def head(fields: Mapping[str, Any], program: Program, name: str, origin: bytes, sha256: str) -> str:
    """Returns the comments that a source begins with.

    Args:
        fields: The metadata that every artifact has.
        program: What the source computes.
        name: Prefix of its functions.
        origin: The TFLite file that it is made from.
        sha256: The SHA-256 of that file.
    """
    graph = tflite_inspect.read_graph(origin)
    operators = [
        [o.kind, list(o.activations), [[c.dtype, int(c.size), c.rank] for c in o.weights]]
        for o in graph.operators
    ]
    constants, planned = source.constant_bytes(program), plan.plan(program)
    about = {
        "prefix": name,
        "input": _tensor(program.input_tensor),
        "output": _tensor(program.output_tensor),
        "scratch_bytes": planned.bytes,
        "lanes_bytes": planned.lanes_bytes,
        "constant_bytes": constants,
        "tflite_sha256": sha256,
        "graph": {
            "opset": graph.opset,
            "io": list(graph.io),
            "tensors": graph.tensors,
            "operators": operators,
        },
    }
    text = json.dumps({**fields, "c": about}, separators=(",", ":"))
    # Neither the end of a comment nor a trigraph: the file's names may hold anything.
    text = text.replace("/", "\\/").replace("?", "\\u003f")
    return f"{C_COMMENT[0]}{text}{C_COMMENT[1]}\n{_words(fields, program, about, planned)}"


def _tensor(tensor: Tensor) -> dict[str, Any]:
    found: dict[str, Any] = {"name": tensor.name, "shape": tensor.shape, "dtype": tensor.dtype}
    if tensor.is_byte:
        found |= {"scale": float(tensor.scale), "zero_point": tensor.zero_point}
    return found


def _words(
    fields: Mapping[str, Any], program: Program, about: Mapping[str, Any], planned: plan.Plan
) -> str:
    """Returns what a reader of the header must know, as a comment."""
    given, output = fields["input"], fields["output"]
    tensor, labels = program.input_tensor, ", ".join(output["labels"])
    lines = [
        f"{fields['model']}: {fields['variant']} of {fields['project']}.",
        f"Input: {tensor.dtype} {list(tensor.shape)}, {given['layout']}, "
        f"{given['range'][0]:g} to {given['range'][1]:g} in training"
        + (
            f"; value = ({tensor.scale:g}) * (element - {tensor.zero_point})."
            if tensor.is_byte
            else "."
        ),
        f"Output: {output['name']}, {program.output_tensor.size}: {labels}."[:2000],
        f"Flash: {about['constant_bytes']} bytes of constants, and code of about 1 to 4 kB.",
        f"RAM: {planned.bytes} bytes of scratch ({planned.lanes_bytes} on x86 and WebAssembly), "
        f"{tensor.bytes} of input.",
        f"Model {fields['source_model_sha256']}",
        f"TFLite {about['tflite_sha256']}",
    ]
    text = "\n   ".join(source.comment(line) for line in lines)
    return f"/* {text} */"


def _fields(text: str) -> dict[str, Any]:
    first = text.partition("\n")[0] + "\n"
    fields: dict[str, Any] = json.loads(first.removeprefix(C_COMMENT[0]).removesuffix(C_COMMENT[1]))
    return fields


def made_from(content: bytes) -> str:
    """Returns the SHA-256 of the TFLite file that a source was made from."""
    sha256: str = _fields(content.decode())["c"]["tflite_sha256"]
    return sha256


def companions(content: bytes) -> dict[str, bytes]:
    """Returns the files beside a source, by the end of their names: header and example."""
    text = content.decode()
    about = _fields(text)
    name = about["c"]["prefix"]
    start, end = source.INTERFACE
    comment = text[text.index("\n\n") : text.index("#include")].strip()
    interface = text[text.index(start) + len(start) : text.index(end)].strip()
    guard = f"{name.upper()}_H"
    header = f"""{comment}

#ifndef {guard}
#define {guard}

#include <stdint.h>

#define {name.upper()}_CONSTANT_BYTES {about["c"]["constant_bytes"]}
#define {name.upper()}_MODEL_SHA256 "{about["source_model_sha256"]}"
#define {name.upper()}_TFLITE_SHA256 "{about["c"]["tflite_sha256"]}"
{interface}

#endif
"""
    template = (resources.files(__package__) / _EXAMPLE).read_text("utf-8")
    template = likeness.example(template, f"{name}_likeness" in interface)
    kind = source.C_TYPES[about["c"]["input"]["dtype"]]
    example = template.replace("MODEL", name.upper()).replace("model_", f"{name}_")
    return {".h": header.encode(), ".main.c": example.replace("ELEMENT", kind).encode()}
