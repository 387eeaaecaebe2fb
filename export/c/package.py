"""Write a model in C as a package: an Arduino library, a CMake project, an ESP-IDF component."""

import re
import string
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import mnist_edge
from mnist_edge import staging
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Kind of package -> its folder for the model's files, in the package.
_SOURCES = {"arduino": "src", "cmake": "", "esp-idf": ""}
KINDS = tuple(_SOURCES)
# 1,000,000 weights take 4 MB as text.
_MOST_BYTES = 2**27
# An Arduino library's name starts with a letter and has at most 63 characters.
_PROTOTYPE = re.compile(
    r"^void ([A-Za-z]\w{0,62})_predict\(const (\w+) \*", re.MULTILINE | re.ASCII
)
_SCRATCH = re.compile(r"^#define (\w+)_SCRATCH_BYTES (\d+)\b", re.MULTILINE | re.ASCII)


class _Template(string.Template):
    """Text with @name in it; CMake's own variables start with a dollar."""

    delimiter = "@"


def write(source: Path, kind: str, folder: Path) -> None:
    """Writes a package that builds as it is.

    Args:
        source: The model's C file; its header lies beside it.
        kind: One of `KINDS`.
        folder: The new package; must not exist or be empty.

    Raises:
        InputError: The folder holds something, or the files are no model in C.
    """
    if files.kind(folder) not in ("nothing", "a folder") or (
        folder.is_dir() and any(folder.iterdir())
    ):
        raise InputError(
            f"{folder} must be a new or an empty folder. Got: something in it. "
            "Give another by --output."
        )
    code, header = (_text(source.with_suffix(suffix)) for suffix in (".c", ".h"))
    prototype, scratch = _PROTOTYPE.search(header), _SCRATCH.search(header)
    if not prototype or not scratch:
        raise InputError(
            f"{source.with_suffix('.h')} must declare the model's functions. Got: another header. "
            "Export the bundle again."
        )
    facts = {
        "name": prototype[1],
        "macro": scratch[1],
        "input_type": prototype[2],
        "scratch_bytes": scratch[2],
        "version": mnist_edge.__version__,
    }
    templates = resources.files(__package__).joinpath("templates", kind)
    with staging.staged(folder) as stage:
        _fill(templates, stage, facts)
        place = stage / _SOURCES[kind]
        place.mkdir(exist_ok=True)
        (place / f"{facts['name']}.c").write_text(code)
        (place / f"{facts['name']}.h").write_text(header)


def _text(path: Path) -> str:
    with files.open_regular(path, _MOST_BYTES) as file:
        return file.read().decode()


def _fill(templates: Traversable, folder: Path, facts: dict[str, str]) -> None:
    """Writes a folder of templates, with the facts in their places."""
    folder.mkdir(exist_ok=True)
    for one in templates.iterdir():
        if one.is_dir():
            _fill(one, folder / one.name, facts)
        else:
            (folder / one.name).write_text(_Template(one.read_text()).substitute(facts))
