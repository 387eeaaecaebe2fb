"""Split digits that touch, by recognition: of all cuts, those whose parts read best.

Each candidate is read by the classifier and by the judge; what is left of a digit at a cut may
mislead both, so the string that they read is weighed against the ink before it was cut.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mnist_edge.images import readers
from mnist_edge.images.cuts import Part

# Maps uint8 `[n, 28, 28]` to probabilities `[n, classes]`.
Read = Callable[[np.ndarray], np.ndarray]
# A sum of logarithms, and the numbers of the candidates in order.
_Path = tuple[float, list[int]]

# What follows was chosen on `benchmarks.pictures`, rendered from validation digits.
_FLOOR = 1 / 256  # probabilities below count as this, the least that an int8 artifact gives
_OWN, _NONE = 0.5, 0.3  # weights of what the judge reads, and of that it is none
# Score and likelihood of the string above which ink is one digit, and no cut is tried.
_SURE, _SURE_STRING = 0.5, -1.0
_CUT, _JOIN = 3.0, 1.0  # what it costs to cut, and to take two inks as one digit
_TALL, _LOW = 0.7, 5.0  # of the height: lower parts cost so much per missing height
_STRING, _UNLIKELY = 1.0, -12.0  # weight of the string's likelihood, and its minimum
_KEPT = 60  # sequences of the parts of an ink, the best of those that end at a cut


def scores(pixels: np.ndarray, read: Read) -> tuple[np.ndarray, np.ndarray]:
    """Reads candidates.

    Args:
        pixels: Each candidate as the model sees it, uint8 `[n, 28, 28]`.
        read: The classifier.

    Returns:
        How surely each is one whole digit that is read right, `[n]`, sums of logarithms; and which
        digit is read, `[n]`.
    """
    judged, answers = readers.whole(pixels), np.log(np.maximum(read(pixels), _FLOOR))
    best_digit = (answers + _OWN * judged[:, :-1]).max(1)
    return best_digit - _NONE * judged[:, -1], answers.argmax(1)


def sure(inks: Sequence[np.ndarray], scored: np.ndarray, digits: np.ndarray) -> list[bool]:
    """Returns whether each ink surely is one digit, by its score and as a string.

    Args:
        inks: float32 `[height, width]`.
        scored: Their scores, `[n]`.
        digits: Which digit each is read as, `[n]`.
    """
    likelihoods = [
        readers.likelihood(logs, [digit])
        for logs, digit in zip(readers.strings(inks), digits, strict=True)
    ]
    return ((scored >= _SURE) & (np.array(likelihoods) >= _SURE_STRING)).tolist()


def best(candidates: Sequence[Part], scored: np.ndarray, digits: np.ndarray) -> list[int]:
    """Returns the sequence of parts that is read best, from left to right, by their numbers.

    Args:
        candidates: Of one row.
        scored: Their scores, `[n]`.
        digits: Which digit each is read as, `[n]`.
    """
    missing = [max(0.0, _TALL - one.shape[0] / len(one.ink)) for one in candidates]
    costs = [_CUT * (one.first % 1 > 0) + _JOIN * (one.last - one.first > 1) for one in candidates]
    totals = scored - _LOW * np.array(missing) - np.array(costs)
    wholes = [i for i, one in enumerate(candidates) if one.first % 1 == one.last % 1 == 0]
    is_clear = all(one.last - one.first == 1 for one in candidates)
    strings = None if is_clear else readers.strings([candidates[i].ink for i in wholes])
    chosen: dict[float, _Path] = {0: (0.0, [])}
    for i in sorted(wholes, key=lambda i: candidates[i].last):
        one = candidates[i]
        before, numbers = chosen.get(one.first, (-np.inf, []))
        for total, path in _paths(candidates, totals, i):
            if strings is not None:
                likelihood = readers.likelihood(strings[wholes.index(i)], digits[path])
                total += _STRING * max(likelihood, _UNLIKELY)
            if before + total > chosen.get(one.last, (-np.inf, []))[0]:
                chosen[one.last] = before + total, [*numbers, *path]
    return chosen[max(chosen)][1]


def _paths(candidates: Sequence[Part], totals: np.ndarray, whole: int) -> list[_Path]:
    """Returns the best sequences of parts of an ink, or of two inks that are taken as one."""
    ink = candidates[whole]
    if ink.last - ink.first > 1:
        return [(float(totals[whole]), [whole])]
    inside = [
        i for i, one in enumerate(candidates) if ink.first <= one.first and one.last <= ink.last
    ]
    paths: dict[float, list[_Path]] = {ink.first: [(0.0, [])]}
    for i in sorted(inside, key=lambda i: candidates[i].last):
        one, total = candidates[i], float(totals[i])
        longer = [(before + total, [*path, i]) for before, path in paths.get(one.first, [])]
        paths[one.last] = sorted([*paths.get(one.last, []), *longer], reverse=True)[:_KEPT]
    return paths[ink.last]
