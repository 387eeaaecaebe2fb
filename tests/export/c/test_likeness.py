"""C and Python say the same of how much an image looks like a digit; a macro adds it."""

import ctypes
import subprocess

import numpy as np
import pytest

from benchmarks import corruptions
from benchmarks.corruptions import negatives
from export.c import convert, likeness, metadata
from export.c.graph import Tensor
from mnist_edge import data
from mnist_edge.images.likeness import PARTS
from mnist_edge.images.likeness import likeness as in_python
from tests.export.c import compiled, nets

DIGITS = nets.FIELDS["output"]["labels"]
MACRO, TEST = "-DTINY_NO_DIGIT", "-DTINY_SELF_TEST"
# Overflow and wrong indexes end the process.
TRAPS = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")


def network():
    """Something that takes MNIST's images and finds the first class wherever there is ink."""
    net = nets.Builder((1, 28, 28, 1), "uint8", 1.0, 0)
    given = net.op("QUANTIZE", [0], (1, 28, 28, 1), 1.0, -128)
    pooled = net.op("MAX_POOL_2D", [given], (1, 1, 1, 1), 1.0, -128, options="Pool2DOptions",
                    padding=1, strideH=28, strideW=28, filterHeight=28, filterWidth=28)  # fmt: skip
    weights = net.constant([[127]] + [[0]] * 9, "int8", scale=[0.01] * 10)
    dense = net.op("FULLY_CONNECTED", [pooled, weights], (1, 10), 2.0, 0,
                   options="FullyConnectedOptions")  # fmt: skip
    net.op("SOFTMAX", [dense], (1, 10), 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    net.op("QUANTIZE", [net.graph.outputs[0]], (1, 10), 1 / 256, 0, "uint8")
    return net.content()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the source, the header and the example of a model of digits."""
    folder = tmp_path_factory.mktemp("likeness")
    content = convert.embed(network(), nets.FIELDS, data.load().x_test[:5, ..., None].astype("f4"))
    (folder / "c-int8.c").write_bytes(content)
    for end, text in metadata.companions(content).items():
        (folder / f"c-int8{end}").write_bytes(text)
    return folder


@pytest.fixture(scope="module")
def in_c(written):
    """The function in C, of images uint8 `[n, 28, 28]`."""
    path = written / "net.so"
    flags = ["-O2", "-shared", "-fPIC", "-std=c99", *compiled.WARNINGS, *TRAPS, MACRO]
    subprocess.run(["gcc", *flags, written / "c-int8.c", "-o", path], check=True)
    function = ctypes.CDLL(str(path)).tiny_likeness
    return lambda images: np.array([function(one.tobytes()) for one in images])


def pictures(count):
    """Test digits, plain and under each corruption, and pictures of no digit."""
    digits = data.load().x_test[: 4 * count]
    distorted = [
        corruptions.distort(digits[:count, ..., None].astype("f4"), name)[..., 0]
        for name in corruptions.MNIST_C
    ]
    others = [negatives.make(name, 4 * count, (28, 28)) for name in negatives.NEGATIVES]
    rng = np.random.default_rng(0)
    extremes = [np.full((28, 28), level) for level in (0, 128, 255)]
    extremes += [255 * rng.integers(0, 2, (28, 28)), 255 * (np.indices((28, 28)).sum(0) % 2)]
    extremes += [np.pad([[255]], ((y, 27 - y), (x, 27 - x))) for y in (0, 27) for x in (0, 27)]
    return np.concatenate([digits, *distorted, *others, extremes]).astype(np.uint8)


def test_it_is_what_python_says(in_c):
    images = pictures(10)
    expected = in_python(images) * PARTS
    assert 0.2 < np.mean(expected > PARTS / 2) < 0.8
    assert len(np.unique(expected)) > 30
    np.testing.assert_array_equal(in_c(images), expected)


@pytest.mark.long
def test_it_is_what_python_says_of_all_test_images_and_thousands_of_others(in_c):
    for images in (data.load().x_test, pictures(500)):
        np.testing.assert_array_equal(in_c(images), in_python(images) * PARTS)


@pytest.mark.parametrize(
    ("macros", "image", "said"),
    [
        ([MACRO], negatives.make("textures", 1, (28, 28))[0], "no digit"),
        ([], negatives.make("textures", 1, (28, 28))[0], "0 0.9961"),
        ([MACRO], data.load().x_test[0], "0 0.9961"),
    ],
)
def test_the_example_says_no_digit_if_the_macro_is_given(written, tmp_path, macros, image, said):
    files = [written / name for name in ("c-int8.c", "c-int8.main.c")]
    subprocess.run(["gcc", "-std=c99", *macros, *files, "-o", tmp_path / "read"], check=True)
    given = image.astype(np.uint8).tobytes()
    done = subprocess.run([tmp_path / "read"], input=given, capture_output=True, check=True)
    assert done.stdout.decode().strip() == said


@pytest.mark.parametrize(("old", "new", "fails"), [("", "", False), ("% 28 / 4", "% 27 / 4", True)])
def test_the_self_test_covers_it(written, tmp_path, old, new, fails):
    text = (written / "c-int8.c").read_text()
    assert old in text
    (tmp_path / "c-int8.c").write_text(text.replace(old, new))
    path = tmp_path / "net.so"
    flags = ["-shared", "-fPIC", MACRO, TEST]
    subprocess.run(["gcc", *flags, tmp_path / "c-int8.c", "-o", path], check=True)
    scratch = ctypes.create_string_buffer(1 << 20)
    assert bool(ctypes.CDLL(str(path)).tiny_self_test(scratch)) == fails


def test_without_the_macro_nothing_of_it_is_compiled(written, tmp_path):
    path = tmp_path / "object.o"
    subprocess.run(["gcc", "-c", written / "c-int8.c", "-o", path], check=True)
    assert b"likeness" not in path.read_bytes()


def test_only_models_of_digits_that_take_gray_levels_offer_it():
    def given(shape=(1, 28, 28, 1), dtype="uint8", scale=1.0, zero=0):
        return Tensor(0, "", shape, dtype, np.array([scale], np.float32), zero, 0, None)

    assert likeness.fits(given(), DIGITS)
    others = [given((1, 32, 32, 1)), given(dtype="int8"), given(scale=1 / 255), given(zero=1)]
    assert not any(likeness.fits(one, DIGITS) for one in others)
    assert not likeness.fits(given(), ["T-shirt", *DIGITS[1:]])
    fields = nets.FIELDS | {"output": {"name": "probabilities", "labels": list("ABCDEFGHIJ")}}
    content = convert.embed(network(), fields, np.zeros((1, 28, 28, 1), np.float32))
    texts = [content, *metadata.companions(content).values()]
    assert not any(b"NO_DIGIT" in text or b"likeness" in text for text in texts)
