"""Each kernel path, chosen by the compiler's macros, gives the reference kernels' bytes."""

from pathlib import Path

import numpy as np
import pytest

from export.c import plan
from tests.export.c import compiled
from tests.export.c.nets import Builder
from tests.export.c.operators import NETS, _weights

# Flags of gcc, and the flag of the processor that it takes to run what they make.
_VNNI = ("-mavx2", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
PATHS = {
    "portable": (("-O3", "-DMNIST_EDGE_PORTABLE"), ""),
    "portable, vectorized": (("-O3", "-mavx2", "-DMNIST_EDGE_PORTABLE"), "avx2"),
    "AVX2": (("-O1", "-mavx2"), "avx2"),
    "AVX-512-VNNI": (("-O1", *_VNNI), "avx512_vnni"),
}
TABLES = {"AVX-512-VBMI": (("-O1", *_VNNI, "-mavx512vbmi"), "avx512vbmi")}
COUNT = 10


def convolution(
    image, filters, kernel=3, stride=1, same=True, zero=-128, relu=True, pooled=False, border=0
):
    """A convolution of a `[height, width, channels]` image, and what is fused with it."""
    height, width, channels = image
    net = Builder((1, *image), scale=0.05, zero=-3)
    given = 0
    if border:
        height, width = height + 2 * border, width + 2 * border
        borders = net.constant([[0, 0], [border, border], [border, border], [0, 0]])
        given = net.op("PAD", [0, borders], (1, height, width, channels), options="PadOptions")
    weights = net.constant(
        _weights(filters, kernel, kernel, channels), "int8", scale=np.linspace(0.001, 0.01, filters)
    )
    sides = [-(-side // stride) if same else (side - kernel) // stride + 1
             for side in (height, width)]  # fmt: skip
    made = net.op("CONV_2D", [given, weights, net.constant(np.arange(filters) * 9)],
                  (1, *sides, filters), 0.07, zero, options="Conv2DOptions", padding=int(not same),
                  strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1,
                  fusedActivationFunction=int(relu))  # fmt: skip
    if pooled:
        net.op("MAX_POOL_2D", [made], (1, sides[0] // 2, sides[1] // 2, filters), 0.07, zero,
               options="Pool2DOptions", padding=1, strideH=2, strideW=2, filterHeight=2,
               filterWidth=2)  # fmt: skip
    return net.content()


def silu():
    """x times sigmoid(x)."""
    net = Builder((1, 5, 256), scale=0.05, zero=-3)
    gate = net.op("LOGISTIC", [0], (1, 5, 256), 1 / 256, -128)
    net.op("MUL", [gate, 0], (1, 5, 256), 0.04, -110, options="MulOptions")
    return net.content()


def average(channels, taps, relu6=False):
    """The averages of windows of `taps` by `taps` neighbors, with stride 2."""
    net = Builder((1, 9, 11, channels), scale=0.05, zero=-3)
    sides = [(side - taps) // 2 + 1 for side in (9, 11)]
    net.op("AVERAGE_POOL_2D", [0], (1, *sides, channels), options="Pool2DOptions", padding=1,
           strideH=2, strideW=2, filterHeight=taps, filterWidth=taps,
           fusedActivationFunction=3 * relu6)  # fmt: skip
    return net.content()


FUSED = {
    "SiLU": silu(),
    "the average of 3 x 3, 37 channels": average(37, 3),
    "the average of 2 x 2, 7 channels": average(7, 2, relu6=True),
    # Winograd's transform on AVX2.
    "33 filters, odd channels, odd sides": convolution((11, 13, 9), 33, zero=7, relu=False),
    "10 filters, many channels, pooled": convolution((10, 12, 17), 10, pooled=True),
    "5 filters, pooled, a border": convolution((9, 8, 8), 5, same=False, pooled=True, border=2),
    "10 filters, pooled, odd sides": convolution((11, 13, 5), 10, pooled=True),
    "33 filters, pooled, a border": convolution((9, 8, 3), 33, same=False, pooled=True, border=2),
    "1 filter, a row": convolution((1, 9, 2), 1, 1),
    "24 filters, pooled": convolution((6, 6, 2), 24, pooled=True),
    "48 filters, any zero point": convolution((7, 7, 6), 48, zero=11, relu=False),
    "16 filters, stride 2, any zero point": convolution((14, 15, 1), 16, 5, 2, zero=4, pooled=True),
}
SINGLE = {name: (FUSED | NETS)[name] for name in ("SiLU", "LOGISTIC", "TANH")}
MIXED = FUSED | {name: NETS[name] for name in NETS if name.startswith(("AVERAGE", "conv", "de"))}


def flags_of(path):
    """The compiler's flags of a path; skips the test where the processor can't run it."""
    flags, needed = (PATHS | TABLES)[path]
    if not needed:
        return flags
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        known = []
    if needed not in known:
        pytest.skip(f"this processor has no {needed}")
    # The header once, outside of the namespaces: there gcc 12 warns of the header itself.
    return (*flags, "-include", "immintrin.h", "-Wno-uninitialized")


@pytest.mark.parametrize("path", [*PATHS, *TABLES])
def test_a_path_gives_the_reference_kernels_bytes(path, tmp_path):
    flags = flags_of(path)
    nets = SINGLE if path in TABLES else FUSED if "vectorized" in path else MIXED
    names = {f"net{i}": content for i, content in enumerate(nets.values())}
    texts = {name: compiled.text_of(content, name) for name, content in names.items()}
    loaded = compiled.library(texts, tmp_path, (*compiled.WARNINGS, *flags))
    for (name, content), title in zip(names.items(), nets, strict=True):
        inputs = compiled.inputs_of(content, COUNT)
        found = compiled.computed(loaded, name, content, inputs)
        assert found.tobytes() == compiled.expected(content, inputs).tobytes(), title


@pytest.mark.parametrize("path", [*(path for path in PATHS if "AVX" in path), *TABLES])
def test_vectors_stay_in_their_buffers(path, tmp_path):
    flags = flags_of(path)
    nets = {
        f"net{i}": (compiled.text_of(content, f"net{i}"), compiled.program(content))
        for i, content in enumerate(list((SINGLE if path in TABLES else FUSED).values())[:5])
    }
    done = compiled.run_sanitized(nets, tmp_path, flags=flags)
    assert done[:2] == (0, "done\n"), done[2][:3000]


def test_pooling_and_borders_are_fused_and_memory_is_written_over():
    content = FUSED["33 filters, pooled, a border"]
    lowered = compiled.program(content)
    assert [step.kernel for step in lowered.steps] == ["flip", "conv"]
    assert [step.kernel for step in compiled.program(FUSED["SiLU"]).steps] == ["flip", "lookup"]
    image = convolution((20, 20, 8), 8)
    steps = compiled.program(image).steps
    places = [step.writes for step in steps]
    planned = plan.plan(compiled.program(image))
    assert planned.work < sum(place.bytes for place in places) * 0.7


def test_a_wrong_gap_gives_other_bytes(tmp_path, monkeypatch):
    content = convolution((12, 12, 4), 4)
    monkeypatch.setattr(plan, "_gap", lambda step: 0)
    loaded = compiled.library({"net": compiled.text_of(content)}, tmp_path)
    inputs = compiled.inputs_of(content, COUNT)
    found = compiled.computed(loaded, "net", content, inputs)
    assert (found != compiled.expected(content, inputs)).any()
