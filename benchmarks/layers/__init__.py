"""Compares an artifact with the Keras model layer by layer (`python -m benchmarks.layers`)."""
