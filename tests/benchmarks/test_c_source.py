"""A bundle's C is compiled only if the exporter makes the same of the TFLite file beside it."""

import dataclasses
import importlib.util
import shutil

import numpy as np
import pytest

from benchmarks import bundles
from benchmarks.run import benchmark
from export.c import convert, metadata, origin
from export.tflite import metadata as tflite_metadata
from mnist_edge import bundle, manifest, schema
from mnist_edge.errors import InputError
from mnist_edge.runtimes import c_compiler
from mnist_edge.safety import c_source
from tests import tiny
from tests.conftest import QUICK
from tests.export.c.nets import FIELDS, Builder


def network(seed=0):
    """A dense layer and softmax, as `tflite-int8` of a bundle."""
    net, rng = Builder((1, 28, 28, 1), "uint8", 1.0, 0), np.random.default_rng(seed)
    given = net.op("QUANTIZE", [0], (1, 28, 28, 1), 1.0, -128)
    given = net.op("RESHAPE", [given, net.constant([1, 784])], (1, 784), 1.0, -128)
    weights = net.constant(rng.integers(-9, 9, (10, 784)), "int8", scale=[0.01] * 10)
    dense = net.op("FULLY_CONNECTED", [given, weights], (1, 10), 0.1, 3,
                   options="FullyConnectedOptions")  # fmt: skip
    net.op("SOFTMAX", [dense], (1, 10), 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    net.op("QUANTIZE", [net.graph.outputs[0]], (1, 10), 1 / 256, 0, "uint8")
    return tflite_metadata.embed(net.content(), {**FIELDS, "variant": "tflite-int8"})


@pytest.fixture
def folder(tiny_bundle):
    """A bundle with `tflite-int8`, and the C that the exporter makes of it."""
    content = network()
    golden = np.load(tiny_bundle / bundle.GOLDEN)["images"]
    source = convert.of_tflite(content, FIELDS, golden)
    tiny.add(tiny_bundle, "tflite-int8", content)
    tiny.add(tiny_bundle, "c-int8", source)
    for end, text in metadata.companions(source).items():
        (tiny_bundle / f"c-int8{end}").write_bytes(text)
    return tiny_bundle


def replace(folder, name, content):
    """Replaces an artifact, and its hash in the manifest, as a stranger could."""
    (folder / name).write_bytes(content)
    written = manifest.read(folder, "")
    record = vars(manifest.file_record(folder / name))
    entries = tuple(
        dataclasses.replace(entry, **record) if entry.file == name else entry
        for entry in written.artifacts
    )
    schema.write(folder / bundle.MANIFEST, dataclasses.replace(written, artifacts=entries))


def row(folder):
    found = benchmark(folder, **QUICK)
    return {one.variant: one for one in found.measurements}["c-int8"]


def test_what_the_exporter_makes_is_compiled(folder, without_keras):
    if not c_compiler.command():
        pytest.skip(c_compiler.MISSING)
    measured = row(folder)
    assert measured.latency, measured.breaches
    assert 7840 < measured.compiled_bytes == measured.shipped_bytes < measured.size_bytes


def test_a_tampered_source_is_refused_and_not_compiled(folder, without_keras, tmp_path):
    evil = b"""
#include <stdio.h>
__attribute__((constructor)) static void run_when_loaded(void) { fclose(fopen("EVIL", "w")); }
""".replace(b"EVIL", bytes(tmp_path / "evil"))
    replace(folder, "c-int8.c", (folder / "c-int8.c").read_bytes() + evil)
    measured = row(folder)
    assert measured.status == "failed"
    (line,) = measured.breaches
    assert line.startswith("c-int8.c must be what this version of mnist-edge makes of tflite-int8")
    assert not (tmp_path / "evil").exists()


def test_without_the_package_that_checks_it_a_row_of_c_says_so(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    *_, made = bundles.artifacts(folder, manifest.read(folder, ""))
    assert c_source.missing().startswith("ai-edge-litert is not installed, without which")
    if c_compiler.command():
        assert made.missing() == c_source.missing()


def no_tflite(folder):
    (folder / "tflite-int8.tflite").unlink()


def other_tflite(folder):
    replace(folder, "tflite-int8.tflite", network(1))


def other_header(folder):
    with (folder / "c-int8.h").open("a") as file:
        file.write("#define main evil\n")


def other_name(folder):
    shutil.copy(folder / "c-int8.c", folder / "other.c")
    with (folder / "other.c").open("a") as file:
        file.write("int evil;\n")
    return "other.c"


@pytest.mark.parametrize("change", [no_tflite, other_tflite, other_header, other_name])
def test_a_source_that_cannot_be_made_again_is_refused(folder, change):
    origin.check(folder / "c-int8.c")
    with pytest.raises(InputError, match=r"Run: python -m export .* --variants tflite-int8 c-int8"):
        origin.check(folder / (change(folder) or "c-int8.c"))
