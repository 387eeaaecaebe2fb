"""Train handwritten-digit classifiers with Keras, on any Keras backend.

    python -m mnist_edge.train

writes a bundle, `artifacts/edge/`, that `python -m export` turns into TFLite and
ONNX files and `python -m benchmarks` judges.
"""

__version__ = "0.1.0"
