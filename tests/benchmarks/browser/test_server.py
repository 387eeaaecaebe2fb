"""The server counts what is fetched and isolates its pages; npm's archives are those pinned."""

import base64
import hashlib
import io
import tarfile
import urllib.error
import urllib.request

import pytest

from benchmarks.browser import npm, rows, server
from mnist_edge.errors import InputError


def test_files_are_counted_and_others_not_found():
    files = {"models/b.mjs": b"1", "models/a.wasm": b"\0asm", "inputs/x": b"image"}
    with server.serving(files) as serving:
        with urllib.request.urlopen(f"{serving.address}models/a.wasm") as answer:
            assert answer.read() == b"\0asm"
            assert answer.headers["Content-Type"] == "application/wasm"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        for path in ("models/b.mjs", "inputs/x"):
            urllib.request.urlopen(f"{serving.address}{path}").close()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{serving.address}../etc/passwd")
        assert serving.fetched == ["models/a.wasm", "models/b.mjs", "inputs/x"]
        assert serving.address.startswith("http://127.0.0.1:")
    counted = ["models/a.wasm", "models/b.mjs", "onnxruntime-web/dist/ort.wasm.min.mjs"]
    assert [path for path in [*counted, "inputs/x", "page.mjs"] if rows.is_counted(path)] == counted


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of one file, pinned, and its archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/a.js")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"code"))
    content = buffer.getvalue()
    sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
    pinned = npm.Package("@scope/one", "1.2.3", sha512, ("a.js",))
    monkeypatch.setattr(npm, "PACKAGES", (pinned,))
    return pinned, content


def npm_that_packs(tmp_path, monkeypatch, content):
    """An npm that writes an archive, and fails unless it is told to run no scripts."""
    (tmp_path / "archive").write_bytes(content)
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$*" = "pack --silent --ignore-scripts @scope/one@1.2.3" ] || exit 1\n'
        f"cp {tmp_path}/archive scope-one-1.2.3.tgz\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_a_package_is_fetched_once_and_read(package, tmp_path, monkeypatch):
    pinned, content = package
    cache = tmp_path / "cache"
    assert npm.read(pinned, cache) is None
    assert rows.package_files(cache) == ({}, frozenset({"@scope/one"}))
    npm_that_packs(tmp_path, monkeypatch, content)
    npm.fetch(cache)
    monkeypatch.setenv("PATH", "/nowhere")
    npm.fetch(cache)  # is there
    assert rows.package_files(cache) == ({"@scope/one/a.js": b"code"}, frozenset())


def test_another_archive_than_the_pinned_one_is_refused(package, tmp_path, monkeypatch):
    pinned, content = package
    npm_that_packs(tmp_path, monkeypatch, content + b"more")
    with pytest.raises(InputError, match=r"archive of @scope/one 1\.2\.3 must have the SHA-512"):
        npm.fetch(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    (tmp_path / "cache" / pinned.archive).write_bytes(content[:-1])
    with pytest.raises(InputError, match="must have the SHA-512"):
        npm.read(pinned, tmp_path / "cache")


def test_without_npm_fetch_is_one_line(package, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="npm must be installed for --fetch"):
        npm.fetch(tmp_path)
