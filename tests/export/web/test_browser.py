"""The page as a person uses it: in Chromium, from a file, offline, by pen and by keyboard."""

import numpy as np
import pytest
from PIL import Image

from export.web import page as pages
from tests.export.web.conftest import fetched
from tests.images import drawn

AXE = ("axe-core", "4.14.1")
DESK, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 844}
# Digits as a hand writes them: strokes of points in a box of 1 by 1.
DIGITS = {
    0: [[(0.5, 0), (0.1, 0.25), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.9, 0.25), (0.5, 0)]],
    1: [[(0.5, 0), (0.45, 1)]],
    2: [[(0.1, 0.2), (0.5, 0), (0.9, 0.25), (0.5, 0.65), (0.05, 1), (0.95, 0.97)]],
    3: [[(0.1, 0.1), (0.6, 0), (0.85, 0.25), (0.4, 0.47), (0.9, 0.72), (0.5, 1), (0.05, 0.88)]],
    4: [[(0.3, 0), (0.1, 0.55), (0.95, 0.55)], [(0.75, 0.15), (0.7, 1)]],
    5: [[(0.2, 0), (0.15, 0.42), (0.7, 0.45), (0.85, 0.75), (0.5, 1), (0.05, 0.9)],
        [(0.2, 0), (0.9, 0)]],
    6: [[(0.7, 0), (0.25, 0.4), (0.15, 0.8), (0.5, 1), (0.85, 0.75), (0.5, 0.55), (0.2, 0.75)]],
    7: [[(0.05, 0.05), (0.95, 0), (0.6, 0.5), (0.4, 1)]],
    8: [[(0.8, 0.15), (0.45, 0), (0.2, 0.22), (0.75, 0.7), (0.5, 1), (0.15, 0.78), (0.8, 0.2)]],
    9: [[(0.85, 0.2), (0.45, 0), (0.15, 0.25), (0.5, 0.47), (0.85, 0.2), (0.8, 0.6), (0.7, 1)]],
}  # fmt: skip
SHAPES = DIGITS | {"U": [[(0, 0), (0, 0.83), (0.2, 1), (0.8, 1), (1, 0.83), (1, 0)]]}


@pytest.fixture(scope="module")
def file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_bytes(page.content)
    return path


@pytest.fixture
def opened(chromium):
    """Opens a page offline; its requests and errors are none when the test ends."""
    contexts, requests, errors = [], [], []

    def open_page(path, size=DESK, scheme="light", **options):
        context = chromium.new_context(
            viewport=size, color_scheme=scheme, offline=True, has_touch=size is PHONE, **options
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda said: errors.append(said.text))
        tab.goto(path.as_uri())
        tab.wait_for_selector("[data-micros]")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert all(url.startswith("file:") for url in requests)
    assert len(requests) == len(contexts)
    assert errors == []


def draw(tab, digit, left=260, top=100, width=150, height=240):
    """Draws a shape with the mouse, in the paper's own pixels, of which it is 720 wide."""
    box = tab.locator("#paper").bounding_box()
    scale = box["width"] / 720
    for stroke in SHAPES[digit]:
        points = [
            (box["x"] + scale * (left + x * width), box["y"] + scale * (top + y * height))
            for x, y in stroke
        ]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]:
            tab.mouse.move(*point)
        tab.mouse.up()


def answer(tab):
    return tab.locator("#answer").inner_text()


@pytest.mark.parametrize(("size", "digits"), [(DESK, DIGITS), (PHONE, [4, 8])])
def test_each_digit_is_drawn_and_read(opened, file, size, digits):
    tab = opened(file, size)
    read = {}
    for digit in digits:
        draw(tab, digit)
        read[digit] = answer(tab)
        tab.click("#clear")
        assert answer(tab) == "Nothing yet"
    assert read == {digit: str(digit) for digit in digits}


def test_several_digits_are_shown_with_pixels_bars_and_the_time_of_a_call(opened, file):
    tab = opened(file)
    for place, digit in enumerate((3, 0, 7)):
        draw(tab, digit, 90 + 200 * place)
    assert answer(tab) == "307"
    assert tab.locator("#digits canvas").count() == 3
    assert "µs per call" in tab.locator("#facts").inner_text()
    tab.locator("#digits button").nth(2).click()
    bars = tab.locator("#bars li").all_inner_texts()
    assert [bar.split()[0] for bar in bars] == list("0123456789")
    assert float(bars[7].split()[1]) > 90
    tab.click("#undo")
    assert answer(tab) == "30"


def test_what_is_no_digit_is_said(opened, file):
    tab = opened(file)
    draw(tab, "U", 100, width=200)
    assert answer(tab) == "No digit"
    assert tab.locator("#digits button").all_inner_texts() == ["no digit"]
    assert tab.locator("#chosen").inner_text() == "Probabilities, if it were a digit"
    assert tab.locator("#bars .best").count() == 0
    draw(tab, 3, 450)
    assert tab.locator("#answer").text_content() == "? no digit 3"  # the words are for ears alone
    assert tab.locator("#answer .unseen").bounding_box()["width"] <= 1
    assert tab.locator("#chosen").inner_text() == "Probabilities of no. 1, if it were a digit"
    tab.locator("#digits button").nth(1).click()
    assert tab.locator("#chosen").inner_text() == "Probabilities of no. 2, read as 3"


def test_a_finger_draws(opened, file):
    tab = opened(file, PHONE)
    box = tab.locator("#paper").bounding_box()
    session = tab.context.new_cdp_session(tab)
    points = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + 60 + 10 * i} for i in range(16)]
    for i, point in enumerate(points):
        kind = "touchMove" if i else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    tab.wait_for_selector("#digits button")
    assert answer(tab) == "1"
    assert tab.locator("body").bounding_box()["width"] <= PHONE["width"]


def test_the_keyboard_alone_draws_reads_and_clears(opened, file):
    tab = opened(file)
    tab.keyboard.press("Tab")
    assert tab.locator("#paper:focus").count() == 1
    tab.keyboard.press("Space")
    for _ in range(18):
        tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Space")
    assert answer(tab) == "1"
    tab.keyboard.press("Delete")
    assert answer(tab) == "Nothing yet"
    tab.keyboard.press("Tab")  # `Clear` and `Undo` are off, as there is nothing to clear
    assert tab.locator("#open:focus").count() == 1


@pytest.mark.parametrize(
    "names",
    [
        ["lamp from a corner", "red ink in alpha", "GIF"],
        pytest.param(["2000 pixels"], marks=pytest.mark.long),
    ],
)
def test_pictures_are_opened_and_read(opened, file, names, tmp_path):
    tab = opened(file)
    for name in names:
        tab.set_input_files("#file", drawn.save(name, 4, tmp_path))
        tab.wait_for_selector("#digits button")
        assert answer(tab) == "4"
        tab.click("#clear")


def test_a_page_of_lines_keeps_its_lines_and_what_is_no_picture_is_said(opened, file, tmp_path):
    tab = opened(file)
    sheet = drawn.line_of_digits("1604\n2737", 9)
    drawn.photograph(sheet, drawn.shadow(sheet), 1).save(tmp_path / "sheet.png")
    tab.set_input_files("#file", tmp_path / "sheet.png")
    tab.wait_for_selector("#digits button")
    assert answer(tab) == "1604\n2737"
    for name, text in (("blank.png", "nothing contrasts"), ("words.png", "is no picture")):
        path = tmp_path / name
        Image.new("L", (90, 90), 255).save(path)
        if name == "words.png":
            path.write_text("words")
        tab.set_input_files("#file", path)
        tab.get_by_text(text).wait_for()
        assert tab.locator("#digits button").count() == 0


def test_a_model_of_clothes_gets_a_page_without_a_pen(opened, page, tmp_path):
    labels = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker"]
    labels += ["Bag", "Ankle boot"]
    output = {"kind": "uint8", "count": 10, "scale": 1 / 256, "zero": 0}
    told = {"name": "fashion", "reads": "pictures", "what": "", "draws": False, "levels": None}
    told |= {"shape": [28, 28, 1], "labels": labels, "output": output}
    path = tmp_path / "fashion.html"
    path.write_bytes(pages.assemble(told, page.module).content)
    tab = opened(path)
    draw(tab, 3)
    assert answer(tab) == "Nothing yet"
    assert "Drop a picture" in tab.locator("#hint").inner_text()
    Image.fromarray(np.zeros((50, 40), np.uint8)).save(tmp_path / "dark.png")
    tab.set_input_files("#file", tmp_path / "dark.png")
    tab.wait_for_selector("#digits button")
    assert answer(tab) in labels


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_before_and_after_an_answer(opened, file, scheme, tmp_path):
    source = (fetched(*AXE, tmp_path) / "axe.min.js").read_text()
    tab = opened(file, PHONE if scheme == "dark" else DESK, scheme, bypass_csp=True)
    for digit in (None, 3):
        if digit:
            draw(tab, digit)
        tab.evaluate(source)
        found = tab.evaluate("axe.run()")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
        assert len(found["passes"]) > 15
    if scheme == "light":  # a page that has a fault is one that axe finds
        tab.evaluate("document.querySelector('#open').textContent = ''")
        assert tab.evaluate("axe.run()")["violations"]
