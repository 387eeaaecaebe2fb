"""WebAssembly gives the bytes of the native build of the same C."""

import base64
import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corruptions import negatives
from export.c import convert, kernels, source
from export.web import page as pages
from mnist_edge import data
from mnist_edge.images.likeness import PARTS, likeness
from mnist_edge.runtimes import wasm

SCRIPT = Path(__file__).with_name("read.mjs")


@pytest.fixture(scope="module")
def native(edge, tmp_path_factory):
    """Maps uint8 images to the output bytes of the C, compiled for this machine."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler: install gcc")
    folder = tmp_path_factory.mktemp("native")
    program = convert.program((edge / f"{pages.VARIANT}.tflite").read_bytes())
    (folder / "model.c").write_text(source.write(program, "model", ""))
    (folder / "web.c").write_bytes(Path(wasm.__file__).with_name("web.c").read_bytes())
    words = ["cc", "-O2", "-fPIC", "-shared", "-w", *wasm.names("model"), "-o", "web.so", "web.c"]
    subprocess.run(words, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "web.so"))
    library.web_input.restype = library.web_read.restype = ctypes.c_void_p
    given, size = library.web_input(), program.output_tensor.size

    def read(image):
        ctypes.memmove(given, image.tobytes(), image.size)
        return np.frombuffer(ctypes.string_at(library.web_read(), size), np.uint8)

    return lambda images: np.stack([read(image) for image in images])


def in_node(node, page, images, folder):
    (folder / "index.html").write_bytes(page.content)
    (folder / "images").write_bytes(images.tobytes())
    files = [folder / name for name in ("index.html", "images", "outputs")]
    subprocess.run([node, SCRIPT, *files], check=True)
    return np.frombuffer((folder / "outputs").read_bytes(), np.uint8).reshape(len(images), -1)


def test_200_test_images_give_the_native_bytes_in_node(native, node, page, tmp_path):
    images = data.load().x_test[:200, ..., None]
    found = in_node(node, page, images, tmp_path)
    assert np.array_equal(found, native(images))
    assert (found.argmax(1) == data.load().y_test[:200]).mean() > 0.97


def test_digits_and_others_look_as_much_like_digits_as_python_says(node, page, tmp_path):
    others = [negatives.make(name, 50, (28, 28)) for name in negatives.NEGATIVES]
    images = np.concatenate([data.load().x_test[:200], *others]).astype(np.uint8)
    in_node(node, page, images, tmp_path)
    found = np.frombuffer((tmp_path / "outputs.likeness").read_bytes(), np.int16)
    assert np.array_equal(found, likeness(images) * PARTS)
    assert found.min() == 0


@pytest.mark.long
@pytest.mark.parametrize("simd", [True, False])
def test_all_test_images_give_the_native_bytes_in_node(native, node, edge, simd, tmp_path):
    patched = pytest.MonkeyPatch()
    compile_c = wasm.compile_c
    patched.setattr(wasm, "compile_c", lambda *text: compile_c(*text, simd))
    try:
        page = pages.make(edge)
    finally:
        patched.undo()
    images = data.load().x_test[..., None]
    assert np.array_equal(in_node(node, page, images, tmp_path), native(images))


@pytest.mark.long
def test_all_test_images_give_the_native_bytes_in_the_browser(native, page, chromium, tmp_path):
    images = data.load().x_test[..., None]
    expected = native(images)
    tab = chromium.new_context(bypass_csp=True).new_page()
    (tmp_path / "index.html").write_bytes(page.content)
    tab.goto((tmp_path / "index.html").as_uri())
    tab.wait_for_selector("[data-micros]")
    found = []
    for part in np.array_split(images, 20):
        found += tab.evaluate(
            """async given => {
              const bytes = await unpack("wasm").arrayBuffer();
              const {exports} = (await WebAssembly.instantiate(bytes)).instance;
              const text = atob(given), made = [];
              for (let at = 0; at < text.length; at += 784) {
                const memory = new Uint8Array(exports.memory.buffer);
                for (let i = 0; i < 784; i++) memory[exports.input() + i] = text.charCodeAt(at + i);
                const place = exports.read();
                made.push([...memory.slice(place, place + 10)]);
              }
              return made;
            }""",
            base64.b64encode(part.tobytes()).decode(),
        )
    tab.context.close()
    assert np.array_equal(np.array(found, np.uint8), expected)


# Sums, factors and shifts by chance; counts the vectors' bytes that the plain functions don't give.
COUNT_OTHERS = """
#define MODEL_INPUT_SIZE 1
#define MODEL_CLASSES 1
#define MODEL_SCRATCH_BYTES 1
static uint32_t state = 1;
static int32_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (int32_t)state;
}
static int32_t others(void)
{
    int32_t sums[4], multiplier[4], low = random_bits() & 127, zero = random_bits() & 255;
    int8_t shift[4];
    uint8_t bytes[4];
    const int32_t few = random_bits() & 15, filters = 1 + (random_bits() & 3);
    for (int i = 0; i < 4; i++) {
        sums[i] = random_bits() >> (random_bits() & 15);
        multiplier[i] = random_bits() & INT32_MAX;
        shift[i] = (int8_t)(-1 - few - (random_bits() & 15));
    }
    const int32_t twice = random_bits() & 1;
    const lanes_layer layer = {
        0, 0, multiplier, shift, filters, 1, 1, 1, 0, 0, 0, 1, 1, twice, zero, low, 255};
    lanes_write(&layer, wasm_v128_load(sums), 0, bytes);
    int32_t found = 0;
    for (int i = 0; i < filters; i++) {
        const int32_t value = twice ? requantize(sums[i], multiplier[i], shift[i])
                                    : requantize_once(sums[i], multiplier[i], shift[i]);
        found += bytes[i] != clamp(value + zero, low, 255);
    }
    return found;
}
void model_predict_quantized(void *in, void *out, void *scratch)
{
    int32_t count = 0;
    for (int i = 0; i < 300000; i++) {
        count += others();
    }
    memcpy(out, &count, sizeof count);
}
"""
READ_COUNT = """const bytes = require("fs").readFileSync(process.argv[1]);
WebAssembly.instantiate(bytes).then(({instance: {exports}}) =>
  console.log(new Int32Array(exports.memory.buffer, exports.read(), 1)[0]));
"""


@pytest.mark.parametrize(("order", "differs"), [("0, 2, 4", False), ("2, 0, 4", True)])
def test_vectors_round_as_the_plain_functions_do(node, order, differs, tmp_path):
    pytest.importorskip("ziglang", reason="no compiler for WebAssembly: install ziglang")
    names = kernels.closure(["requantize", "requantize_once", "clamp", "lanes_wasm"])
    text = "\n".join(kernels.source(name)[1] for name in names)
    assert "0, 2, 4" in text
    text = text.replace("0, 2, 4", order) + COUNT_OTHERS
    text = f"#include <stdint.h>\n#include <string.h>\n{text}"
    (tmp_path / "count.wasm").write_bytes(wasm.compile_c(text, "model"))
    command = [node, "-e", READ_COUNT, tmp_path / "count.wasm"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert (int(done.stdout) > 0) == differs
