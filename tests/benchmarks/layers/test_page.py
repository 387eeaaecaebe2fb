"""The page and the table: what they show, and that names can't break out of them."""

import html.parser

import numpy as np

from benchmarks.layers import page, table
from benchmarks.layers.compare import Drawn
from benchmarks.layers.records import Fall
from tests.benchmarks.layers.made import report, result

EVIL = "<script>alert(1)</script>\"'&\x1b[31m"


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def drawn(**changes):
    layers = (
        result("first"),
        result("second", 1.5, time_us=2.0, fused=("norm",)),
        result("out", 0),
    )
    pictures = {0: np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)}
    return Drawn(report(*layers, **{"fall": Fall("second", "1.5 dB"), **changes}), pictures)


def test_the_page_needs_nothing_else():
    shown = Tags(page.render(drawn()))
    assert "script" not in shown.tags
    assert len(shown.links) == 3
    assert all(link.startswith("data:image/png;base64,") for link in shown.links)


def test_the_layer_that_falls_is_marked_and_no_other():
    text = page.render(drawn())
    assert text.count("<b>second ▸</b>") == text.count("▸") == 1
    assert text.count('<tr class="bad">') == 1
    assert "Quality falls first at second: 1.5 dB." in text
    sound = page.render(drawn(fall=None))
    assert "No layer falls." in sound
    assert "▸" not in sound


def test_names_are_escaped():
    evil = result(EVIL, fused=(EVIL,), kind=EVIL, operator=EVIL, tensor=EVIL)
    made = report(evil, bundle=EVIL, variant=EVIL, runtime=EVIL, fall=Fall(EVIL, EVIL))
    text = page.render(Drawn(made, {0: np.zeros((2, 4, 4), np.float32)}))
    assert "script" not in Tags(text).tags
    assert "\x1b" not in text + table.text(made)


def test_values_that_are_not_numbers_can_be_drawn():
    pictures = {0: np.full((2, 4, 4), np.nan, np.float32)}
    assert "data:image/png" in page.render(Drawn(drawn().report, pictures))


def test_the_table_says_what_has_no_tensor_and_where_quality_falls():
    lines = table.text(drawn(unmatched=("last",)).report).splitlines()
    assert lines[-3:] == [
        "computed with second: norm",
        "not found: last",
        "quality falls first at second: 1.5 dB",
    ]


def test_a_failure_is_one_line():
    assert table.text(report(failure="crashed\nhere")) == "edge, tflite-int8 FAILED: crashed here"
