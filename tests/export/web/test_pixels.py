"""The page prepares pictures as `mnist_edge.images` does, and reads from them what Python reads."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from export.web import page as pages
from mnist_edge import images, runtimes
from mnist_edge.errors import InputError
from mnist_edge.images import pictures
from tests.images import drawn

SCRIPT = Path(__file__).with_name("pixels.mjs")
LIGHTS = {"evenly": drawn.evenly, "lamp": drawn.lamp, "shadow": drawn.shadow}
# One of each in place of ten: they take longer than all others.
LARGE = ("2000 pixels", "font, 700 pixels", "fine pen, vignette", "fine pen under a lamp")


def styled(folder, one_in=1):
    """Digits in every style of the tests of `images`, as the RGBA that a browser decodes."""
    for number, name in enumerate(drawn.STYLES):
        if one_in > 1 and name in LARGE:
            continue
        digits = [number % 10] if name in LARGE else range(0, 10, 1 + (number % 3 == 0))
        for digit in digits[number % one_in :: one_in]:
            path = drawn.save(name, digit, folder)
            yield np.asarray(pictures.decode(path, lambda image: image.convert("RGBA"))), False


def sketched(count):
    """Strokes as a hand draws them on the page: round, smooth, some crossing, some apart."""
    rng, drawings = np.random.default_rng(0), []
    for i in range(count):
        sheet = Image.new("RGBA", (360, 240), "white")
        pen = ImageDraw.Draw(sheet)
        for left in range(40, 41 + 100 * (i % 3), 100):
            turns = rng.uniform(0, 1, (rng.integers(2, 6), 2)) * (60, 150) + (left, 40)
            pen.line([tuple(turn) for turn in turns], "black", int(rng.integers(5, 14)), "curve")
        drawings.append((np.asarray(sheet), i % 2 == 0))
    return drawings


def sheets():
    """Several digits under a lamp, in a shadow, on two lines."""
    found = []
    for i, text in enumerate(["0123456789", "31415\n92653", "1604\n2737"]):
        for light in LIGHTS.values():
            sheet = drawn.line_of_digits(text, i)
            image = drawn.photograph(sheet, light(sheet), i)
            found.append((np.asarray(image.convert("RGBA")), True))
    return found


def in_javascript(node, folder, given, *package):
    """What the page's script makes of `(rgba, many)`, or `(rgba, [height, width, channels])`.

    With the folder of a package of npm, also what that answers.
    """
    index = []
    with open(folder / "pictures.bin", "wb") as file:
        for rgba, how in given:
            file.write(rgba.tobytes())
            index.append({"w": rgba.shape[1], "h": rgba.shape[0], "many": how is True})
            if isinstance(how, list):
                index[-1]["to"] = [how[1], how[0], how[2]]
    (folder / "pictures.json").write_text(json.dumps(index))
    subprocess.run([node, SCRIPT, folder, *package], check=True)
    return json.loads((folder / "found.json").read_text())


def in_python(rgba, many):
    try:
        return images.prepare(pictures.from_array(rgba), many)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("one_in", [5, pytest.param(1, marks=pytest.mark.long)])
def test_300_pictures_give_pythons_pixels_boxes_lines_and_answers(
    node, edge, package, tmp_path, one_in
):
    given = [*styled(tmp_path, one_in), *sketched(40)[::one_in], *sheets()[::one_in]]
    assert len(given) >= 300 / one_in
    # The kernels whose bytes the C has; LiteRT's default rounds otherwise.
    model = runtimes.open_artifact(edge / f"{pages.VARIANT}.tflite", kernels="reference")
    made = in_javascript(node, tmp_path, given, package)
    worst, digits = 0, 0
    for (rgba, many), found in zip(given, made, strict=True):
        expected = in_python(rgba, many)
        if isinstance(expected, str):
            assert isinstance(found, str), expected
            continue
        assert len(found) == len(expected)
        pixels = np.stack([one.pixels for one in expected]).reshape(-1, 28, 28, 1)
        answers = model.predict(pixels.astype(np.float32)).argmax(1)
        assert [one["answer"] for one in found] == [str(answer) for answer in answers]
        for one, other in zip(expected, found, strict=True):
            difference = np.abs(one.pixels.reshape(-1).astype(int) - other["pixels"])
            worst, digits = max(worst, difference.max()), digits + 1
            assert one.line == other["line"]
            box = [other["box"][side] for side in ("left", "top", "right", "bottom")]
            scale = max(1, rgba.shape[1] / 1600, rgba.shape[0] / 1600)  # Python's is the file's
            assert np.abs(np.array(one.box) - np.multiply(box, scale)).max() <= 1
    assert digits >= 350 / one_in
    # Measured: 0. Sums are added in another order than NumPy's, so that 1 may occur.
    assert worst <= 1


@pytest.mark.parametrize("broken", ["const median = values =>", "const BOXES = [0.5"])
def test_another_preparation_gives_other_pixels(node, tmp_path, monkeypatch, broken):
    script = SCRIPT.parents[3] / "export" / "web" / "pixels.js"
    other = {"const median = values =>": "const median = values => 0.1 *", "const BOXES = [0.5": ""}
    text = script.read_text()
    assert broken in text
    instead = other[broken] or "const BOXES = [0.9"
    (tmp_path / "pixels.js").write_text(text.replace(broken, instead))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    found = SCRIPT.read_text().replace("../../../export/web/pixels.js", "./pixels.js")
    (tmp_path / "pixels.mjs").write_text(found)
    monkeypatch.setattr("tests.export.web.test_pixels.SCRIPT", tmp_path / "pixels.mjs")
    given = [(rgba, many) for rgba, many in styled(tmp_path, 5) if rgba.shape[0] < 100]
    made = in_javascript(node, tmp_path, given)
    assert any(
        isinstance(one, str) or np.abs(in_python(*case)[0].pixels.ravel() - one[0]["pixels"]).max()
        for case, one in zip(given, made, strict=True)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whole_picture_is_resized_as_python_resizes_it(node, tmp_path, channels):
    rng = np.random.default_rng(channels)
    rgba = rng.integers(0, 256, (90, 131, 4), np.uint8)
    rgba[..., 3] = 255
    mode = "L" if channels == 1 else "RGB"
    expected, _ = pictures.resized(Image.fromarray(rgba).convert("RGB"), mode, (24, 28))
    (found,) = in_javascript(node, tmp_path, [(rgba, [28, 24, channels])])
    assert np.array_equal(expected.reshape(-1), found[0]["pixels"])
