"""Load, validate and split data sets. Needs only NumPy."""

from mnist_edge.data.catalog import name_classes, numbered
from mnist_edge.data.dataset import (
    HELP,
    IN_MEMORY,
    LABELS_HELP,
    MOST_CLASSES,
    Dataset,
    as_inputs,
    in_shape,
    load,
    load_recorded,
    require_gray_levels,
    split_indices,
)
from mnist_edge.data.sources import MNIST
