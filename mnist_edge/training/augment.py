"""How far training images are distorted: the ranges, which a recipe names.

`distortion.py` has the layer; this file is read without Keras.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Affine:
    """The ranges that a distortion is drawn from, each uniform about 0 but for the last three.

    Attributes:
        rotation: Degrees.
        shift: Pixels, in each direction.
        zoom: Fraction of the size, the same in both directions.
        shear: Degrees.
        elastic: Pixels: standard deviation of a smooth field of displacements.
        noise: Gray levels of 255: normal noise, its standard deviation uniform from 0 to
            this an image; the result is cut off at 0 and 255.
        erase: Pixels: side of a square that is set to 0, anywhere in the image.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    noise: float = 0.0
    erase: int = 0
