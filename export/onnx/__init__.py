"""ONNX: convert, optimize, inspect."""
