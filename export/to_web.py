"""Export a classifier of pictures to one web page that needs no server.

    python -m export.to_web artifacts/edge

writes `index.html`: a page to draw digits on, or to drop a picture on, with the bundle's
`tflite-int8` compiled to WebAssembly inside. It makes no request and works from a file.
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import bundle, cli, models
from mnist_edge.safety import supervise


@dataclasses.dataclass(frozen=True)
class WebSettings:
    """Settings of the command."""

    source: Path = cli.setting(bundle.ARTIFACTS / models.DEFAULT, "the bundle")
    output: Path | None = cli.setting(None, "the page (default: index.html in the bundle)")


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Writes the page; returns the exit status."""
    settings = cli.parse_settings(WebSettings, __doc__, argv, positional=["source"])
    with cli.needing("export"):
        from .web import page
    path = page.write(settings.source, settings.output)
    print(f"written: {cli.printable(path)}, {path.stat().st_size / 1000:.1f} kB")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
