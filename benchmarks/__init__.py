"""Checks the accuracy and measures the speed of a bundle's artifacts (`python -m benchmarks`)."""

import mnist_edge  # turns off ONNX Runtime's telemetry
