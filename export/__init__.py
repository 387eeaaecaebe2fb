"""Export Keras classifiers to TFLite and ONNX: `python -m export [BUNDLE]`."""

import mnist_edge  # turns ONNX Runtime's telemetry off
