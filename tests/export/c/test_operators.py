"""Each operator's bytes are those of LiteRT's reference kernels; a changed rounding shows."""

import re

import numpy as np
import pytest

from export.c import graph, lower
from export.c.lower import OPERATORS
from tests.export.c import compiled
from tests.export.c.nets import Builder
from tests.export.c.operators import NETS

COUNT = 20
ONCE = "return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift));"


def prefixed(texts):
    return {f"net{i}": text for i, text in enumerate(texts)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    names = {f"net{i}": content for i, content in enumerate(NETS.values())}
    texts = {name: compiled.text_of(content, name) for name, content in names.items()}
    folder = tmp_path_factory.mktemp("operators")
    return compiled.library(texts, folder, ("-O0", "-Wall", "-Wextra", "-Werror"))


@pytest.mark.parametrize("number", range(len(NETS)), ids=list(NETS).__getitem__)
def test_an_operator_gives_the_reference_kernels_bytes(loaded, number):
    content = list(NETS.values())[number]
    inputs = compiled.inputs_of(content, COUNT)
    found = compiled.computed(loaded, f"net{number}", content, inputs)
    assert found.tobytes() == compiled.expected(content, inputs).tobytes()


def test_every_operator_of_the_table_is_tested():
    tested = {node.kind for content in NETS.values() for node in graph.read(content).nodes}
    # The same functions as RESHAPE and PAD.
    assert OPERATORS.keys() - tested == {"SQUEEZE", "EXPAND_DIMS", "PADV2"}


def rounded_otherwise(text):
    """A source whose convolutions round once, and whose dense layers twice."""
    start = text.index("static inline int32_t requantize")
    body = text[start : text.index("\n}\n", start)]
    name = re.search(r"requantize\w*", body)[0]
    twice = compiled.source.kernels.source("requantize")[1]
    other = twice[twice.index("{") : twice.rindex("}")]
    other = "{\n    " + ONCE if name == "requantize" else other
    return text.replace(body[body.index("{") :], other)


@pytest.mark.parametrize(
    "name",
    [
        "convolution same stride 1 dilation 1",
        "depthwise same stride 1 dilation 1",
        "dense of 1 scales to 0.01",
        "dense of 300 scales to 0.01",
        "MEAN (1, 2) to 0.03",
        "MUL (0.05, 0.03, 0.07) (1, 4, 5, 6) True",
    ],
)
def test_the_other_rounding_gives_other_bytes(tmp_path, name):
    content = NETS[name]
    texts = {"net": rounded_otherwise(compiled.text_of(content))}
    assert texts["net"] != compiled.text_of(content)
    loaded = compiled.library(texts, tmp_path)
    inputs = compiled.inputs_of(content, 600)
    found = compiled.computed(loaded, "net", content, inputs)
    assert (found != compiled.expected(content, inputs)).any()


def test_an_operator_without_a_kernel_is_named_with_its_layer():
    net = Builder((1, 4, 5, 6))
    net.op("L2_NORMALIZATION", [0], (1, 4, 5, 6), options="L2NormOptions")
    with pytest.raises(graph.Unsupported, match="operator L2_NORMALIZATION of layer layer_1"):
        lower.lower(graph.read(net.content()))


def test_sums_that_do_not_fit_are_refused():
    net = Builder((1, 4))
    weights = net.constant(np.full((2, 4), 127), "int8", scale=[0.1, 0.1])
    bias = net.constant([2**31 - 1, 0])
    net.op("FULLY_CONNECTED", [0, weights, bias], (1, 2), options="FullyConnectedOptions")
    with pytest.raises(graph.Unsupported, match="32 bits"):
        lower.lower(graph.read(net.content()))
