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


def library(texts, folder, flags=("-O0",)):
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
        return rng.uniform(0, 300, (count, *tensor.shape)).astype(np.float32)
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
    size = source.plan.plan(lowered).lanes_bytes
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


SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-common")


def run_sanitized(nets, folder, inputs=2, missing=0, images=b"", flags=()):
    """Runs sources on random inputs under the sanitizers, each array of exactly its size.

    Args:
        nets: Source and program by the prefix of the source's functions.
        folder: Where to compile.
        inputs: Number of random inputs of each.
        missing: Bytes that the scratch buffer is too small.
        images: The first inputs, in place of random ones.
        flags: More flags of the compiler.

    Returns:
        The program's status, output and messages.
    """
    calls = []
    for name, (text, lowered) in nets.items():
        (folder / f"{name}.c").write_text(text)
        given, made = lowered.input_tensor.bytes, lowered.output_tensor.bytes
        size, logits = (
            source.plan.plan(lowered).lanes_bytes - missing,
            4 * lowered.logits_tensor.size,
        )
        floats = int(lowered.input_tensor.dtype == "float32")
        calls.append(f"    CHECK({name}, {given}, {made}, {size}, {logits}, {floats});")
    parts = [f'namespace in_{name} {{\n#include "{name}.c"\n}}\nusing namespace in_{name};'
             for name in nets]  # fmt: skip
    main = _MAIN.replace("CALLS", "\n".join(calls)).replace("COUNT", str(inputs))
    (folder / "main.cc").write_text(_HEAD + "\n".join(parts) + main)
    program = folder / "main"
    # Many images take longer than the compiler, a few shorter.
    level = "-O1" if images else "-O0"
    built = ["-o", str(program), str(folder / "main.cc")]
    command = ["g++", level, *SANITIZED, *flags, *built]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], input=images, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


_HEAD = "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
_MAIN = """
template <typename T, typename O> static void check(
    void (*run)(const T *, O *, void *), void (*logits)(const T *, float *, void *),
    size_t in, size_t out, size_t size, size_t width, int floats)
{
    T *input = (T *)malloc(in);
    O *output = (O *)malloc(out);
    float *values = (float *)malloc(width);
    void *scratch = aligned_alloc(16, size);
    for (int i = 0; i < COUNT; i++) {
        const int is_given = fread(input, 1, in, stdin) == in;
        for (size_t k = 0; !is_given && k < in / sizeof *input; k++) {
            input[k] = floats ? (T)(rand() % 2000 - 1000) : (T)rand();
        }
        run(input, output, scratch);
        if (i < 10) logits(input, values, scratch);
    }
    free(input); free(output); free(values); free(scratch);
}
#define CHECK(name, in, out, size, width, floats) \\
    check(name##_predict_quantized, name##_logits, in, out, size, width, floats)
int main()
{
CALLS
    puts("done");
    return 0;
}
"""
