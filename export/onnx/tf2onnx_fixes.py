"""What tf2onnx lacks or gets wrong."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


@functools.cache
def apply() -> None:
    """Mends tf2onnx for the rest of the process."""
    _add_operators()
    _correct_shapes()


def _correct_shapes() -> None:
    """Corrects the shapes that tf2onnx reads when it replaces a Transpose by a Reshape.

    It moves transpositions and keeps the shape that was before. A Transpose of one pixel then
    becomes a Reshape that mixes up the axes, so that a LayerNormalization of it is wrong.
    """
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

    replace = TransposeOptimizer.post_optimize_action

    def corrected(self: Any) -> None:
        graph = self._g
        for node in self.nodes:
            axes = node.get_attr_value("perm") if node.type == "Transpose" else None
            shape = graph.get_shape(node.output[0])
            if axes and shape:
                sides = dict(zip(axes, shape, strict=True))
                graph.set_shape(node.input[0], [sides[axis] for axis in range(len(shape))])
        replace(self)

    TransposeOptimizer.post_optimize_action = corrected


def _add_operators() -> None:
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
