"""A runtime that is there and does not work is a failed row with its cause, in every command."""

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import predict, selftest, soak
from benchmarks.run import benchmark
from benchmarks.worker import Worker, WorkerFailed
from export import audit, pipeline
from mnist_edge import bundle, runtimes
from mnist_edge.errors import InputError
from tests import tiny
from tests.conftest import QUICK

CAUSE = "libfoo.so.1: failed to map segment from shared object"
SAID = f"RuntimeError: ai-edge-litert is installed and can't be imported: ImportError: {CAUSE}"


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A function that puts a package before the real one; its import fails in every child."""

    def put(package, failure):
        folder = tmp_path / "broken" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"raise {failure}")
        monkeypatch.syspath_prepend(tmp_path / "broken")

    return put


@pytest.fixture
def only_tflite(tiny_bundle):
    """The tiny bundle with its TFLite artifact alone."""
    manifest = bundle.read_json(tiny_bundle / bundle.MANIFEST, (), "")
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["format"] == "tflite"]
    bundle.write_json(tiny_bundle / bundle.MANIFEST, manifest)
    return tiny_bundle


def pixels(folder):
    """Path of a CSV of one image, as Kaggle has them."""
    path = folder.parent / "test.csv"
    header = ",".join(f"pixel{i}" for i in range(784))
    path.write_text(header + "\n" + ",".join(["7"] * 784) + "\n")
    return str(path)


def test_a_benchmark_fails(only_tflite, without_keras, broken, capsys):
    broken("ai_edge_litert", f"ImportError({CAUSE!r})")
    assert benchmarks.main([str(only_tflite), *tiny.QUICK]) == 1
    lines = capsys.readouterr().out.splitlines()
    breaches = [line for line in lines if line.startswith("BREACH")]
    assert breaches == [f"BREACH tflite-float32: {SAID}"]


def test_other_commands_fail_too(only_tflite, without_keras, broken, capsys):
    broken("ai_edge_litert", f"ImportError({CAUSE!r})")
    assert selftest.main([str(only_tflite)]) == 1
    assert f"tflite-float32       FAILED   {SAID}" in capsys.readouterr().out
    assert soak.main([str(only_tflite), "--variants", "tflite-float32"]) == 1
    printed = capsys.readouterr().out
    assert f"tflite-float32 FAILED: {only_tflite / 'tflite-float32.tflite'}: {SAID}" in printed
    assert predict.main([pixels(only_tflite), str(only_tflite)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"tflite-float32 FAILED: {SAID}"


@pytest.mark.parametrize(
    ("package", "name", "failure", "said"),
    [
        ("ai_edge_litert", "x.tflite", "ValueError('no such thing')", "ValueError: no such thing"),
        ("onnxruntime", "x.onnx", "MemoryError", "onnxruntime is installed and .*: MemoryError"),
        (
            "keras",
            "x.keras",
            "MemoryError",
            "keras with a backend is installed and .*: MemoryError",
        ),
    ],
)
def test_whatever_its_import_raises_is_the_cause(package, name, failure, said, broken):
    broken(package, failure)
    with pytest.raises(WorkerFailed, match=f"{said}$"):
        Worker(name, threads=1)


def test_an_export_is_one_line(monkeypatch, patch_format):
    for name, packages in {"tflite": {"a": "json"}, "onnx": {"a": "json", "b": "foo.bar"}}.items():
        patch_format(name, packages=packages)
    monkeypatch.setitem(sys.modules, "foo", None)
    pipeline._import_packages({"tflite"})
    with pytest.raises(InputError, match=r"^foo\.bar must be installed and importable\."):
        pipeline._import_packages({"onnx"})


def test_an_audit_is_one_line(only_tflite, broken, capsys):
    broken("onnx", f"ImportError({CAUSE!r})")
    assert audit.main([str(only_tflite / "tflite-float32.tflite")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: the audit process must start. Got: ImportError: {CAUSE}. Inst")
    assert said.count("\n") == 1


def test_what_can_not_be_found_is_not_installed_and_breaches_where_all_is_required(
    only_tflite, without_keras
):
    report = benchmark(only_tflite, require=("all",), **QUICK)
    assert report.breaches == ("keras: required and its runtime is not installed",)


def test_keras_without_its_backend_is_not_installed(monkeypatch, tmp_path):
    def found(backend=None, settings="{}"):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        (tmp_path / "keras.json").write_text(settings)
        monkeypatch.setenv("KERAS_BACKEND", backend or "")
        return runtimes.is_installed(Path("x.keras"))

    monkeypatch.setitem(sys.modules, "jax", None)
    assert found()
    assert found("numpy", '{"backend": "jax"}')
    assert not found("jax")
    assert not found(settings='{"backend": "jax"}')
    assert found(settings="[no JSON")
    assert found("tpyo")  # whose import then says what is wrong


@pytest.mark.parametrize("path", ["Makefile"])
def test_make_run_requires_all_that_it_exported(path):
    commands = (Path(__file__).parents[2] / path).read_text()
    assert "/python -m benchmarks --min-accuracy 0.98 --require all\n" in commands
