"""What an output folder holds of an earlier export is kept where it is whole, or not at all."""

import json
import os

import numpy as np
import pytest

from export import source as sources
from export import write
from export.variants import VARIANTS
from mnist_edge import bundle
from tests.safety.test_hostile_bundles import HASH, changed


@pytest.fixture(scope="module")
def source(small):
    return sources.open_bundle(small.folder)


@pytest.fixture
def folder(small, tmp_path):
    return small.copy(tmp_path / "bundle")


def kept(folder, source):
    found = write.kept(write.read_earlier(folder), folder, source, set(VARIANTS))
    return [artifact.name for artifact in found]


def stale(folder, source):
    return write.stale(write.read_earlier(folder), source)


def test_a_whole_one_is_kept_and_is_not_stale(folder, source):
    assert kept(folder, source) == list(VARIANTS)
    assert stale(folder, source) == []


def rewritten(folder, *changes):
    """The manifest with values at other places."""
    manifest = bundle.read_json(folder / bundle.MANIFEST, (), "")
    for path, value in changes:
        manifest = changed(manifest, path, value)
    bundle.write_json(folder / bundle.MANIFEST, manifest)


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "[" * 100_000, "\ud800", '{"model": {"sha256": 1}, "artifacts": {}}']
)
def test_a_manifest_that_is_none_keeps_nothing(folder, source, text):
    (folder / bundle.MANIFEST).write_bytes(text.encode(errors="surrogatepass"))
    assert kept(folder, source) == stale(folder, source) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model", []),
        ("model.sha256", HASH),
        ("data", 1),
        ("data.source", "elsewhere.npz"),
        ("golden", KeyError),
        ("golden.sha256", HASH),
        ("artifacts", {}),
        ("artifacts", [1]),
        ("artifacts", [None] * 9),
        ("artifacts.0", []),
        ("artifacts.0.variant", []),
        ("artifacts.0.variant", "tflite-int8"),  # a second one
        ("artifacts.0.file", "../../etc/passwd"),
        ("artifacts.0.size_bytes", 10**400),
        ("artifacts.0.sha256", None),
        ("artifacts.0.audit", KeyError),
        ("artifacts.0.audit.operators", {"float32": 0}),
        ("artifacts.0.inputs", []),
        ("artifacts.0.inputs", [{"dtype": "\x1b[2J"}]),
        ("schema", 2),
    ],
)
def test_a_hostile_manifest_keeps_nothing(folder, source, path, value):
    rewritten(folder, (path, value))
    assert kept(folder, source) == []
    stale(folder, source)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("artifacts.0.variant", "tflite-other"),
        ("artifacts.0.file", "tflite-float16.tflite"),
        ("artifacts.0.size_bytes", 7),
        ("artifacts.0.sha256", HASH),
    ],
)
def test_an_artifact_that_is_not_as_the_manifest_says_is_not_kept(folder, source, path, value):
    rewritten(folder, (path, value))
    assert kept(folder, source) == list(VARIANTS)[1:]


def test_a_file_that_is_a_pipe_or_without_end_is_not_kept(folder, source):
    first, second, *others = VARIANTS.values()
    (folder / first.file).unlink()
    os.mkfifo(folder / first.file)
    os.truncate(folder / second.file, 2**42)
    rewritten(folder, ("artifacts.1.size_bytes", 2**31))
    assert kept(folder, source) == [variant.name for variant in others]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"x"),
        lambda path: path.unlink(),
        lambda path: np.savez(path, a=np.array([{}], dtype=object)),
        lambda path: np.savez(path, **{name: np.array([{}]) for name in VARIANTS}),
        lambda path: np.savez_compressed(path, **{name: np.zeros(2**22) for name in VARIANTS}),
    ],
)
def test_golden_vectors_that_are_none_keep_nothing(folder, source, write):
    write(folder / bundle.GOLDEN)
    if (folder / bundle.GOLDEN).exists():
        rewritten(folder, ("golden.sha256", bundle.sha256_file(folder / bundle.GOLDEN)))
    assert kept(folder, source) == []


def test_the_command_replaces_a_hostile_manifest(folder, converted_once):
    from export import __main__ as command

    rewritten(folder, ("artifacts.0.variant", "\x1b[2J"), ("artifacts.1.inputs", []))
    assert command.main([str(folder), "--variants", "onnx-float32"]) == 0
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    assert [entry["variant"] for entry in manifest["artifacts"]] == ["onnx-float32"]
