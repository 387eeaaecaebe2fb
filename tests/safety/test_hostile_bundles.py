"""A bundle or a result from elsewhere: whatever its JSON and arrays hold, one line and status 2."""

import copy
import json
import os
import shutil
import zipfile

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import compare, measurement, predict, selftest
from mnist_edge import bundle
from tests import tiny
from tests.safety.test_isolated import taken_at_most


@pytest.fixture
def folder(tiny_bundle):
    return tiny_bundle


def refused(main, arguments, capsys):
    """Runs a command that must refuse; returns its one line."""
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert said.err[:-1].isprintable()
    assert len(said.err) < 700
    return said.err


def changed(manifest, path, value):
    """A copy of a manifest, with a value at "artifacts.0.file", say."""
    manifest = copy.deepcopy(manifest)
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place = manifest
    for key in way:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return manifest


HASH = "0" * 64
# Where in the manifest, what is put there, and what must be said of it.
MANIFESTS = [
    (
        "artifacts.0.file",
        "../../etc/passwd",
        "artifacts[0].file must be the name of a file in the same folder",
    ),
    (
        "artifacts.0.file",
        "/etc/passwd",
        "artifacts[0].file must be the name of a file in the same folder",
    ),
    ("artifacts.0.file", "..", "artifacts[0].file must be"),
    ("artifacts.0.file", "a/b.tflite", "artifacts[0].file must be"),
    ("artifacts.0.file", "x\0.tflite", "artifacts[0].file must be"),
    ("artifacts.0.file", "x" * 5000 + ".tflite", "artifacts[0].file must be"),
    ("artifacts.0.file", "x.pkl", "artifacts[0].file must be"),
    ("artifacts.0.file", "tflite-float32.onnx", "artifacts[0].file must end in .tflite"),
    ("artifacts.0.file", 7, "artifacts[0].file must be"),
    ("artifacts.0.file", KeyError, "artifacts[0].file is missing"),
    ("artifacts.0.format", "keras", "artifacts[0].format must be tflite or onnx"),
    ("artifacts.0.format", ["tflite"], "artifacts[0].format must be tflite or onnx"),
    ("artifacts.0.size_bytes", 10**400, "size_bytes must be an integer"),
    ("artifacts.0.size_bytes", float("nan"), "size_bytes must be an integer"),
    ("artifacts.0.size_bytes", -1, "size_bytes must be an integer"),
    ("artifacts.0.size_bytes", True, "size_bytes must be an integer"),
    ("artifacts.0.sha256", None, "sha256 must be 64 hexadecimal digits"),
    ("artifacts.0.sha256", "A" * 64, "sha256 must be 64 hexadecimal digits"),
    ("artifacts.0.variant", "keras", "variant must be unique"),
    ("artifacts.0.variant", "onnx-float32", "variant must be unique"),
    ("artifacts.0.variant", "\x1b[2J", "variant must be a name"),
    ("artifacts.0.variant", "\ud800", "variant must be a name"),
    ("artifacts.0.variant", {}, "variant must be a name"),
    ("artifacts.0.precision", KeyError, "precision is missing"),
    ("artifacts.0", "text", "artifacts[0] must be an object"),
    ("artifacts", {}, "artifacts must be a list"),
    ("artifacts", None, "artifacts must be a list"),
    ("artifacts", KeyError, "artifacts is missing"),
]
# What the benchmark alone reads.
BENCHMARK_MANIFESTS = [
    ("model.file", "/etc/passwd.keras", "model.file must be the name of a file in the same folder"),
    ("model.input_shape", [28, 28, -1], "model.input_shape[2] must be an integer of 1 or more"),
    ("model.input_shape", [2**70, 28], "model.input_shape[0] must be"),
    ("model.input_shape", [], "model takes examples of shape []"),
    ("model.input_shape", KeyError, "model.input_shape is missing"),
    ("model.name", ["x"], "model.name must be printable text"),
    ("data.source", 5, "data.source must be a path or a name"),
    ("data.source", "x\0", "data.source must be a path or a name"),
    ("data.source", "/dev/zero", "/dev/zero"),
    ("data.source", "no such thing", "no such thing"),
    ("data.sha256", [], "data.sha256 must be an object"),
    ("data.sha256.x_test", HASH, "x_test must be the one"),
    (
        "reference.file",
        "../reference.npz",
        "reference.file must be the name of a file in the same folder",
    ),
    ("reference.file", KeyError, "reference.file is missing"),
    ("reference.sha256", HASH, "its SHA-256 differs from the manifest"),
    ("reference", None, "reference must be an object"),
]


@pytest.mark.parametrize(("path", "value", "words"), MANIFESTS)
def test_a_hostile_manifest_is_one_line_of_each_command(folder, capsys, path, value, words):
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    bundle.write_json(folder / bundle.MANIFEST, changed(manifest, path, value))
    commands = (
        (benchmarks.main, [folder, *tiny.QUICK]),
        (selftest.main, [folder]),
        (predict.main, ["no.png", folder]),
    )
    for main, arguments in commands:
        said = refused(main, arguments, capsys)
        assert "manifest.json" in said
        assert words in said


@pytest.mark.parametrize(("path", "value", "words"), BENCHMARK_MANIFESTS)
def test_a_hostile_manifest_is_one_line_of_the_benchmark(folder, capsys, path, value, words):
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    bundle.write_json(folder / bundle.MANIFEST, changed(manifest, path, value))
    assert words in refused(benchmarks.main, [folder, *tiny.QUICK], capsys)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b"PK\x03\x04",
    ],
)
def test_a_manifest_that_is_no_json_is_one_line(folder, capsys, content):
    (folder / bundle.MANIFEST).write_bytes(content)
    for main in (benchmarks.main, selftest.main):
        assert "manifest.json must" in refused(main, [folder], capsys)


def test_a_manifest_that_is_no_file_or_too_long_is_one_line(folder, capsys):
    path = folder / bundle.MANIFEST
    with open(path, "r+b") as file:
        file.truncate(2**40)  # takes no room on the disk
    assert "at most 67,108,864 bytes" in refused(benchmarks.main, [folder], capsys)
    path.unlink()
    os.mkfifo(path)
    assert "at most 67,108,864 bytes" in refused(benchmarks.main, [folder], capsys)
    path.unlink()
    path.mkdir()
    assert "at most 67,108,864 bytes" in refused(benchmarks.main, [folder], capsys)


# Arrays.


def archive(path, content, name="probabilities.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)


def header(shape, dtype="<f4"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def saved(array):
    return lambda path: np.savez(path, probabilities=array)


REFERENCES = {
    "not an archive": lambda path: path.write_bytes(b"x" * 1000),
    "empty": lambda path: path.write_bytes(b""),
    "another array": lambda path: np.savez(path, other=np.zeros((40, 10), np.float32)),
    "objects": lambda path: np.savez(path, probabilities=np.array([{}], object)),
    "4 TiB by its header": lambda path: archive(path, header((2**40,))),
    "100 MB of zeros": lambda path: archive(path, header((25_000_000,)) + bytes(10**8)),
    "too few": saved(np.zeros((39, 10), np.float32)),
    "float64": saved(np.zeros((40, 10))),
    "one dimension": saved(np.zeros(40, np.float32)),
    "one class": saved(np.zeros((40, 1), np.float32)),
    "fewer classes than labels": saved(np.zeros((40, 3), np.float32)),
    "10,000 classes": saved(np.zeros((40, 10_000), np.float32)),
    "NaN": saved(np.full((40, 10), np.nan, np.float32)),
    "logits": saved(np.full((40, 10), -3e38, np.float32)),
    "rows that sum to 5": saved(np.full((40, 10), 0.5, np.float32)),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_hostile_reference_is_one_line(folder, capsys, name):
    path = folder / bundle.REFERENCE
    REFERENCES[name](path)
    tiny.vouch(folder, "reference")
    with taken_at_most(60e6):
        assert "reference.npz" in refused(benchmarks.main, [folder, *tiny.QUICK], capsys)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"images": np.zeros((10, 28, 28, 1), np.float32)},
        {"images": np.float32(1)},
        {"images": np.zeros((0, 28, 28, 1), np.float32)},
        {"images": np.zeros((10, 28, 28, 1))},
        {"tflite-float32": np.zeros((9, 10), np.float32)},
    ],
)
def test_hostile_golden_vectors_are_one_line(folder, capsys, arrays):
    names = ("images", "tflite-float32", "onnx-float32")
    if len(arrays) and "tflite-float32" not in arrays:
        ten = np.zeros((10, 10), np.float32)
        arrays = {"tflite-float32": ten} | arrays  # onnx's are missing, or the images are wrong
        if arrays["images"].shape != (10, 28, 28, 1) or arrays["images"].dtype != np.float32:
            arrays["onnx-float32"] = ten
    elif arrays:
        arrays = {name: np.zeros((10, 10), np.float32) for name in names} | arrays
    np.savez(folder / bundle.GOLDEN, **arrays)
    tiny.vouch(folder, "golden")
    assert "golden.npz" in refused(selftest.main, [folder], capsys)


def test_an_endless_file_is_not_hashed(folder, without_keras, capsys):
    with open(folder / "onnx-float32.onnx", "r+b") as file:
        file.truncate(2**42)
    assert selftest.main([str(folder)]) == 1
    assert "replaced or damaged" in capsys.readouterr().out


# Reports.


@pytest.fixture(scope="module")
def report(kept_tiny, tmp_path_factory):
    folder = shutil.copytree(kept_tiny, tmp_path_factory.mktemp("report") / "bundle")
    (folder / bundle.MODEL).unlink()
    benchmarks.main([str(folder), *tiny.QUICK])  # its Keras row fails; it is a row, too
    return json.loads((folder / measurement.BENCHMARK_JSON).read_text())


ROW, WORKLOAD = "measurements.1", "reference_workload_p50_us"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", "\x1b[2J", "schema must be 3"),
        ("project", 5, "project must be mnist-edge"),
        ("measurements", 5, "measurements must be a list"),
        ("measurements.0", [], "measurements[0] must be an object"),
        (f"{ROW}.status", KeyError, "measurements[1].status is missing"),
        (f"{ROW}.status", "fine", "measurements[1].status must be passed or"),
        (f"{ROW}.size_bytes", -1, "measurements[1].size_bytes must be"),
        (f"{ROW}.size_bytes", "1", "measurements[1].size_bytes must be"),
        (f"{ROW}.parity.accuracy", float("nan"), "parity.accuracy must be a number, 0 to 1"),
        (f"{ROW}.parity.accuracy", None, "parity.accuracy must be a number, 0 to 1"),
        (f"{ROW}.parity.wrong_indices", [[]], "parity.wrong_indices[0] must be"),
        (f"{ROW}.parity.disagreements", [], "parity.disagreements must be an object"),
        (f"{ROW}.parity.max_probability_difference", 10**400, "must be a finite number"),
        (f"{ROW}.latency.0.p50_us", 0, "latency[0].p50_us must be a number, 0.001 to"),
        (f"{ROW}.latency.0.p50_us", 1e-320, "latency[0].p50_us must be a number, 0.001"),
        (f"{ROW}.latency.0.p50_interval_us", [1], "p50_interval_us must be a list of 2"),
        (f"{ROW}.latency.0.threads", 9, "timing.blocks must hold threads 9 and does not"),
        (f"{ROW}.breaches", ["\x1b[2J"], "measurements[1].breaches[0] must be printable"),
        ("timing.blocks", [], "timing.blocks must hold one block"),
        (f"timing.blocks.0.{WORKLOAD}", 0, f"{WORKLOAD} must be a number, 0.001 to"),
        ("machine", [], "machine must be an object"),
        ("bundles.0.test_sha256", 10**400, "bundles[0].test_sha256 must be 64 hexadecimal digits"),
        ("bundles", KeyError, "bundles is missing"),
    ],
)
def test_a_hostile_report_is_one_line(report, tmp_path, capsys, path, value, words):
    bundle.write_json(tmp_path / "new.json", changed(report, path, value))
    bundle.write_json(tmp_path / "old.json", report)
    for files in (("old.json", "new.json"), ("new.json", "old.json")):
        said = refused(compare.main, [tmp_path / name for name in files], capsys)
        assert "new.json" in said
        assert words in said


@pytest.mark.parametrize(("path", "value"), [(f"{ROW}.parity", None), (f"{ROW}.size_bytes", 0)])
def test_a_report_without_a_figure_is_compared_in_the_rest(report, tmp_path, path, value):
    bundle.write_json(tmp_path / "old.json", changed(report, path, value))
    bundle.write_json(tmp_path / "new.json", report)
    assert compare.main([str(tmp_path / "old.json")] * 2) == 0
    assert compare.main([str(tmp_path / "new.json"), str(tmp_path / "old.json")]) == 0
