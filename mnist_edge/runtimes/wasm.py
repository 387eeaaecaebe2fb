"""Compile a model's C source to WebAssembly. Needs the package `ziglang`."""

import os
import subprocess
import sys
from importlib import resources

from mnist_edge import cli
from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

_SECONDS = 300  # far more than a network of 100 MB takes
# For a target without a system Zig has no such header. The compiler knows the three functions and
# makes instructions of them.
_STRING_H = """#include <stddef.h>
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memcmp __builtin_memcmp
"""
# Loops that a compiler unrolls or vectorizes beside the kernels' own vectors made `edge` no faster,
# and its page 3 kB larger.
_FLAGS = [
    *("-target", "wasm32-freestanding", "-nostdlib", "-std=c99", "-O3", "-mbulk-memory"),
    *("-fno-unroll-loops", "-fno-vectorize"),
    *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=16384"),
]


def compile_c(source: str, prefix: str, simd: bool = True) -> bytes:
    """Compiles a model to a WebAssembly module without imports.

    The module exports `memory`; `input()`, the address of the input's bytes; and `read()`, which
    runs the model and returns the address of the output's bytes.

    Args:
        source: The C source.
        prefix: The identifier that its functions start with.
        simd: Whether instructions of 128 bits are allowed.

    Raises:
        InputError: The compiler is not installed, or refuses the source.
    """
    with cli.needing("c"):
        import ziglang  # noqa: F401 - started as a module below
    with scratch.folder() as folder:
        (folder / "model.c").write_text(source, "utf-8")
        (folder / "string.h").write_text(_STRING_H, "utf-8")
        web = resources.files(__package__).joinpath("web.c").read_text("utf-8")
        (folder / "web.c").write_text(web, "utf-8")
        flags = [*_FLAGS, *(["-msimd128"] if simd else []), *names(prefix)]
        flags += ["-I", ".", "-o", "web.wasm"]
        caches = {f"ZIG_{kind}_CACHE_DIR": str(folder / kind) for kind in ("GLOBAL", "LOCAL")}
        try:
            done = subprocess.run(
                [sys.executable, "-m", "ziglang", "cc", *flags, "web.c"],
                cwd=folder,
                env=os.environ | caches,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"the model's C must compile in {_SECONDS} seconds. Got: no end. Export a "
                "smaller model."
            ) from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error:" in line]
            cause = said[0] if said else f"exit status {done.returncode}"
            raise InputError(
                f"the model's C must compile. Got: {cli.one_line(cause)}. Install the version of "
                "ziglang that constraints.txt names."
            )
        return (folder / "web.wasm").read_bytes()


def names(prefix: str) -> list[str]:
    """Returns the flags that name a source's function and sizes to `web.c`."""
    sizes = ("INPUT_SIZE", "CLASSES", "SCRATCH_BYTES")
    macros = {name: f"{prefix.upper()}_{name}" for name in sizes}
    macros["PREDICT"] = f"{prefix}_predict_quantized"
    return [f"-D{name}={value}" for name, value in macros.items()]
