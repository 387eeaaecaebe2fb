"""Many C sources in one library: compiled once, each in a namespace of its own."""

import ctypes
import subprocess

import numpy as np

from export.c import graph, lower, reference, source

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


def program(content):
    return lower.lower(graph.read(content))


def text_of(content, name="net", golden=None):
    return source.write(program(content), name, "/* test */", golden)


def library(texts, folder, flags=("-O1",)):
    """Compiles sources, by the prefix of their functions, to one library."""
    parts = ["#include <stdint.h>", "#include <string.h>"]
    for name, text in texts.items():
        (folder / f"{name}.c").write_text(text)
        parts.append(f'namespace in_{name} {{\n#include "{name}.c"\n}}')
    (folder / "all.cc").write_text("\n".join(parts))
    path = folder / "all.so"
    command = ["g++", *flags, "-fPIC", "-shared", "-o", str(path), str(folder / "all.cc")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(path))


def inputs_of(content, count, seed=0):
    """Random inputs in the whole range of the file's input."""
    tensor = graph.read(content).input
    rng = np.random.default_rng(seed)
    if tensor.dtype == "float32":
        return rng.uniform(-100, 300, (count, *tensor.shape)).astype(np.float32)
    return rng.integers(0, 256, (count, *tensor.shape), np.uint8).view(tensor.dtype)


def expected(content, inputs):
    """What the reference kernels make of inputs."""
    opened = reference.interpreter(content)
    (given,), (made,) = opened.get_input_details(), opened.get_output_details()
    found = []
    for one in inputs:
        opened.set_tensor(given["index"], one)
        opened.invoke()
        found.append(opened.get_tensor(made["index"]).copy())
    return np.stack(found)


def computed(loaded, name, content, inputs):
    """What compiled C makes of inputs, with a scratch buffer of exactly the size it asks for."""
    lowered = program(content)
    size = source.plan.plan(lowered).bytes
    memory = np.zeros(size + 16, np.uint8)
    place = memory.ctypes.data + -memory.ctypes.data % 16
    output = np.empty(lowered.output_tensor.shape, lowered.output_tensor.dtype)
    run = getattr(loaded, f"{name}_predict_quantized")
    found = []
    for one in np.ascontiguousarray(inputs):
        places = (one.ctypes.data, output.ctypes.data, place)
        run(*map(ctypes.c_void_p, places))
        found.append(output.copy())
    return np.stack(found)
