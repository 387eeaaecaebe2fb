"""Convert photographs of digits to 28 x 28 pixels in MNIST's style, by NumPy, Pillow, SciPy."""

from mnist_edge.images.normalize import Digit, load, prepare

__all__ = ["Digit", "load", "prepare"]
