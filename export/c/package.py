"""Write a model in C as a package: an Arduino library, a CMake project, an ESP-IDF component."""

import string
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import mnist_edge
from mnist_edge import artifact_metadata, bundle, schema, staging
from mnist_edge.errors import InputError
from mnist_edge.runtimes import compiled_c
from mnist_edge.safety import files

from . import metadata
from .source import C_TYPES

# Kind of package -> where the model's files go, and which: ends of their names.
_MODEL = {
    "arduino": ("src", (".c", ".h")),
    "cmake": ("", (".c", ".h", ".main.c")),
    "esp-idf": ("", (".c", ".h")),
}
KINDS = tuple(_MODEL)


class _Template(string.Template):
    """Text with @name in it; CMake's own variables start with a dollar."""

    delimiter = "@"


def write(path: Path, kind: str, folder: Path) -> None:
    """Writes a package that builds as it is, with an example.

    Args:
        path: A C file that `python -m export` wrote.
        kind: One of `KINDS`.
        folder: The package; must not exist, or be empty.

    Raises:
        InputError: The folder holds something, or the file is no such C file.
    """
    require_empty(folder)
    model, facts = _read(path)
    place, ends = _MODEL[kind]
    with staging.staged(folder) as stage:
        _fill(resources.files(__package__) / "templates" / kind, stage, facts)
        (stage / place).mkdir(exist_ok=True)
        for end in ends:
            (stage / place / f"{facts['name']}{end}").write_bytes(model[end])


def require_empty(folder: Path) -> None:
    """Raises `InputError` if a folder to write holds something, or is no folder."""
    if files.kind(folder) != "nothing" and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"{folder} must be a new or an empty folder. Got: something is there. "
            "Give another by --output."
        )


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Returns the model's files by the end of their names, and what the templates say of it."""
    try:
        about = schema.decode(compiled_c.CSource, artifact_metadata.read_c(path).get("c"), "c")
        with files.open_regular(path, bundle.MOST_FILE_BYTES) as file:
            content = file.read()
        model = {".c": content, **metadata.companions(content)}
        kind = C_TYPES[about.input.dtype]
    except InputError:
        raise
    except Exception as error:  # whatever a damaged comment or interface leads to
        raise InputError(
            f"{path} must be a C file of export. Got: {error!r}. Run: python -m export.to_c BUNDLE"
        ) from error
    model[".main.c"] = model[".main.c"].replace(path.stem.encode(), about.prefix.encode())
    return model, {
        "name": about.prefix,
        "macro": about.prefix.upper(),
        "input_type": kind,
        "scratch_bytes": str(about.scratch_bytes),
        "version": mnist_edge.__version__,
    }


def _fill(templates: Traversable, folder: Path, facts: dict[str, str]) -> None:
    """Writes a folder of templates, with the facts in their places."""
    folder.mkdir(exist_ok=True)
    for one in templates.iterdir():
        if one.is_dir():
            _fill(one, folder / one.name, facts)
        else:
            (folder / one.name).write_text(_Template(one.read_text()).substitute(facts))
