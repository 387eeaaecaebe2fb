"""Operators that tf2onnx lacks."""

from collections.abc import Callable
from typing import Any

import numpy as np


def register() -> None:
    """Teaches tf2onnx the operators of the exact `gelu`, `celu` and `log1p`."""
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    def handler(first: tuple[str, ...], second: tuple[str, ...]) -> Callable[..., None]:
        """Returns what writes two operators, given kind and inputs; `y` is what the first gives."""

        def handle(graph: Any, node: Any, **_: object) -> None:
            dtype = utils.map_onnx_to_numpy_type(graph.get_dtype(node.output[0]))
            kept = {"shapes": node.output_shapes, "dtypes": node.output_dtypes}
            graph.remove_node(node.name)
            one = graph.make_const(utils.make_name("one"), np.ones((), dtype))
            values = {"x": node.input[0], "1": one.output[0]}
            (kind, *read), (last, *given) = first, second
            values["y"] = graph.make_node(kind, [values[n] for n in read], **kept).output[0]
            graph.make_node(last, [values[n] for n in given], outputs=node.output, **kept)

        return handle

    for kind, first, second in [
        ("Erfc", ("Erf", "x"), ("Sub", "1", "y")),
        ("Expm1", ("Exp", "x"), ("Sub", "y", "1")),
        ("Log1p", ("Add", "1", "x"), ("Log", "y")),
    ]:
        # From the first opset that has Erf.
        tf_op(kind).register_compat_handler(handler(first, second), version=9)
