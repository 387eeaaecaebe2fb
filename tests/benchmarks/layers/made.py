"""Layers and reports made up for tests."""

import numpy as np

from benchmarks.layers.activation import Activation
from benchmarks.layers.records import LayerReport, LayerResult


def tensor(values, name="", kind="x"):
    return Activation(name, kind, np.asarray(values, np.float32))


def result(layer="conv", db=40.0, shape=(8, 8, 4), spread=3.0, **changes):
    """A layer with the same ratio for all values and by channel."""
    given = {
        "layer": layer,
        "kind": "Conv2D",
        "shape": shape,
        "fused": (),
        "tensor": "t",
        "operator": "CONV_2D",
        "match": "values",
        "snr_db": db,
        "channel_snr_db": db,
        "max_difference": 0.1,
        "relative_difference": 0.01,
        "cosine": 1.0,
        "saturated": 0.0,
        "channel_spread": spread,
        "worst_channel": 0,
        "time_us": None,
    }
    return LayerResult(**given | changes)


def report(*layers, **changes):
    given = {"bundle": "edge", "variant": "tflite-int8", "precision": "int8", "runtime": "LiteRT 1"}
    return LayerReport(**given | {"images": 8, "layers": layers} | changes)
