"""Find a C compiler, and compile a source to a library that this process can load."""

import importlib.util
import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Without contraction a*b+c is rounded twice on every machine, so that all give the same floats.
FLAGS = ("-std=c99", "-O3", "-march=native", "-ffp-contract=off")
# Further flags, such as those that choose a kernel by its macro; appended to the others.
FLAGS_VARIABLE = "MNIST_EDGE_C_FLAGS"
MISSING = (
    "no C compiler: install gcc or clang, or run pip install 'mnist-edge[c]', or name one in CC"
)
_COMPILERS = ("gcc", "clang", "cc")
_SHOWN = 300  # characters of a compiler's message
# Of an ELF file by its class, 32 or 64 bits: where its header says at which byte the headers of
# sections start, and how many there are; the layout of one of them: name, ..., offset, size.
_ELF = {1: ("<I", 32, 46, "<6I"), 2: ("<Q", 40, 58, "<2I4Q")}
_LITTLE_ENDIAN = 1
_SHIPPED = (b".text", b".rodata", b".data")  # code, constants, constants that hold addresses


def command() -> list[str] | None:
    """Returns how to start a C compiler: $CC, gcc, clang, or ziglang's; None if there is none."""
    if named := shlex.split(os.environ.get("CC", "")):
        return named if shutil.which(named[0]) else None
    for name in _COMPILERS:
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    return None


def name() -> str:
    """Returns what a report calls the compiler, such as "gcc"."""
    found = command() or [""]
    return "ziglang" if "ziglang" in found else Path(found[0]).name


def shared_library(source: Path, folder: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles a source to a shared library in a folder; returns its path.

    Args:
        source: The source.
        folder: An existing folder.
        flags: Further flags.

    Raises:
        RuntimeError: There is no compiler, or it fails.
    """
    compiler, library = command(), folder / "library.so"
    if compiler is None:
        raise RuntimeError(MISSING)
    extra = shlex.split(os.environ.get(FLAGS_VARIABLE, ""))
    options = [*FLAGS, *flags, *extra, "-shared", "-fPIC"]
    arguments = [*compiler, *options, "-o", str(library), str(source)]
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
    )
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="replace").split())[:_SHOWN]
        raise RuntimeError(f"{compiler[0]} fails with status {done.returncode}: {message}")
    return library


def shipped_bytes(library: Path) -> int | None:
    """Returns the bytes of code and constants in a compiled library; None if it is not ELF."""
    content = library.read_bytes()
    if content[:4] != b"\x7fELF" or content[5] != _LITTLE_ENDIAN:
        return None
    pointer, start_at, counts_at, layout = _ELF[content[4]]
    (start,) = struct.unpack_from(pointer, content, start_at)
    step, count, names = struct.unpack_from("<3H", content, counts_at)
    headers = [struct.unpack_from(layout, content, start + step * i) for i in range(count)]
    return sum(
        size
        for name, *_, size in headers
        if content[headers[names][4] + name :].startswith(_SHIPPED)
    )
