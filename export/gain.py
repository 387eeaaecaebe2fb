"""How much faster is our ONNX file than Keras's own export of the same model?

    python -m export.gain artifacts/edge

times both in ONNX Runtime, in turn, in one run: a call at batch 1 on one thread, NumPy
array in, NumPy array out.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from export import source, to_onnx
from mnist_edge import backend, bundle, cli, models

_ROUNDS, _CALLS = 30, 200


def measure(folder):
    """Times the raw and the clean ONNX file of a bundle's model.

    Args:
        folder: The bundle.

    Returns:
        dict: "raw" and "clean" to `(nodes, median_us)`.
    """
    import onnx
    import onnxruntime

    opened = source.open_bundle(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    image, _ = opened.check_set()
    image = image[:1]
    sessions, nodes = {}, {}
    with tempfile.TemporaryDirectory() as raw, tempfile.TemporaryDirectory() as clean:
        with cli.native_logs_held():
            paths = {
                "raw": to_onnx.export_raw(opened.model, None, raw),
                "clean": to_onnx.prepare(opened.model, None, to_onnx.OLDEST_OPSET, clean),
            }
        for name, path in paths.items():
            nodes[name] = len(onnx.load(path).graph.node)
            sessions[name] = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
    samples = {name: [] for name in sessions}
    for _ in range(_ROUNDS):
        for name, session in sessions.items():
            for _ in range(_CALLS):
                before = time.perf_counter_ns()
                session.run(["probabilities"], {"image": image})
                samples[name].append(time.perf_counter_ns() - before)
    return {name: (nodes[name], float(np.median(samples[name])) / 1000) for name in sessions}


@cli.command
def main(argv=None):
    """Prints both medians and their ratio; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=bundle.ARTIFACTS / models.DEFAULT, help="a bundle"
    )
    folder = parser.parse_args(argv).bundle
    backend.start_keras()
    figures = measure(folder)
    for name, (nodes, median_us) in figures.items():
        print(f"{name:<6} {nodes:3d} nodes  {median_us:6.1f} us a call")
    print(f"{figures['raw'][1] / figures['clean'][1]:.2f} times faster than Keras's own export")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
