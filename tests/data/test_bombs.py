"""Files of megabytes that ask for gigabytes are refused by a process that stays small."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
GIGABYTES = 5
MOST_MB = 100  # of the process: Python with NumPy has about 30, Pillow and buffers the rest
# `getrusage` would give the parent's peak where that is larger.
PROGRAM = """
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
from mnist_edge import data, images
from mnist_edge.errors import InputError
said = {}
for path in sys.argv[1:]:
    try:
        images.load([path]) if path.endswith("png") else data.load(path)
        said[path] = "loaded"
    except InputError as error:
        said[path] = str(error)
    peak_mb = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
    said[path] += f" | {peak_mb:.0f} MB"
print(json.dumps([said, peak_mb]))
"""


def packed_blanks(start, blank):
    """A `.gz` of 5 GB in 5 MB: members of 10 MB each, one behind the other."""
    return gzip.compress(start) + gzip.compress(blank * (10 * 2**20)) * (GIGABYTES * 100)


def npy_of(size):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def real_npz(path, gigabytes):
    """An `.npz` that really unpacks to so much."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(npy_of(gigabytes * 10**9 // 4))
                for _ in range(gigabytes * 10**9 // 4 // 10**7):
                    member.write(bytes(10**7))


def write_all(folder):
    """Writes the files; returns what must be said of each, by its path."""
    folder.mkdir(exist_ok=True)
    said = {}

    def add(name, content, message):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        said[str((folder / name) if "idx" not in name else (folder / name).parent)] = message

    add("line.csv.gz", packed_blanks(b"label,1x1\n0,", b"0"), "line 2 must have at most 1,048,576")
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    bomb = packed_blanks(struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 2, 2), b"\0")
    claim = gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, 60_000, 300, 300) + bytes(10**7))
    for name in names:
        add(
            f"bomb/{name}-ubyte.gz",
            bomb,
            "must hold 8 bytes after its header, [2, 2, 2]. Got: more",
        )
        add(f"claim/{name}-ubyte.gz", claim, "must hold [60000, 300, 300] bytes after its header")
    archive = io.BytesIO()
    np.savez(archive, y_train=0, x_test=0, y_test=0)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("x_train.npy", npy_of(2**42) + bytes(10**7))
    add("header.npz", archive.getvalue(), "x_train must be [4398046511104] of uint8")
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    add("400 megapixels.png", png + bytes(4) + b"IDAT", "must have at most 89 million pixels")
    return said


def refusals(said):
    """What loading each file is refused with, and the process's most memory, in MB."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *said],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found, peak_mb = json.loads(ran.stdout)
    return found, peak_mb


def test_what_asks_for_gigabytes_is_refused_within_megabytes(tmp_path):
    said = write_all(tmp_path)
    found, peak_mb = refusals(said)
    assert {path: said[path] in found[path] for path in said} == dict.fromkeys(said, True)
    assert peak_mb < MOST_MB


@pytest.mark.long
@pytest.mark.parametrize("gigabytes", [5, 3])  # 3 are less than the limit, and are used as 15
def test_an_archive_that_really_unpacks_to_gigabytes_is_refused_within_megabytes(
    tmp_path, gigabytes
):
    path = tmp_path / "real.npz"
    real_npz(path, gigabytes)
    assert path.stat().st_size < 60e6
    message = (
        f"must take at most 4,294,967,296 bytes, also as float32. Got: {5 * gigabytes},000,000,"
    )
    found, peak_mb = refusals({str(path): message})
    assert message in found[str(path)]
    assert peak_mb < MOST_MB
