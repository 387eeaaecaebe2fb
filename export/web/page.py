"""Write a bundle's model as one page: markup, styles, script and WebAssembly in `index.html`.

page.write("artifacts/edge")  # artifacts/edge/index.html
"""

import base64
import dataclasses
import hashlib
import html
import json
import re
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge import data, drawing, examples, heads, manifest, staging
from mnist_edge.errors import InputError
from mnist_edge.images.likeness import MIN_CONFIDENCE, PARTS
from mnist_edge.manifest import Manifest
from mnist_edge.runtimes import wasm

from ..c import convert, likeness, source
from ..c.graph import Tensor
from ..c.steps import Program

FILE = "index.html"
VARIANT = "tflite-int8"
_PREFIX = "model"
_MODULES = ("pixels.js", "model.js")
# In scripts: strings and templates; spaces and line breaks that mean nothing beside a mark.
_STRING = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)""")
_AROUND = re.compile(r" *([=,;{}()?:*<>&|]) *")
_BREAK = re.compile(r"\n(?=[)}\].?:])|(?<=[,;{(\[])\n")
_EXPORT = "Run: python -m export --variants tflite-int8"


@dataclasses.dataclass(frozen=True)
class Page:
    """A page, and the module inside it.

    Attributes:
        content: The file.
        module: Its WebAssembly, uncompressed.
    """

    content: bytes
    module: bytes


def write(folder: Path | str, output: Path | str | None = None) -> Path:
    """Writes the page of a bundle's model.

        write("artifacts/edge")

    Args:
        folder: A bundle with `tflite-int8`.
        output: The file to write; by default `index.html` in the bundle.

    Returns:
        The file's path.

    Raises:
        InputError: The bundle has no such file, its model takes no pictures or gives no classes,
            or C can't hold one of its operators.
    """
    path = Path(output) if output else Path(folder) / FILE
    if path.is_dir():
        path /= FILE
    staging.write_file(path, make(Path(folder)).content)
    return path


def make(folder: Path) -> Page:
    """Makes the page of a bundle's model.

    Raises:
        InputError: As for `write`.
    """
    return assemble(*model(folder))


def model(folder: Path, judges: bool = True) -> tuple[dict[str, Any], bytes]:
    """Returns what a page is told of a bundle's model, and the model's WebAssembly.

    Args:
        folder: The bundle.
        judges: Whether a model of MNIST also says how much its input looks like a digit.

    Raises:
        InputError: As for `write`.
    """
    record = manifest.read(folder, f"{_EXPORT} {folder}")
    return compiled(record, _artifact(folder, record), str(folder), judges)


def compiled(
    record: Manifest, content: bytes, where: str, judges: bool = True
) -> tuple[dict[str, Any], bytes]:
    """Returns what `model` does, of the bytes of a TFLite file.

    Args:
        record: The bundle's manifest.
        content: The bundle's `tflite-int8`.
        where: The bundle's name in error messages.
        judges: As for `model`.

    Raises:
        InputError: As for `write`.
    """
    program = convert.program(content)
    described = describe(record, program, where)
    asked = f"#define {_PREFIX.upper()}_{likeness.MACRO}" if judges and described["least"] else ""
    text = source.write(program, _PREFIX, asked, reads_digits=bool(asked))
    return described, wasm.compile_c(text, _PREFIX)


def _artifact(folder: Path, record: Manifest) -> bytes:
    entry = next((entry for entry in record.artifacts if entry.variant == VARIANT), None)
    if entry is None:
        raise InputError(f"{folder} must have {VARIANT} and has not. {_EXPORT} {folder}")
    path = folder / entry.file
    fault = manifest.damage(path, entry)
    if fault:
        raise InputError(f"{path} {fault}. {_EXPORT} {folder}")
    return path.read_bytes()


def describe(record: Manifest, program: Program, where: str) -> dict[str, Any]:
    """Returns what the page is told of its model.

    Args:
        record: The bundle's manifest.
        program: What its C computes.
        where: The bundle's name in error messages.

    Raises:
        InputError: The model takes no pictures, or gives no exclusive classes.
    """
    ends = record.heads
    if len(ends) != 1 or ends[0].kind not in (heads.CLASSES, heads.BINARY):
        raise InputError(
            f"{where} must give exclusive classes to be a page. Got: "
            f"{', '.join(head.kind for head in ends)}. Use the TFLite file."
        )
    shape, labels = record.model.input_shape, ends[0].labels
    draws = examples.finds_digits(shape, labels, False)
    pixels = examples.pixel_range(record.model.input_range)
    given, output = program.input_tensor, program.output_tensor
    if not (draws or drawing.is_picture(shape)) or not pixels or not given.is_byte:
        raise InputError(
            f"{where} must take pictures of 8 bits to be a page. Got: {list(shape)}, "
            f"{given.dtype}. Use the TFLite file."
        )
    if not output.is_byte:
        raise InputError(
            f"{where} must give bytes to be a page. Got: {output.dtype}. {_EXPORT} {where}"
        )
    kind = "digits" if all(label.isdecimal() for label in labels) else "letters"
    is_mnist = record.data.source == data.MNIST and likeness.fits(given, labels)
    return {
        "name": record.model.name,
        "reads": kind if draws else "pictures",
        "what": f"a {kind[:-1]}",
        "draws": draws,
        "shape": [28, 28, 1] if draws else [*shape, 1][:3],
        "labels": list(labels),
        "levels": _levels(given, pixels),
        "least": MIN_CONFIDENCE * PARTS if is_mnist else 0,
        "output": {
            "kind": output.dtype,
            "count": output.size,
            "scale": float(output.scale),
            "zero": output.zero_point,
        },
    }


def _levels(given: Tensor, pixels: tuple[float, float]) -> list[int] | None:
    """Returns the input's byte for each gray level; None if the bytes are the levels."""
    low, high = pixels
    values = low + np.arange(256, dtype=np.float32) * ((high - low) / 255)
    steps = np.round(values / float(given.scale)) + given.zero_point  # as runtimes.py has it
    ends = np.iinfo(given.dtype)
    levels = steps.clip(ends.min, ends.max).astype(int).astype(np.uint8).tolist()
    return None if levels == list(range(256)) else levels


def assemble(described: dict[str, Any], module: bytes) -> Page:
    """Returns the page.

    Args:
        described: What it is told of its model, from `describe`.
        module: The model's WebAssembly.
    """
    style = minified(text("style.css"), is_script=False)
    loader = minified(text("loader.js"))
    code = "{" + minified("".join(map(_scoped, map(text, _MODULES))) + text("page.js")) + "}"
    policy = (
        f"default-src 'none'; script-src {_hash(loader)} {_hash(code)} 'wasm-unsafe-eval'; "
        f"style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    model = json.dumps(described | {"bytes": len(module)}, ensure_ascii=False)
    parts = {
        "policy": policy,
        "title": html.escape(f"{described['name']} reads {described['reads']}"),
        "style": style,
        "model": model.replace("<", "\\u003c"),
        "wasm": _packed(module),
        "code": _packed(code.encode()),
        "loader": loader,
    }
    markup = re.sub(r"@(\w+)@", lambda found: parts[found[1]], text("page.html"))
    return Page(markup.encode(), module)


def text(name: str) -> str:
    """Returns one of this folder's files."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _scoped(module: str) -> str:
    """Returns a JavaScript module as a statement that declares only what the module exports."""
    names = ", ".join(re.findall(r"^export function (\w+)", module, re.MULTILINE))
    body = re.sub(r"^export ", "", module, flags=re.MULTILINE)
    return f"const {{{names}}} = (() => {{\n{body}\nreturn {{{names}}};\n}})();\n"


def minified(text: str, is_script: bool = True) -> str:
    """Returns a script or styles without comments, indentation and most spaces.

    Args:
        text: A script's templates must hold no templates.
        is_script: Whether it is one.
    """
    if is_script:
        text = re.sub(r"(^|\s)//[^\n]*", "", text)
        text = "\n".join(filter(None, (line.strip() for line in text.split("\n"))))
        parts = _STRING.split(text)
        parts[::2] = (_AROUND.sub(r"\1", _BREAK.sub("", part)) for part in parts[::2])
        return "".join(parts)
    text = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    return re.sub(r"\s*([{};,])\s*", r"\1", re.sub(r": ", ":", text)).replace(";}", "}").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _packed(content: bytes) -> str:
    """Compresses to what the page unpacks: raw deflate, in base64."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode()
