"""Check that a bundle's C source is what this project makes of the TFLite file beside it."""

from pathlib import Path

from mnist_edge import bundle, manifest
from mnist_edge.data import npz
from mnist_edge.errors import InputError

from ..tflite import metadata as tflite_metadata
from ..variants import OPTIONAL, VARIANTS
from . import convert, metadata

_MADE, _FROM = OPTIONAL["c-int8"], VARIANTS["tflite-int8"]


def check(source: Path) -> None:
    """Makes a source and the files beside it again, and compares all bytes.

    Args:
        source: The source, in a possibly untrusted bundle.

    Raises:
        InputError: It is another one, or can't be made again.
        Exception: The bundle is damaged; parsers may raise any exception.
    """
    folder = source.parent
    remedy = f"Run: python -m export {folder} --variants {_FROM.name} {_MADE.name}"
    written = manifest.read(folder, remedy)
    entries = {entry.file: entry for entry in (*written.artifacts, written.golden)}
    for name in (_FROM.file, bundle.GOLDEN):
        cause = "is missing"
        if name in entries:
            cause = manifest.damage(folder / name, entries[name]) or ""
        if cause:
            raise InputError(f"{source.name} can't be checked: {name} {cause}. {remedy}")
    names, most = [manifest.GOLDEN_IMAGES], manifest.MOST_GOLDEN_BYTES
    golden = npz.read(folder / bundle.GOLDEN, names, most, remedy)
    path = folder / _FROM.file
    fields = {**tflite_metadata.read(path), "variant": _MADE.name}
    made = convert.of_tflite(path.read_bytes(), fields, golden[manifest.GOLDEN_IMAGES])
    _compare(source, made, remedy)
    for end, content in metadata.companions(made).items():
        beside = source.with_name(f"{_MADE.name}{end}")
        if beside.exists():
            _compare(beside, content, remedy)


def _compare(path: Path, made: bytes, remedy: str) -> None:
    if path.read_bytes() != made:
        raise InputError(
            f"{path.name} must be what this version of mnist-edge makes of {_FROM.file}. "
            f"Got: another text, which is not compiled. {remedy}"
        )
