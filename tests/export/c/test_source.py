"""The C file by itself: it compiles without a warning, and says what it is."""

import ctypes
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from export import audit
from export.c import convert, inspect, metadata, source
from export.tflite import metadata as tflite_metadata
from mnist_edge import runtimes
from mnist_edge.runtimes import c_compiler
from tests.export.c import compiled
from tests.export.c.test_sanitizers import classifier

NAME = "it's */ 9 #1 ??/ \\"
FIELDS = {
    "project": "mnist-edge",
    "model": NAME,
    "source_model_sha256": "0" * 64,
    "variant": "c-int8",
    "input": {"name": "image", "shape": [12, 12, 1], "layout": "NHWC", "range": [0.0, 255.0]},
    "output": {"name": "probabilities", "labels": ["*/", *"123456789"]},
}
PREFIX = "it_s_9_1"
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 1)).astype(np.float32)
COMPILERS = {
    "gcc": ["gcc", "-std=c99", *compiled.WARNINGS],
    "clang": [sys.executable, "-m", "ziglang", "cc", "-std=c99", *compiled.WARNINGS],
    "C++": ["g++", "-x", "c++", "-Wall", "-Wextra", "-Werror"],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the source, the header and the example."""
    folder = tmp_path_factory.mktemp("source")
    content = convert.embed(classifier(), FIELDS, IMAGES)
    (folder / "c-int8.c").write_bytes(content)
    for end, text in metadata.companions(content).items():
        (folder / f"c-int8{end}").write_bytes(text)
    return folder


@pytest.mark.parametrize("name", COMPILERS)
@pytest.mark.parametrize("file", ["c-int8.c", "c-int8.main.c"])
def test_it_compiles_without_a_warning(written, tmp_path, name, file, monkeypatch):
    if name == "clang":
        pytest.importorskip("ziglang")
        monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path))
    flags = ["-c", f"-D{PREFIX.upper()}_SELF_TEST", str(written / file), "-o"]
    done = subprocess.run(
        [*COMPILERS[name], *flags, str(tmp_path / "object.o")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_it_needs_nothing_but_the_functions_of_string_h(written, tmp_path):
    path = tmp_path / "object.o"
    # Position-independent code keeps constants with addresses in pages that the loader writes.
    flags = ["-O2", "-fno-pie", "-c"]
    subprocess.run(["gcc", *flags, str(written / "c-int8.c"), "-o", str(path)], check=True)
    lines = subprocess.run(["nm", str(path)], capture_output=True, text=True, check=True)
    kinds = [line.split()[-2:] for line in lines.stdout.splitlines()]
    assert {name for kind, name in kinds if kind == "U"} <= {"memcpy", "memset", "__stack_chk_fail"}
    assert not {kind for kind, _ in kinds} & set("dDbBcC")  # nothing that two threads could change


def test_the_example_prints_the_class(written, tmp_path):
    program = tmp_path / "classify"
    files = [str(written / name) for name in ("c-int8.c", "c-int8.main.c")]
    subprocess.run(["gcc", "-std=c99", *files, "-o", str(program)], check=True)
    opened = runtimes.open_artifact(written / "c-int8.c")
    pixels = IMAGES[0].astype(np.uint8).tobytes()
    said = subprocess.run([str(program)], input=pixels, capture_output=True, check=True).stdout
    expected = opened.predict(IMAGES[:1])[0]
    assert said.decode().split() == [str(expected.argmax()), f"{expected.max():.4f}"]
    short = subprocess.run([str(program)], input=pixels[1:], capture_output=True, check=False)
    assert short.returncode == 2


def self_test(written, tmp_path, text):
    (tmp_path / "tested.c").write_text(text)
    library = tmp_path / "tested.so"
    macro = f"-D{PREFIX.upper()}_SELF_TEST"
    command = ["gcc", "-shared", "-fPIC", macro, str(tmp_path / "tested.c"), "-o", str(library)]
    subprocess.run(command, check=True)
    scratch = ctypes.create_string_buffer(1 << 20)
    return getattr(ctypes.CDLL(str(library)), f"{PREFIX}_self_test")(scratch)


def test_the_self_test_counts_what_differs(written, tmp_path):
    text = (written / "c-int8.c").read_text()
    assert self_test(written, tmp_path, text) == 0
    (tmp_path / "broken").mkdir()
    broken = text.replace("value = high_multiply(scale", "value = high_multiply(scale / 2")
    assert broken != text
    assert self_test(written, tmp_path / "broken", broken) > 0


def test_metadata_are_read_back(written):
    path = written / "c-int8.c"
    fields = metadata.read(path)
    origin = tflite_metadata.embed(classifier(), {**FIELDS, "variant": "tflite-int8"})
    sha256 = hashlib.sha256(origin).hexdigest()
    assert {**fields, "c": None} == {**FIELDS, "c": None}
    assert metadata.made_from(path.read_bytes()) == fields["c"]["tflite_sha256"] == sha256
    assert sha256 in (written / "c-int8.h").read_text()
    assert audit.report(path).passed
    sizes = inspect.size_breakdown(path.read_bytes())
    assert 0 < sizes["weights"] < path.stat().st_size


def test_it_opens_as_any_artifact(written):
    opened = runtimes.open_artifact(written / "c-int8.c")
    (tensor,) = opened.inputs
    assert (tensor.shape, tensor.dtype, opened.batch) == ((1, 12, 12, 1), "uint8", 1)
    expected = compiled.expected(classifier(), IMAGES.astype(np.uint8)[:, None])
    np.testing.assert_array_equal(opened.predict(IMAGES) * 256, expected[:, 0])
    assert opened.metadata().output.labels == tuple(FIELDS["output"]["labels"])


def test_without_a_compiler_one_line_says_what_to_install(written, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(runtimes.RuntimeMissing, match="install gcc or clang"):
        runtimes.open_artifact(written / "c-int8.c")


def test_a_compilers_failure_is_one_line(written, monkeypatch):
    monkeypatch.setenv(c_compiler.FLAGS_VARIABLE, "--no-such-flag")
    with pytest.raises(RuntimeError, match=r"status 1: .*no-such-flag") as caught:
        runtimes.open_artifact(written / "c-int8.c")
    assert "\n" not in str(caught.value)


def test_a_source_that_is_not_ours_is_not_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(c_compiler, "shared_library", None)
    (tmp_path / "c-int8.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(ValueError, match="comment with its metadata"):
        runtimes.open_artifact(tmp_path / "c-int8.c")


@pytest.mark.parametrize(
    ("key", "value"),
    [("prefix", "a; b"), ("scratch_bytes", -1), ("input", None), ("scratch_bytes", 1 << 40)],
)
def test_damaged_metadata_are_refused_before_it_is_compiled(
    written, tmp_path, monkeypatch, key, value
):
    monkeypatch.setattr(c_compiler, "shared_library", None)
    text = (written / "c-int8.c").read_text()
    first, _, rest = text.partition("\n")
    fields = json.loads(first.removeprefix("/* mnist-edge ").removesuffix(" */"))
    fields["c"][key] = value
    path = tmp_path / "c-int8.c"
    path.write_text(f"/* mnist-edge {json.dumps(fields)} */\n{rest}")
    with pytest.raises(ValueError, match=f"c.{key}"):
        runtimes.open_artifact(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("edge", "edge"),
        ("3 d", "model_3_d"),
        ("é*/", "model"),
        ("A-b", "a_b"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_models_name_becomes_an_identifier(name, expected):
    assert source.identifier(name) == expected
