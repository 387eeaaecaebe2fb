"""Metadata embedded in every artifact: its inputs, outputs and source model."""

from typing import TYPE_CHECKING, Any

import mnist_edge
from mnist_edge import heads

from .variants import Variant

if TYPE_CHECKING:
    from .artifact import About


def fields(about: "About", variant: Variant) -> dict[str, Any]:
    """Returns what is embedded: `input` and `output`, or lists of them if there are several.

    An output without `kind` holds the probabilities of exclusive classes.
    """
    ports: dict[str, list[dict[str, Any]]] = {"inputs": [], "outputs": []}
    for part in about.inputs:
        layout = "NHWC" if len(part.shape) == 3 else "batch first"
        one = {"name": part.name, "shape": part.shape, "layout": layout, "range": about.input_range}
        ports["inputs"].append(one)
    for head in about.heads:
        kind = {} if head.kind == heads.CLASSES else {"kind": head.kind}
        ports["outputs"].append({"name": head.name, "labels": head.labels, **kind})
    found: dict[str, Any] = {
        "project": f"mnist-edge {mnist_edge.__version__}",
        "model": about.name,
        "source_model_sha256": about.sha256,
        "variant": variant.name,
    }
    for name, each in ports.items():
        found |= {name: each} if len(each) > 1 else {name.removesuffix("s"): each[0]}
    return found
