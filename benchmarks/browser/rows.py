"""The rows: artifacts of a bundle, each in a runtime of the browser, and the files it fetches."""

import base64
import dataclasses
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import bundle
from mnist_edge.errors import InputError
from mnist_edge.manifest import ArtifactEntry
from mnist_edge.runtimes import BROWSER, Tensor, compiled_c, wasm
from mnist_edge.runtimes.predictor import dequantizer, quantizer
from mnist_edge.safety import files

from ..bundles import Artifact, Bundle
from . import npm
from .npm import Package

PLAIN, NO_SIMD = BROWSER
# Variant, and where it runs.
_ROWS = (
    ("c-int8", PLAIN),
    ("c-int8", NO_SIMD),
    ("tflite-int8", PLAIN),
    ("tflite-float32", PLAIN),
    ("onnx-int8", PLAIN),
    ("onnx-float32", PLAIN),
)
_OWN = ("page.html", "page.mjs")
_DTYPES = {"uint8", "int8", "float32"}  # as page.mjs has them
_REMEDY = "Run: python -m export --variants c-int8 tflite-int8"


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A runtime.

    Attributes:
        name: Its name in `page.mjs`.
        packages: Its packages; the first gives its name and version.
    """

    name: str
    packages: tuple[Package, ...] = ()

    def __str__(self) -> str:
        return str(self.packages[0]) if self.packages else "WebAssembly"


RUNTIMES = {
    "c": Runtime("wasm"),
    "tflite": Runtime("litert", (npm.LITERT, npm.LITERT_UTILS)),
    "onnx": Runtime("onnxruntime", (npm.ONNXRUNTIME,)),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """An artifact in a runtime.

    Attributes:
        artifact: The artifact; its `kernels` name the browser.
        given: Its input, with a batch of one.
        output: Its output.
        prefix: What the functions of a C file start with.
    """

    artifact: Artifact
    given: Tensor
    output: Tensor
    prefix: str = ""

    @property
    def runtime(self) -> Runtime:
        """What runs it."""
        return RUNTIMES[self.artifact.format]

    @property
    def url(self) -> str:
        """The path of what the runtime opens."""
        simd = "" if self.artifact.kernels == PLAIN else "-no-simd"
        end = ".mjs" if self.artifact.format == "c" else self.artifact.path.suffix
        return f"models/{self.artifact.path.stem}{simd}{end}"

    @property
    def inputs(self) -> str:
        """The path of the test images as it takes them."""
        return f"inputs/{self.given.dtype}-{self.given.scale}-{self.given.zero_point}"

    def described(self) -> dict[str, Any]:
        """Returns what the page is told of it."""
        return {
            "name": self.artifact.name,
            "runtime": self.runtime.name,
            "url": f"/{self.url}",
            "inputs": f"/{self.inputs}",
            "input": _described(self.given),
            "output": _described(self.output),
        }

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Returns images as it takes them, in the type of its input."""
        values = images.astype(np.float32, copy=False)
        return quantizer(self.given)(values).astype(self.given.dtype, copy=False)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Returns float32 `[n, width]` of `[n, width]` in the type of its output."""
        return dequantizer(self.output)(outputs.astype(self.output.dtype))


def _described(tensor: Tensor) -> dict[str, Any]:
    shape = [int(size or 1) for size in tensor.shape]
    return {"dtype": tensor.dtype, "shape": shape, "size": math.prod(shape)}


def of_bundle(loaded: Bundle) -> list[Row]:
    """Returns the rows of a bundle.

    Raises:
        InputError: It has no C file, or models of several inputs or outputs.
    """
    by_variant = {one.variant: one for one in loaded.artifacts}
    size = math.prod(loaded.manifest.model.input_shape)
    found = [
        _row(dataclasses.replace(by_variant[variant], kernels=where), size)
        for variant, where in _ROWS
        if variant in by_variant
    ]
    if not any(one.artifact.format == "c" for one in found):
        raise InputError(f"{loaded.folder} must hold c-int8 and does not. {_REMEDY}")
    return found


def _row(artifact: Artifact, size: int) -> Row:
    """Returns a row of an artifact that takes `size` values."""
    entry, prefix = artifact.record, ""
    assert isinstance(entry, ArtifactEntry)
    inputs, outputs = entry.inputs, entry.outputs
    if artifact.format == "c" and not artifact.damage():
        about = compiled_c.read(artifact.path, _REMEDY)
        inputs, outputs, prefix = (about.input,), (about.output,), about.prefix
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{artifact.path} must have one input and one output. Got: {len(inputs)} and "
            f"{len(outputs)}. This benchmark knows no other models."
        )
    given, output = (
        dataclasses.replace(one[0], shape=(1, *one[0].shape[1:])) for one in (inputs, outputs)
    )
    if {given.dtype, output.dtype} - _DTYPES or _described(given)["size"] != size:
        raise InputError(
            f"{artifact.path} must take {size} values of {', '.join(sorted(_DTYPES))}. Got: "
            f"{given.dtype} {list(given.shape)}, {output.dtype}. {_REMEDY}"
        )
    return Row(artifact, given, output, prefix)


def served(row: Row) -> bytes:
    """Returns what a row's runtime opens: the artifact, or a module with the C's WebAssembly.

    Raises:
        InputError: The C can't be compiled.
    """
    path = row.artifact.path
    with files.open_regular(path, bundle.MOST_FILE_BYTES) as file:
        content = file.read()
    if row.artifact.format != "c":
        return content
    made = wasm.compile_c(content.decode(), row.prefix, row.artifact.kernels == PLAIN)
    return _own("model.mjs").replace(b"@wasm@", base64.b64encode(made))


def page_files() -> dict[str, bytes]:
    """Returns the page and its scripts by path."""
    return {name: _own(name) for name in _OWN}


def _own(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


def package_files(cache: Path) -> tuple[dict[str, bytes], frozenset[str]]:
    """Returns the files of the packages in a cache by path, and the names of missing packages."""
    found: dict[str, bytes] = {}
    missing = set()
    for package in npm.PACKAGES:
        content: Mapping[str, bytes] | None = npm.read(package, cache)
        if content is None:
            missing.add(package.name)
        for name, data in (content or {}).items():
            found[f"{package.name}/{name}"] = data
    return found, frozenset(missing)


def is_counted(path: str) -> bool:
    """Whether a file is part of what a user's page would fetch to run an artifact."""
    return not (path in _OWN or path.startswith("inputs/"))
