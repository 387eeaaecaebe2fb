"""Find, for each layer of the Keras model, the artifact's tensor that holds its output."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .activation import Activation

BY_NAME, BY_VALUES, BY_ORDER = "name", "values", "order"
# Values per image that are compared to find the tensors, drawn at random: evenly spaced ones would
# all be of a few channels.
_SAMPLED = 1024
# Agreement from which a pair is certain; 1 is equality. Noise 10 dB below the signal gives 0.95.
_CERTAIN = 0.9
# Agreement below which a pair is none if values agree again after it: less than half in common.
_LIKELY = 0.5
# Score of a pair that has only its shape in common: less than any agreement that means something.
_SHAPE_ONLY = 0.01
# A pair that is this much worse, in decibels, than others before and after it is none: noise stays
# in the layers that follow. Pooling, which averages it, gains a few decibels.
_DIP_DB = 15
# No pair with less noise than this, relative to the signal, agrees by accident.
_ACCIDENT_DB = -15


@dataclasses.dataclass(frozen=True)
class Match:
    """A layer's tensor.

    Attributes:
        layer: Position among the layers.
        tensor: Position among the artifact's tensors.
        way: "name" if the tensor is named after the layer; "values" if their values agree;
            "order" if only the shape and the place in the graph agree.
        is_moved: Whether the tensor's channels come first.
    """

    layer: int
    tensor: int
    way: str
    is_moved: bool


def find(layers: Sequence[Activation], tensors: Sequence[Activation]) -> list[Match]:
    """Matches layers with tensors, both in order of execution.

    A layer and a tensor that agree best with each other are a pair. Of the rest, which the artifact
    may compute wrongly, as many as possible are paired in their order. A layer without a tensor is
    one that the converter computes together with another.

    Args:
        layers: Keras's outputs for some images.
        tensors: The artifact's, for the same images.

    Returns:
        At most one match per layer and per tensor, by layer.
    """
    scores, is_moved, named = _scores(layers, tensors)
    pairs = _best_pairs(scores)
    last_layer, last_tensor = (max(each, default=-1) for each in zip(*pairs, (-1, -1), strict=True))
    rest = np.where(scores >= _LIKELY, scores, -np.inf)
    rest[last_layer + 1 :, last_tensor + 1 :] = scores[last_layer + 1 :, last_tensor + 1 :]
    for i, j in pairs:
        rest[i], rest[:, j] = -np.inf, -np.inf
    pairs = sorted(pairs + _best_path(rest))
    matches = []
    dips = _dips(pairs, scores - named)
    for i, j in pairs:
        if (i, j) in dips and not named[i, j]:
            continue
        way = BY_NAME if named[i, j] else BY_VALUES if scores[i, j] >= _CERTAIN else BY_ORDER
        matches.append(Match(i, j, way, bool(is_moved[i, j])))
    return matches


def _best_pairs(scores: np.ndarray) -> list[tuple[int, int]]:
    """Returns the certain pairs that are each other's best."""
    if not scores.size:
        return []
    tensor_of, layer_of = scores.argmax(1), scores.argmax(0)
    return [
        (i, int(j))
        for i, j in enumerate(tensor_of)
        if layer_of[j] == i and scores[i, j] >= _CERTAIN
    ]


def _dips(pairs: list[tuple[int, int]], agreements: np.ndarray) -> set[tuple[int, int]]:
    """Returns the pairs that agree much less than some pair before and some pair after them."""
    noise_db = [10 * np.log10(max(1 - agreements[pair], 1e-15)) for pair in pairs]
    before = [-math.inf, *np.minimum.accumulate(noise_db)]
    after = [*np.minimum.accumulate(noise_db[::-1])[::-1], math.inf][1:]
    return {
        pair
        for k, pair in enumerate(pairs)
        if noise_db[k] >= max(_ACCIDENT_DB, _DIP_DB + max(before[k], after[k]))
    }


def aligned(tensor: np.ndarray, like: np.ndarray, is_moved: bool) -> np.ndarray:
    """Returns a tensor's values in the layout of a layer's, `like`."""
    return (np.moveaxis(tensor, 1, -1) if is_moved else tensor).reshape(like.shape)


def _scores(
    layers: Sequence[Activation], tensors: Sequence[Activation]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, for each layer and tensor, the score, whether channels come first, and names.

    The score is minus infinity if their shapes differ, and 1 higher if the names agree.
    """
    scores = np.full((len(layers), len(tensors)), -np.inf)
    is_moved, named = np.zeros_like(scores, bool), np.zeros_like(scores, bool)
    by_shape: dict[tuple[int, ...], list[tuple[int, bool, np.ndarray]]] = {}
    for j, tensor in enumerate(tensors):
        for moved in (False, True)[: tensor.values.ndim - 1]:
            values = np.moveaxis(tensor.values, 1, -1) if moved else tensor.values
            if not moved or _shape(values) != _shape(tensor.values) or values.shape[1] > 1:
                by_shape.setdefault(_shape(values), []).append((j, moved, _sample(values)))
    for i, layer in enumerate(layers):
        sample = _sample(layer.values)
        for j, moved, other in by_shape.get(_shape(layer.values), ()):
            parts = tensors[j].name.replace(";", "/").split("/")
            named[i, j] = bool(layer.name) and layer.name in parts
            score = max(_SHAPE_ONLY, _agreement(sample, other)) + named[i, j]
            if score > scores[i, j]:
                scores[i, j], is_moved[i, j] = score, moved
    return scores, is_moved, named


def _shape(values: np.ndarray) -> tuple[int, ...]:
    """Returns the shape of one image's values, without the axes of length 1."""
    return tuple(size for size in values.shape[1:] if size != 1)


def _sample(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(len(values), -1)
    if flat.shape[1] > _SAMPLED:
        flat = flat[:, np.random.default_rng(0).integers(0, flat.shape[1], _SAMPLED)]
    return flat.astype(np.float64)


def _agreement(x: np.ndarray, y: np.ndarray) -> float:
    """Returns Lin's concordance: correlation, lowered if the scale or the mean differs."""
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * covariance / spread) if np.isfinite(spread) and spread > 0 else 0.0


def _best_path(scores: np.ndarray) -> list[tuple[int, int]]:
    """Returns the pairs, increasing in both positions, with the largest sum of scores.

    Of equal sums it takes the later tensor: an operator's result, not its parts.
    """
    count, width = scores.shape
    best = np.zeros((count + 1, width + 1))
    for i in range(count):
        with_pair = best[i, :-1] + scores[i]
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], with_pair))
    pairs, j = [], width
    for i in reversed(range(count)):
        if best[i + 1, j] == best[i, j]:  # as good without this layer
            continue
        while best[i, j - 1] + scores[i, j - 1] < best[i + 1, j]:
            j -= 1
        j -= 1
        pairs.append((i, j))
    return pairs[::-1]
