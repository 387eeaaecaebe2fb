"""Train handwritten-digit classifiers with Keras, on any Keras backend.

    python -m mnist_edge.train

writes a bundle, `artifacts/edge/`, that `python -m export` turns into TFLite and
ONNX files and `python -m benchmarks` judges.
"""

import os

# Before they are imported, here or in a child. From its import on, ONNX Runtime would keep an
# identifier of the device on disk and send events over the network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
