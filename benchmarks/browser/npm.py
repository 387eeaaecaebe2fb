"""The packages of npm that run artifacts in a browser: exact versions, fetched on request."""

import base64
import dataclasses
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from mnist_edge.bundle import PROJECT
from mnist_edge.cli import one_line
from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

_SECONDS = 600  # 45 MB, on a slow line


@dataclasses.dataclass(frozen=True)
class Package:
    """A package at one version.

    Attributes:
        name: Its name.
        version: Its version.
        sha512: SHA-512 of its archive, in base64, as npm's `integrity` has it.
        files: The files that a page may ask for.
    """

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def archive(self) -> str:
        """The archive's file name."""
        return f"{self.name.strip('@').replace('/', '-')}-{self.version}.tgz"


# Of each runtime, the entry for the processor alone: those with WebGPU are larger. LiteRT's second
# pair of files is for browsers without relaxed SIMD.
ONNXRUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    (
        "dist/ort.wasm.min.mjs",
        "dist/ort-wasm-simd-threaded.mjs",
        "dist/ort-wasm-simd-threaded.wasm",
    ),
)
LITERT = Package(
    "@litertjs/core",
    "2.5.3",
    "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    (
        "dist/index.js",
        "wasm/litert_wasm_internal.js",
        "wasm/litert_wasm_internal.wasm",
        "wasm/litert_wasm_compat_internal.js",
        "wasm/litert_wasm_compat_internal.wasm",
    ),
)
LITERT_UTILS = Package(
    "@litertjs/wasm-utils",
    "2.5.3",
    "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ("dist/index.js",),
)
PACKAGES = (ONNXRUNTIME, LITERT, LITERT_UTILS)


def cache() -> Path:
    """Returns the folder of archives by default: in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / PROJECT / "npm"


def fetch(folder: Path) -> None:
    """Downloads the archives that a folder lacks. npm runs no script of theirs.

    Raises:
        InputError: npm is missing or fails, or an archive is another than the one that is pinned.
    """
    missing = [one for one in PACKAGES if not (folder / one.archive).is_file()]
    if not missing:
        return
    if not shutil.which("npm"):
        raise InputError(
            "npm must be installed for --fetch. Got: nothing of this name. Run: apt-get install npm"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with scratch.folder() as place:
        names = [f"{one.name}@{one.version}" for one in missing]
        try:
            done = subprocess.run(
                ["npm", "pack", "--silent", "--ignore-scripts", *names],
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"npm must end within {_SECONDS} s. Got: no end. Try again.") from None
        if done.returncode:
            raise InputError(f"npm must fetch {' '.join(names)}. Got: {one_line(done.stderr)}")
        for one in missing:
            _check(one, (place / one.archive).read_bytes())
            shutil.move(place / one.archive, folder / one.archive)


def _check(package: Package, archive: bytes) -> None:
    found = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != package.sha512:
        raise InputError(
            f"the archive of {package} must have the SHA-512 {package.sha512[:12]}…. "
            f"Got: {found[:12]}…. Remove it and use --fetch."
        )


def read(package: Package, folder: Path) -> Mapping[str, bytes] | None:
    """Returns a package's files by name; None if its archive is not there.

    Raises:
        InputError: The archive is another than the one that is pinned.
    """
    path = folder / package.archive
    if not path.is_file():
        return None
    _check(package, path.read_bytes())
    found = {}
    with tarfile.open(path) as archive:
        for name in package.files:
            member = archive.extractfile(f"package/{name}")
            assert member  # the archive's hash says so
            found[name] = member.read()
    return found
