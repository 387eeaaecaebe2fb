"""The model zoo: architectures, recipes, packaged weights. Keras is imported in functions only."""

from mnist_edge.models.recipe import Affine, Recipe
from mnist_edge.models.zoo import (
    DEFAULT,
    GENTLE,
    PRETRAINED,
    ZOO,
    Network,
    assemble,
    build,
    multiply_accumulates,
)
