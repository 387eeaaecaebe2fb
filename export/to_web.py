"""Export a classifier of pictures to one web page that needs no server.

    python -m export.to_web artifacts/edge
    python -m export.to_web artifacts/edge --package npm --output edge-model

writes `index.html`: a page to draw digits on, or to drop a picture on, with the bundle's
`tflite-int8` compiled to WebAssembly inside. It makes no request and works from a file. With
--package npm, writes a folder for npm instead: an ES module with `read(pixels)`, and its types.
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import bundle, cli, models
from mnist_edge.errors import InputError
from mnist_edge.safety import supervise


@dataclasses.dataclass(frozen=True)
class WebSettings:
    """Settings of the command."""

    source: Path = cli.setting(bundle.ARTIFACTS / models.DEFAULT, "the bundle")
    output: Path | None = cli.setting(
        None, "the page (default: index.html in the bundle), or the folder of the package"
    )
    package: str | None = cli.setting(
        None, "write the folder --output as a package of this kind", choices=("npm",)
    )


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Writes the page; returns the exit status."""
    settings = cli.parse_settings(WebSettings, __doc__, argv, positional=["source"])
    with cli.needing("export"):
        from .web import npm, page
    if settings.package:
        if not settings.output:
            raise InputError(
                "--package needs --output, the folder to write. Got: no --output. Add it."
            )
        npm.write(settings.source, settings.output)
        print(f"written: {cli.printable(settings.output)}")
        return cli.OK
    path = page.write(settings.source, settings.output)
    print(f"written: {cli.printable(path)}, {path.stat().st_size / 1000:.1f} kB")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
