"""A photograph of digits -> 28 x 28 pixels as MNIST's makers made them. NumPy and Pillow."""

from mnist_edge.images.normalize import Digit, load, prepare

__all__ = ["Digit", "load", "prepare"]
