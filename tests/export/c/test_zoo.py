"""Whole networks on all 10,000 test images and each kernel path.

No byte differs from the reference kernels, the sanitizers see nothing. The packaged networks, or
with BUNDLES=FOLDER those in the folder that hold `tflite-int8`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export import pipeline
from export.settings import ExportSettings
from mnist_edge import data
from mnist_edge.models import zoo
from mnist_edge.runtimes import wasm
from tests.export.c import compiled
from tests.export.c.test_paths import PATHS, TABLES, flags_of
from tests.export.c.test_sanitizers import WELL
from tests.safety import culprits

pytestmark = pytest.mark.long
_FILE = "tflite-int8.tflite"
GIVEN = {path.parent.name: path for path in Path(os.environ.get("BUNDLES", "")).glob(f"*/{_FILE}")}
NETWORKS = sorted(GIVEN) if "BUNDLES" in os.environ else ["nano", "edge", "accurate"]
TESTED = [path for path in (*PATHS, *TABLES) if "vectorized" not in path]


@pytest.fixture(scope="module")
def images():
    return data.load().x_test[:, None, ..., None]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, images, tmp_path_factory):
    """The TFLite file of a network, and the reference kernels' bytes."""
    path = GIVEN.get(request.param)
    if not path:
        folder = tmp_path_factory.mktemp(request.param) / "bundle"
        settings = ExportSettings(
            source=zoo.PRETRAINED / request.param, output=folder, variants=("tflite-int8",)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("export.worker.Process", culprits.Here)
            pipeline.export(settings, report=lambda line: None)
        path = folder / _FILE
    content = path.read_bytes()
    return content, compiled.expected(content, images)


@pytest.mark.parametrize("path", TESTED)
def test_no_image_differs(network, path, images, tmp_path):
    content, expected = network
    text = compiled.text_of(content)
    loaded = compiled.library({"net": text}, tmp_path, (*flags_of(path), "-O3"))
    found = compiled.computed(loaded, "net", content, images)
    assert np.count_nonzero((found != expected).any((1, 2))) == 0


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_no_image_differs_in_webassembly(network, images, tmp_path):
    content, expected = network
    (tmp_path / "wasm").write_bytes(wasm.compile_c(compiled.text_of(content), "net"))
    (tmp_path / "images").write_bytes(images.tobytes())
    sizes = [str(one[0].nbytes) for one in (images, expected)]
    subprocess.run(["node", "-e", _IN_NODE, *sizes], cwd=tmp_path, check=True)
    found = np.frombuffer((tmp_path / "outputs").read_bytes(), expected.dtype)
    assert np.count_nonzero((found.reshape(expected.shape) != expected).any((1, 2))) == 0


_IN_NODE = """
const fs = require("fs"), [given, made] = process.argv.slice(1).map(Number), outputs = [];
WebAssembly.instantiate(fs.readFileSync("wasm")).then(({instance: {exports}}) => {
  const images = fs.readFileSync("images");
  for (let at = 0; at < images.length; at += given) {
    new Uint8Array(exports.memory.buffer).set(images.subarray(at, at + given), exports.input());
    const place = exports.read();
    outputs.push(new Uint8Array(exports.memory.buffer).slice(place, place + made));
  }
  fs.writeFileSync("outputs", Buffer.concat(outputs));
});
"""


@pytest.mark.parametrize("path", TESTED)
def test_the_sanitizers_see_nothing(network, path, images, tmp_path):
    content, _ = network
    nets = {"net": (compiled.text_of(content), compiled.program(content))}
    done = compiled.run_sanitized(
        nets, tmp_path, len(images), images=images.tobytes(), flags=flags_of(path)
    )
    assert done == WELL, done[2][:3000]
