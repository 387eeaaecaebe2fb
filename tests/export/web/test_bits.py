"""WebAssembly gives the bytes of the native build of the same C."""

import base64
import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.c import convert, source
from export.web import page as pages
from mnist_edge import data
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
