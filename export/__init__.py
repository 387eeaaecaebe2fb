"""Export a bundle's Keras model to TFLite and ONNX: `python -m export [BUNDLE]`."""
