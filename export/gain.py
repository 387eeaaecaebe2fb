"""How much faster is our ONNX file than Keras's own export of the same model?

    python -m export.gain artifacts/edge

times both in ONNX Runtime, in turn, in one run, beside an empty graph: a call at batch 1
on one thread, NumPy array in, NumPy array out.
"""

import sys
import time
from pathlib import Path

import numpy as np

from mnist_edge import backend, bundle, cli, models
from mnist_edge.safety import scratch, supervise

from . import empty, source
from .onnx import convert as onnx_convert

_ROUNDS, _CALLS = 30, 200


def measure(folder):
    """Times an empty graph and the raw and the clean ONNX file of a bundle's model.

    Args:
        folder: The bundle.

    Returns:
        dict: "empty", "raw" and "clean" to `(nodes, median_us)`.
    """
    import onnx

    opened = source.open_bundle(folder)
    images, _ = opened.check_set()
    contents = {"empty": empty.onnx(), **_exports(opened.model)}
    nodes = {name: len(onnx.load_from_string(made).graph.node) for name, made in contents.items()}
    inputs = dict.fromkeys(contents, images[:1]) | {"empty": np.zeros(empty.TAKEN, np.float32)}
    medians = _time_in_turn(contents, inputs)
    return {name: (nodes[name], medians[name]) for name in contents}


def _exports(model):
    """Keras's own ONNX file and ours, bytes, by name."""
    with scratch.folder() as raw, scratch.folder() as clean:
        with cli.native_logs_held():
            paths = {
                "raw": onnx_convert.export_raw(model, None, raw),
                "clean": onnx_convert.prepare(model, None, onnx_convert.OLDEST_OPSET, clean),
            }
        return {name: path.read_bytes() for name, path in paths.items()}


def _time_in_turn(contents, inputs):
    """Median of a call in µs, by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for name, content in contents.items()
    }
    samples = {name: [] for name in sessions}
    for _ in range(_ROUNDS):
        for name, session in sessions.items():
            for _ in range(_CALLS):
                before = time.perf_counter_ns()
                session.run(["probabilities"], {"image": inputs[name]})
                samples[name].append(time.perf_counter_ns() - before)
    return {name: float(np.median(taken)) / 1000 for name, taken in samples.items()}


@cli.command
def main(argv=None):
    """Prints the medians and their ratios; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=bundle.ARTIFACTS / models.DEFAULT, help="a bundle"
    )
    folder = parser.parse_args(argv).bundle
    backend.start_keras()
    figures = measure(folder)
    for name, (nodes, median_us) in figures.items():
        times = median_us / figures["empty"][1]
        print(f"{name:<6} {nodes:3d} nodes  {median_us:6.1f} us a call, {times:5.2f} times empty")
    print(f"{figures['raw'][1] / figures['clean'][1]:.2f} times faster than Keras's own export")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
