"""ONNX: convert (calibrates int8 too), inspect, metadata."""
