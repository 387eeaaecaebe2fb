"""How far a classifier's probabilities can be trusted, and where it is most wrong."""

import numpy as np

CALIBRATION_BINS = 15  # of equal width over 0 to 1, as Guo et al., 2017 (arXiv:1706.04599)


def calibration(probabilities, y, bins=CALIBRATION_BINS):
    """Compares confidence, the largest probability, with accuracy, bin by bin.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        bins: Number of bins of equal width; a confidence on an edge is in the lower one.

    Returns:
        A list of dicts, one a bin: `from` and `to` (its edges), `count`, and `confidence`
        and `accuracy`, the means in it, None where it is empty.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    of = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        inside = of == index
        count = int(inside.sum())
        rows.append(
            {
                "from": float(edges[index]),
                "to": float(edges[index + 1]),
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(right[inside].mean()) if count else None,
            }
        )
    return rows


def expected_calibration_error(rows):
    """Mean distance of accuracy from confidence, weighted by the bins' counts.

    Args:
        rows: What `calibration` returns.

    Returns:
        float, 0 (as sure as right) to 1.
    """
    filled = [row for row in rows if row["count"]]
    total = sum(row["count"] for row in filled)
    return sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in filled) / total


def most_confident_mistakes(probabilities, y, count):
    """Indices of the wrong answers, the surest first.

    Args:
        probabilities: Float `[n, classes]`.
        y: Integers `[n]`, the true classes.
        count: How many at most.

    Returns:
        int64 array.
    """
    wrong = np.flatnonzero(probabilities.argmax(1) != y)
    surest_first = np.argsort(-probabilities[wrong].max(1), kind="stable")
    return wrong[surest_first][:count]


def most_confused(matrix, count):
    """The commonest mistakes of a confusion matrix, the most frequent first.

    Args:
        matrix: Integers `[classes, classes]`, a row a true class, a column a prediction.
        count: How many at most.

    Returns:
        A list of `(true, predicted, times)`, ints.
    """
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(int(i), int(j), int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]
