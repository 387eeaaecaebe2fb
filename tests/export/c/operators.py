"""One small net of random weights per operator and kind of options."""

import numpy as np

from tests.export.c.nets import Builder

_RNG = np.random.default_rng(7)
_U = _RNG.uniform


def _zero():
    return int(_RNG.integers(-128, 128))


def _weights(*shape):
    return _RNG.integers(-127, 128, shape)


def _convolution(kind, shape, stride, dilation, padding, fused, scales, **fields):
    net = Builder((1, 9, 11, 4), scale=float(_U(0.01, 0.1)), zero=_zero())
    axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
    k_h, k_w, out_c = *shape[1:3], shape[axis]
    weights = net.constant(_weights(*shape), "int8", scale=_U(0.001, 0.01, scales), axis=axis)
    bias = net.constant(_RNG.integers(-9000, 9000, out_c))
    sides = [
        -(-side // stride) if padding == 0 else (side - (k - 1) * dilation - 1) // stride + 1
        for side, k in ((9, k_h), (11, k_w))
    ]
    options = "DepthwiseConv2DOptions" if axis else "Conv2DOptions"
    more = {"strideH": stride, "strideW": stride, "padding": padding, **fields}
    more |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    net.op(kind, [0, weights, bias], (1, *sides, out_c), 0.07, _zero(), options=options,
           fusedActivationFunction=fused, **more)  # fmt: skip
    return net


def _dense(scales, scale, fused=0):
    net = Builder((1, 20), scale=float(_U(0.01, 0.1)), zero=_zero())
    steps = _U(0.001, 0.01, scales)
    weights = net.constant(_weights(300, 20), "int8", scale=steps)
    given = net.graph.tensors[0].quantization.scale[0]
    bias = net.constant(_RNG.integers(-9000, 9000, 300), scale=steps * given)
    net.op("FULLY_CONNECTED", [0, weights, bias], (1, 300), scale, _zero(),
           options="FullyConnectedOptions", fusedActivationFunction=fused)  # fmt: skip
    return net


def _pool(kind, padding, dtype, fused):
    zero = 5 if dtype == "int8" else 100
    net = Builder((1, 9, 11, 5), dtype, 0.05, zero)
    shape = (1, 5, 6, 5) if padding == 0 else (1, 4, 5, 5)
    net.op(kind, [0], shape, 0.05, zero, dtype, "Pool2DOptions", padding=padding, strideH=2,
           strideW=2, filterHeight=3, filterWidth=2, fusedActivationFunction=fused)  # fmt: skip
    return net


def _reduced(kind, axes, shape, scale):
    net = Builder((1, 7, 6, 5), scale=0.05, zero=5)
    axes = net.constant(list(axes))
    zero = 5 if scale == 0.05 else -7
    net.op(kind, [0, axes], shape, scale, zero, options="ReducerOptions")
    return net


def _softmax(depth, scale):
    net = Builder((1, depth), scale=scale, zero=5)
    net.op("SOFTMAX", [0], (1, depth), 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    return net


def _binary(kind, scales, shape, is_first=True, fused=0, options=None):
    net = Builder((1, 4, 5, 6), scale=scales[0], zero=5)
    zero = 5 if len(set(scales)) == 1 else -9
    other = net.constant(_weights(*shape), "int8", scale=scales[1], zero=zero)
    fields = {"fusedActivationFunction": fused} if options else {}
    inputs = [0, other] if is_first else [other, 0]
    net.op(kind, inputs, (1, 4, 5, 6), scales[2], zero, options=options, **fields)
    return net


def _unary(kind, scale, zero, options=None, dtype="int8", input_zero=-3, **fields):
    net = Builder((1, 300), scale=0.05, zero=input_zero)
    net.op(kind, [0], (1, 300), scale, zero, dtype, options, **fields)
    return net


def _moved(kind, shape, made, constants, options=None, **fields):
    net = Builder(shape)
    more = [net.constant(np.array(one, np.int32)) for one in constants]
    net.op(kind, [0, *more], made, options=options, **fields)
    return net


def _split_and_joined():
    net = Builder((1, 4, 6))
    parts = net.op("SPLIT", [net.constant(np.array(2, np.int32)), 0], [(1, 4, 2)] * 3,
                   options="SplitOptions", numSplits=3)  # fmt: skip
    net.op("CONCATENATION", [parts[2], parts[0], 0, parts[1]], (1, 4, 12),
           options="ConcatenationOptions", axis=-1)  # fmt: skip
    return net


def _unpacked_and_packed():
    net = Builder((1, 4, 6))
    parts = net.op("UNPACK", [0], [(1, 6)] * 4, options="UnpackOptions", num=4, axis=1)
    net.op("PACK", [parts[2], parts[0], parts[1]], (1, 6, 3), options="PackOptions",
           valuesCount=3, axis=2)  # fmt: skip
    return net


def _matrices(left, right):
    net = Builder((1, 6, 5))
    turned = net.op("TRANSPOSE", [0, net.constant([0, 2, 1])], (1, 5, 6))
    a, b = (turned if left else 0), (0 if right else turned)
    net.op("BATCH_MATMUL", [a, b], (1, 6, 6), 0.3, _zero(), options="BatchMatMulOptions",
           adjX=left, adjY=right)  # fmt: skip
    return net


def _transposed_convolution(padding, stride, height, width, has_bias):
    net = Builder((1, 4, 5, 3))
    weights = net.constant(_weights(7, 3, 2, 3), "int8", scale=_U(0.001, 0.01, 7))
    bias = [net.constant(_RNG.integers(-900, 900, 7))] if has_bias else []
    shape = (1, height, width, 7)
    net.op("TRANSPOSE_CONV", [net.constant(list(shape)), weights, 0, *bias], shape, 0.05, _zero(),
           options="TransposeConvOptions", padding=padding, strideH=stride,
           strideW=stride)  # fmt: skip
    return net


def _floats_first():
    net, plain = Builder((1, 30), "float32", None), {"scale": None, "dtype": "float32"}
    mean, factor = (net.constant(_U(0.1, 9, 30), "float32") for _ in range(2))
    moved = net.op("SUB", [0, mean], (1, 30), options="SubOptions", **plain)
    scaled = net.op("MUL", [moved, factor], (1, 30), options="MulOptions", **plain)
    net.op("QUANTIZE", [scaled], (1, 30), 3.0, 9)
    net.op("DEQUANTIZE", [net.graph.outputs[0]], (1, 30), **plain)
    return net


def _embedding():
    net, steps = Builder((1, 7), "float32", None), {"scale": 0.1, "zero": 4}
    numbers = net.op("CAST", [0], (1, 7), None, dtype="int32", options="CastOptions", inDataType=0,
                     outDataType=2)  # fmt: skip
    table = net.constant(_weights(400, 5), "int8", **steps)
    net.op("GATHER", [table, numbers], (1, 7, 5), options="GatherOptions", axis=0, **steps)
    return net


def _named():
    for padding, stride, dilation in ((0, 1, 1), (0, 2, 1), (1, 1, 1), (0, 1, 2), (1, 2, 1)):
        name = f"{('same', 'valid')[padding]} stride {stride} dilation {dilation}"
        yield (
            f"convolution {name}",
            _convolution("CONV_2D", (12, 3, 2, 4), stride, dilation, padding, stride, 12),
        )
        if dilation == 1:  # LiteRT takes no dilated depthwise convolution with strides
            yield (
                f"depthwise {name}",
                _convolution("DEPTHWISE_CONV_2D", (1, 3, 2, 4), stride, dilation, padding, 3, 4,
                             depthMultiplier=1),
            )  # fmt: skip
    yield "grouped", _convolution("CONV_2D", (12, 3, 2, 2), 1, 1, 0, 0, 12)
    yield "convolution with one scale", _convolution("CONV_2D", (12, 3, 2, 4), 1, 1, 0, 1, 1)
    yield (
        "depthwise times three",
        _convolution("DEPTHWISE_CONV_2D", (1, 3, 2, 12), 1, 1, 0, 0, 12, depthMultiplier=3),
    )
    for scales in (1, 300):
        for scale in (0.01, 0.2):
            yield f"dense of {scales} scales to {scale}", _dense(scales, scale, scales == 1)
    for kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        for padding, dtype, fused in ((0, "int8", 0), (1, "int8", 3), (0, "uint8", 1)):
            yield f"{kind} {padding} {dtype}", _pool(kind, padding, dtype, fused)
    for axes, shape in (((1, 2), (1, 5)), ((3,), (1, 7, 6)), ((1,), (1, 6, 5)), ((1, 3), (1, 6))):
        yield f"REDUCE_MAX {axes}", _reduced("REDUCE_MAX", axes, shape, 0.05)
        for scale in (0.05, 0.03, 0.011):
            yield f"MEAN {axes} to {scale}", _reduced("MEAN", axes, shape, scale)
    for depth in (2, 10, 300, 1000):
        for scale in (0.01, 0.3):
            yield f"SOFTMAX {depth} of {scale}", _softmax(depth, scale)
    for kind in ("ADD", "SUB", "MUL"):
        options = f"{kind.capitalize()}Options"
        for scales in ((0.05, 0.03, 0.07), (0.01, 0.2, 0.11)):
            for shape in ((1, 4, 5, 6), (1, 4, 1, 6), (6,), (1,)):
                for first in (True, False):
                    net = _binary(kind, scales, shape, first, int(first), options)
                    yield f"{kind} {scales} {shape} {first}", net
    for shape in ((1, 4, 5, 6), (6,)):
        for kind in ("MINIMUM", "MAXIMUM"):
            yield f"{kind} {shape}", _binary(kind, (0.05,) * 3, shape)
        yield f"PRELU {shape}", _binary("PRELU", (0.05, 0.013, 0.03), (1, 4, 5, 6))
        for scale in (0.05, 0.3):
            name, scales = f"SQUARED_DIFFERENCE {shape} {scale}", (0.05, 0.03, scale)
            yield name, _binary("SQUARED_DIFFERENCE", scales, shape)
    yield "LOGISTIC", _unary("LOGISTIC", 1 / 256, -128)
    yield "TANH", _unary("TANH", 1 / 128, 0)
    yield "HARD_SWISH", _unary("HARD_SWISH", 0.04, -100)
    yield "RELU", _unary("RELU", 0.02, -128)
    yield "RELU6", _unary("RELU6", 6 / 255, -128)
    yield "EXP", _unary("EXP", 0.1, -128)
    yield "GELU", _unary("GELU", 0.04, -120)
    yield "RSQRT", _unary("RSQRT", 0.05, -128, input_zero=-128)
    yield "LEAKY_RELU", _unary("LEAKY_RELU", 0.03, 9, "LeakyReluOptions", alpha=0.3)
    yield "QUANTIZE to int8", _unary("QUANTIZE", 0.03, 9)
    yield "QUANTIZE to uint8", _unary("QUANTIZE", 0.03, 77, dtype="uint8")
    yield "DEQUANTIZE", _unary("DEQUANTIZE", None, 0, dtype="float32")
    yield "floats", _floats_first()
    four, six = (1, 4, 5, 6), (1, 9, 5, 6)
    yield "RESHAPE", _moved("RESHAPE", four, (1, 120), [[1, 120]], "ReshapeOptions")
    yield "TRANSPOSE", _moved("TRANSPOSE", four, (1, 6, 4, 5), [[0, 3, 1, 2]])
    yield "SLICE", _moved("SLICE", four, (1, 2, 5, 3), [[0, 1, 0, 2], [1, 2, -1, 3]])
    yield (
        "STRIDED_SLICE",
        _moved("STRIDED_SLICE", six, (1, 4, 5, 6), [[0, 1, 0, 0], [1, 9, 5, 6], [1, 2, 1, 1]],
               "StridedSliceOptions"),
    )  # fmt: skip
    yield (
        "STRIDED_SLICE of one",
        _moved("STRIDED_SLICE", six, (1, 5, 6), [[0, -2, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]],
               "StridedSliceOptions", shrinkAxisMask=2, beginMask=12, endMask=12),
    )  # fmt: skip
    yield (
        "STRIDED_SLICE backwards",
        _moved("STRIDED_SLICE", six, six, [[0, -1, 0, 0], [1, 0, 0, 0], [1, -1, 1, 1]],
               "StridedSliceOptions", beginMask=12, endMask=14),
    )  # fmt: skip
    yield "PAD", _moved("PAD", four, (1, 7, 7, 6), [[[0, 0], [1, 2], [1, 1], [0, 0]]])
    yield "TILE", _moved("TILE", four, (1, 8, 5, 18), [[1, 2, 1, 3]])
    yield "SPLIT and CONCATENATION", _split_and_joined()
    yield "UNPACK and PACK", _unpacked_and_packed()
    yield "embedding", _embedding()
    for half, corners in ((False, False), (True, False), (False, True)):
        for shape in ((1, 9, 7, 6), (1, 3, 4, 6), (1, 8, 10, 6)):
            yield (
                f"RESIZE_BILINEAR {shape} {half} {corners}",
                _moved("RESIZE_BILINEAR", four, shape, [shape[1:3]], "ResizeBilinearOptions",
                       halfPixelCenters=half, alignCorners=corners),
            )  # fmt: skip
    for left in (False, True):
        for right in (False, True):
            yield f"BATCH_MATMUL {left} {right}", _matrices(left, right)
    for padding, stride, *sides in ((0, 2, 8, 10), (1, 2, 9, 10), (0, 1, 4, 5), (1, 1, 6, 6)):
        net = _transposed_convolution(padding, stride, *sides, has_bias=stride == 2)
        yield f"TRANSPOSE_CONV {padding} {stride}", net


NETS = {name: net.content() for name, net in _named()}
