"""Write a bundle's model as a package of npm: an ES module with its types, and a README."""

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import mnist_edge
from mnist_edge import staging

from ..c import package
from . import page

_FILES = ("index.js", "index.d.ts", "README.md")
_INK = "Ink is bright (255) on dark paper (0), the digit centered, as in MNIST."
_PLAIN = "They are scaled as those that the model was trained on."


def write(bundle: Path, folder: Path) -> None:
    """Writes a package that `npm pack` takes as it is.

    Args:
        bundle: A bundle with `tflite-int8`.
        folder: The package; must not exist, or be empty.

    Raises:
        InputError: The folder holds something, or the bundle is none that a page takes.
    """
    package.require_empty(folder)
    files = assemble(*page.model(bundle, judges=False))
    with staging.staged(folder) as stage:
        for name, text in files.items():
            (stage / name).write_text(text, encoding="utf-8")


def package_name(name: str) -> str:
    """Returns a model's name as npm takes it: lower case, digits and hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"{plain}-model" if plain else "model"


def assemble(described: dict[str, Any], module: bytes) -> dict[str, str]:
    """Returns the files by name. What a bundle says goes into them as JSON only.

    Args:
        described: What is known of the model, from `page.describe`.
        module: The model's WebAssembly.
    """
    name, shape = package_name(described["name"]), described["shape"]
    spec = {key: described[key] for key in ("labels", "shape", "levels", "output")}
    wasm = base64.b64encode(module).decode()
    facts = {
        "name": name,
        "spec": json.dumps(spec).replace("<", "\\u003c"),
        "wasm": wasm,
        "reader": re.sub(r"^export ", "", page.text("model.js"), flags=re.MULTILINE),
        "size": f"{len(wasm) / 1000:.0f}",
        "shape": " x ".join(map(str, shape)),
        "count": str(math.prod(shape)),
        "ink": _INK if described["draws"] else _PLAIN,
        "version": mnist_edge.__version__,
    }
    files = {
        one: re.sub(r"@(\w+)@", lambda found: facts[found[1]], page.text(f"npm/{one}"))
        for one in _FILES
    }
    files["package.json"] = json.dumps(_manifest(name), indent=2) + "\n"
    return files


def _manifest(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0.0",
        "description": "A classifier of pictures in WebAssembly, made by mnist-edge",
        "type": "module",
        "exports": {".": {"types": "./index.d.ts", "default": "./index.js"}},
        "types": "./index.d.ts",
        "files": ["index.js", "index.d.ts"],
        "sideEffects": False,
        "engines": {"node": ">=16.4"},
        "license": "UNLICENSED",  # SPDX has no other word for a license that nobody chose yet
        "private": True,  # so that `npm publish` refuses until the owner has
    }
