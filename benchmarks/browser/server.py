"""A server on the loopback address that counts what a page fetches."""

import contextlib
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import PurePosixPath

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # An isolated page may read the clock in steps of 5 µs; others, of 100 µs.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "max-age=3600",  # a second visit finds the files in the browser's cache
}


class Server:
    """Serves named files, uncompressed, to one browser.

    Attributes:
        files: The files by path, without the first slash.
        address: Where they are, such as "http://127.0.0.1:40000/".
        fetched: Paths of the files that were asked for, in order, since it was last cleared.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.fetched = files, list[str]()
        self.address = ""
        self._gzipped: dict[str, int] = {}

    def gzip_bytes(self, path: str) -> int:
        """Returns a file's size under the compression that most hosts use."""
        if path not in self._gzipped:
            self._gzipped[path] = len(gzip.compress(self.files[path], 6))
        return self._gzipped[path]


@contextlib.contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    """Serves files as long as the block runs."""
    server = Server(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two packets: else the second waits 40 ms for the first's receipt.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.removeprefix("/").partition("?")[0]
            content = files.get(path)
            self.send_response(404 if content is None else 200)
            kind = _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")
            for name, value in {**_HEADERS, "Content-Type": kind}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if content is not None:
                server.fetched.append(path)
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keeps the terminal free."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.address = f"http://127.0.0.1:{listening.server_port}/"
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
