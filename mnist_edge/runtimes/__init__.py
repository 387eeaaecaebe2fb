"""Open artifacts: one interface, `Predictor`, to Keras, LiteRT, ONNX Runtime and compiled C.

Each runtime is imported only by the function that opens its files, so that a device needs only
the runtime it uses. The same file may run on other kernels than its runtime's own choice:
`KERNELS` lists them.
"""

import dataclasses
import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from mnist_edge import backend
from mnist_edge.cli import in_words
from mnist_edge.errors import InputError, did_you_mean

from . import c_compiler, compiled_c, keras_model, litert, onnx_runtime, tflm
from .predictor import Predictor, Tensor


class RuntimeMissing(Exception):
    """The package that runs an artifact is not installed."""


def is_artifact(path: Path | str) -> bool:
    """Whether a path has a suffix that a runtime opens."""
    return Path(path).suffix in _RUNTIMES


def is_installed(path: Path | str, kernels: str = "") -> bool:
    """Whether what runs a file of this suffix can be found, without importing it."""
    if Path(path).suffix == ".c":
        return c_compiler.command() is not None
    package, _, _ = _runtime(path, kernels).module.partition(".")
    needed = {package}
    if package == "keras" and backend.chosen() in backend.NAMES:  # Keras reports others
        needed.add(backend.chosen())
    return all(map(importlib.util.find_spec, needed))


def require(path: Path | str, kernels: str = "") -> None:
    """Raises `RuntimeMissing` if a package that runs a file of this suffix is missing."""
    if not is_installed(path, kernels):
        raise RuntimeMissing(missing(path, kernels))


def missing(path: Path | str, kernels: str = "") -> str:
    """Returns what to say if what runs a file of this suffix is not installed."""
    if Path(path).suffix == ".c":
        return c_compiler.MISSING
    return f"{_runtime(path, kernels).package} is not installed"


def import_runtime(path: Path | str, threads: int, kernels: str = "") -> None:
    """Imports the runtime for a file's suffix, so that timing `open_artifact` excludes it.

    Args:
        path: A `.keras`, `.tflite`, `.onnx` or `.c` file.
        threads: Number of threads per call; TensorFlow must know it before it is imported.
        kernels: A kernel set, one of `KERNELS`; "" for the runtime's own choice.

    Raises:
        RuntimeMissing: The runtime is not installed.
        RuntimeError: It is installed and can't be imported.
    """
    require(path, kernels)
    runtime = _runtime(path, kernels)
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    try:
        importlib.import_module(runtime.module)
    except Exception as error:  # e.g. a missing library, too little memory
        cause = f"{runtime.package} is installed and can't be imported: {in_words(error)}"
        raise RuntimeError(cause) from error


def open_artifact(path: Path | str, threads: int = 1, kernels: str = "") -> Predictor:
    """Opens an artifact in the runtime for its suffix.

    Args:
        path: A `.keras`, `.tflite`, `.onnx` or `.c` file.
        threads: Number of threads per call.
        kernels: A kernel set, one of `KERNELS`; "" for the runtime's own choice.

    Raises:
        InputError: There is no such file, it has another suffix, or the kernel set does not run it.
        RuntimeMissing: The runtime is not installed.
        Exception: Whatever the runtime raises if it can't open the file.
    """
    if not is_artifact(path) or not Path(path).is_file():
        got = "nothing of this name" if not Path(path).exists() else "something else"
        raise InputError(
            f"{path} must be a .keras, .tflite, .onnx or .c file. Got: {got}. Give an artifact "
            "of a bundle."
        )
    import_runtime(path, threads, kernels)
    return _runtime(path, kernels).open(str(path), threads)


def _runtime(path: Path | str, kernels: str) -> "_Runtime":
    suffix = Path(path).suffix
    if not kernels:
        return _RUNTIMES[suffix]
    known = {name: one for name, one in KERNELS.items() if one.suffix == suffix}
    if kernels not in known:
        names = " or ".join(known) or "none"
        raise InputError(
            f"the kernels of a {suffix} file must be {names}. Got: {kernels}. "
            f"{did_you_mean(kernels, known)}".rstrip()
        )
    return known[kernels]


@dataclasses.dataclass(frozen=True)
class _Runtime:
    """A runtime: the module to import, the package to install, and the function to open a file."""

    module: str
    package: str
    open: Callable[[str, int], Predictor]


_C = ("mnist_edge.runtimes.c_compiler", "a C compiler")
_LITERT = ("ai_edge_litert.interpreter", "ai-edge-litert")
_RUNTIMES = {
    ".keras": _Runtime("keras", "keras with a backend", keras_model.open_artifact),
    ".tflite": _Runtime(*_LITERT, litert.open_artifact),
    ".onnx": _Runtime("onnxruntime", "onnxruntime", onnx_runtime.open_artifact),
    ".c": _Runtime(*_C, compiled_c.open_artifact),
}


@dataclasses.dataclass(frozen=True)
class KernelSet(_Runtime):
    """Other kernels than those that a runtime chooses by itself.

    Attributes:
        suffix: Suffix of the files that it runs.
        label: What rows of it are called, in parentheses after the artifact's name.
        is_partial: Whether it is known to refuse files that the runtime's own choice runs.
    """

    suffix: str
    label: str
    is_partial: bool = False


def _litert(resolver: str, label: str) -> KernelSet:
    opener = functools.partial(litert.open_artifact, resolver=resolver, kernels=f", {label}")
    return KernelSet(*_LITERT, opener, ".tflite", label)


def _c(label: str, *flags: str) -> KernelSet:
    opener = functools.partial(compiled_c.open_artifact, flags=flags, kernels=f", {label}")
    return KernelSet(*_C, opener, ".c", label)


_UNOPTIMIZED = "no graph optimizations"
KERNELS = {
    "no-delegate": _litert("BUILTIN_WITHOUT_DEFAULT_DELEGATES", "no delegate"),
    "reference": _litert("BUILTIN_REF", "reference kernels"),
    "tflm": KernelSet(
        "tflite_micro",
        "tflite-micro",
        tflm.open_artifact,
        ".tflite",
        "TFLite Micro",
        is_partial=True,
    ),
    "unoptimized": KernelSet(
        "onnxruntime",
        "onnxruntime",
        functools.partial(
            onnx_runtime.open_artifact, level="ORT_DISABLE_ALL", kernels=f", {_UNOPTIMIZED}"
        ),
        ".onnx",
        _UNOPTIMIZED,
    ),
    "portable": _c("portable kernels", "-DMNIST_EDGE_PORTABLE"),
    "avx2": _c("AVX2 kernels", "-march=haswell"),  # the last -march counts
}
# What `benchmarks.browser` runs: no kernel sets of this process, and named as they are.
BROWSER = {"browser": "browser", "browser-no-simd": "browser, no SIMD"}


def row_name(artifact: str, kernels: str | None) -> str:
    """Returns the name of an artifact run on a kernel set, if any, or in a browser, in tables."""
    if not kernels:
        return artifact
    return f"{artifact} ({BROWSER.get(kernels) or KERNELS[kernels].label})"
