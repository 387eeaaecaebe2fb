"""Measure a bundle: is each artifact right, and how fast is it? `python -m benchmarks`."""

import mnist_edge  # noqa: F401, switches ONNX Runtime's telemetry off
