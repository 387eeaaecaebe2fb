"""Export a Keras classifier to C: one source that needs no runtime, a header and an example.

    python -m export.to_c artifacts/edge
    python -m export.to_c artifacts/edge --package arduino --output edge

writes `c-int8.c`, `c-int8.h` and `c-int8.main.c`, as `python -m export --variants c-int8` does.
With --package, writes them as a folder that builds as it is: an Arduino library, a CMake project or
a component of ESP-IDF; exports them first if the bundle has none of its model.
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import bundle, cli, manifest
from mnist_edge.errors import InputError
from mnist_edge.safety import supervise

from .__main__ import run
from .c import package
from .settings import ExportSettings

_VARIANT = "c-int8"


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Exports the bundle's C variant, or writes it as a package; returns the exit status."""
    parser = cli.settings_parser(
        ExportSettings, __doc__, positional=["source"], without=["variants", "skip"]
    )
    parser.add_argument(
        "--package",
        choices=package.KINDS,
        help="write the folder --output as a package of this kind; BUNDLE must be a bundle",
    )
    values = vars(parser.parse_args(argv))
    kind = values.pop("package")
    settings = ExportSettings(variants=(_VARIANT,), **values)
    if not kind:
        return run(settings)
    if settings.is_foreign or not settings.output:
        raise InputError(
            "--package needs a bundle and --output, the folder to write. Got: "
            f"{'a .keras file' if settings.is_foreign else 'no --output'}."
        )
    return _package(settings, kind, settings.output)


def _package(settings: ExportSettings, kind: str, folder: Path) -> int:
    path = _exported(settings.source)
    if not path:
        if status := run(dataclasses.replace(settings, output=None)):
            return status
        path = _exported(settings.source)
    if not path:
        raise InputError(f"{settings.source} must hold {_VARIANT}. Got: nothing of this name.")
    package.write(path, kind, folder)
    print(f"written: {cli.printable(folder)}")
    return cli.OK


def _exported(folder: Path) -> Path | None:
    """Returns the C file of a bundle; None if it has none, or one of another model."""
    if not (folder / bundle.MANIFEST).is_file():
        return None
    sha256 = bundle.sha256_file(folder / bundle.MODEL)
    for entry in manifest.read(folder, f"Run: python -m export {folder}").artifacts:
        path = folder / entry.file
        if entry.variant == _VARIANT and entry.source_model_sha256 == sha256:
            return None if manifest.damage(path, entry) else path
    return None


if __name__ == "__main__":
    sys.exit(supervise.run(main))
