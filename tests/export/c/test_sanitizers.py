"""Nothing is read or written outside of the buffers: operators, mutants, a whole network."""

import functools

import pytest

from export.c import graph
from mnist_edge import cli
from tests.export.c import compiled
from tests.export.c.nets import Builder
from tests.export.c.operators import NETS, _weights
from tests.mutants import mutants

SEED = 18
WELL = (0, "done\n", "")


@functools.cache
def classifier():
    """A small network of a classifier's usual operators."""
    net = Builder((1, 12, 12, 1), "uint8", 1.0, 0)
    given = net.op("QUANTIZE", [0], (1, 12, 12, 1), 1.0, -128)
    for i, (kind, shape) in enumerate(
        (("CONV_2D", (4, 3, 3, 1)), ("DEPTHWISE_CONV_2D", (1, 3, 3, 4)), ("CONV_2D", (6, 3, 3, 4)))
    ):
        axis = 3 if kind[0] == "D" else 0
        weights = net.constant(_weights(*shape), "int8", scale=[0.01] * shape[axis], axis=axis)
        options = "DepthwiseConv2DOptions" if axis else "Conv2DOptions"
        more = {"depthMultiplier": 1} if axis else {}
        given = net.op(kind, [given, weights, net.constant([100] * shape[axis])],
                       (1, 12, 12, (4, 4, 6)[i]), 0.5, -128, options=options, padding=0, strideH=1,
                       strideW=1, dilationHFactor=1, dilationWFactor=1,
                       fusedActivationFunction=1, **more)  # fmt: skip
    pooled = net.op("MAX_POOL_2D", [given], (1, 6, 6, 6), 0.5, -128, options="Pool2DOptions",
                    padding=1, strideH=2, strideW=2, filterHeight=2, filterWidth=2)  # fmt: skip
    summed = net.op("ADD", [pooled, pooled], (1, 6, 6, 6), 1.0, -128, options="AddOptions")
    mean = net.op("MEAN", [summed, net.constant([1, 2])], (1, 6), 0.9, -128,
                  options="ReducerOptions")  # fmt: skip
    dense = net.op("FULLY_CONNECTED",
                   [mean, net.constant(_weights(10, 6), "int8", scale=[0.01] * 10)],
                   (1, 10), 0.1, 3, options="FullyConnectedOptions")  # fmt: skip
    net.op("SOFTMAX", [dense], (1, 10), 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    net.op("QUANTIZE", [net.graph.outputs[0]], (1, 10), 1 / 256, 0, "uint8")
    return net.content()


def test_the_operators_stay_in_their_buffers(tmp_path):
    nets = {}
    for i, content in enumerate(NETS.values()):
        nets[f"net{i}"] = compiled.text_of(content, f"net{i}"), compiled.program(content)
    done = compiled.run_sanitized(dict(list(nets.items())[::3]), tmp_path)
    assert done == WELL, done[2][:3000]


@pytest.mark.parametrize("count", [100, pytest.param(300, marks=pytest.mark.long)])
def test_a_mutant_is_refused_in_a_line_or_stays_in_its_buffers(tmp_path, count):
    made, refused = {}, 0
    for name, content in mutants("tflite", {"tflite-int8": classifier()}, count, SEED):
        try:
            text, lowered = compiled.text_of(content, "NAME"), compiled.program(content)
        except graph.Unsupported as error:
            line = cli.one_line(error)
            assert line.isprintable(), name
            refused += 1
        else:
            made.setdefault(text, lowered)
    assert refused > count / 3
    assert len(made) > count / 30
    nets = {
        f"m{i}": (text.replace("NAME", f"m{i}"), lowered)
        for i, (text, lowered) in enumerate(made.items())
    }
    done = compiled.run_sanitized(nets, tmp_path)
    assert done == WELL, done[2][:3000]


def test_the_sanitizers_see_a_write_behind_the_scratch_buffer(tmp_path):
    content = classifier()
    net = compiled.text_of(content, "net"), compiled.program(content)
    planned = compiled.source.plan.plan(net[1])
    missing = planned.lanes_bytes - planned.work  # the memory that kernels work in
    done = compiled.run_sanitized({"net": net}, tmp_path, missing=missing)
    assert done[0]
    assert "heap-buffer-overflow" in done[2]


@pytest.mark.long
def test_a_network_stays_in_its_buffers_on_all_operators(tmp_path):
    nets = {
        f"net{i}": (compiled.text_of(content, f"net{i}"), compiled.program(content))
        for i, content in enumerate(NETS.values())
    }
    done = compiled.run_sanitized(nets, tmp_path, inputs=100)
    assert done == WELL, done[2][:3000]
