"""The page: what is judged, what was measured, and published figures beside it."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnist_edge.images.likeness import MIN_CONFIDENCE

from ..measurement import Measurement, Robustness
from ..tables import by_distortion, layout
from . import MNIST_C, SAME_KIND

_PUBLISHED = Path(__file__).with_name("published.toml")
_HEAD = """\
# Robustness

Made by

    python -m benchmarks BUNDLE... --robustness --robustness-count 10000 --output artifacts
    python -m benchmarks.corruptions artifacts/benchmark.json

The fifteen corruptions are those of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337), remade in NumPy
and SciPy from its published descriptions at its published strengths: **our MNIST-C**, which needs
no download and can be made of any images. `--data mnist-c:FOLDER` measures on the files themselves,
`FOLDER/shot_noise/test_images.npy` and so on. Our images are the same bytes on every machine,
whatever the versions of NumPy and SciPy (`tests/benchmarks/test_corruptions.py` holds their
hashes). They are not the files' bytes: random numbers, rounding and the zigzag's ends differ, and
glass blurs along both axes.

![ten images of each](robustness.png)
"""
_KINDS = """\
## Judged, and trained

Nothing of `benchmarks/corruptions/` is used in training. Training's own distortions
(`mnist_edge/training/augment.py`, ranges by model in `mnist_edge/models/zoo.py`) are drawn evenly
from a range about zero. `robust` and `edge-robust` alone are trained on disturbed images too
(`mnist_edge/training/disturb.py`): each of the fifteen has a kind there that resembles it, so for
these two the table says how well they read pictures of such kinds, not of unknown ones. Of the same
kind as a judged one:
"""
_ACCURACY = """\
## Accuracy

On the 10,000 test images; the published figures are on MNIST-C's own files.
"""
_CALIBRATION = """\
## Calibration

Expected calibration error (15 bins) on the same images: the mean gap between the largest
probability and accuracy.
"""
_NO_DIGIT = """\
## No digit

Area under the ROC curve of the largest probability: how often a plain test image has a higher one
than a picture of no digit. Scribbles and letters may look like digits, the others don't.
"""
_CONFIDENCE = """
The same of the confidence of `mnist_edge.predict`: the probability, times how much the picture
looks like any of MNIST's digits (`mnist_edge/images/likeness.py`, the same for every artifact, for
the web page, and in C).
"""
_REFUSED = f"""
Called "no digit", that is of a confidence below {MIN_CONFIDENCE:g}:
"""


def page(rows: Mapping[str, Measurement]) -> str:
    """Formats the page.

    Args:
        rows: Measurements with robustness, by heading.
    """
    records = {name: row.robustness for name, row in rows.items() if row.robustness}
    published = tomllib.loads(_PUBLISHED.read_text())["models"]
    notes = "\n".join(f"- {one['name']}: {one['source']}." for one in published)
    accuracy: dict[str, Mapping[str, float]] = {
        name: one.accuracy for name, one in records.items()
    } | {one["name"]: one["accuracy"] for one in published}
    hashes = ", ".join(f"{name} `{row.sha256[:12]}`" for name, row in rows.items())
    return "\n".join(
        [
            _HEAD,
            _table(["corruption", "what it does"], [[n, _what(n)] for n in MNIST_C]),
            _KINDS,
            _table(["of training", "judged"], [[k, ", ".join(v)] for k, v in SAME_KIND.items()]),
            _ACCURACY,
            by_distortion(accuracy) + "\n",
            notes + "\n",
            f"Files, by SHA-256: {hashes}.\n",
            _CALIBRATION,
            by_distortion({name: one.calibration_error for name, one in records.items()}) + "\n",
            _NO_DIGIT,
            by_distortion({name: one.roc_area for name, one in records.items()}),
            *_rule({name: one for name, one in records.items() if one.refused}),
            "",
        ]
    )


def _rule(records: Mapping[str, Robustness]) -> list[str]:
    if not records:
        return []
    return [
        _CONFIDENCE,
        by_distortion({name: one.confidence_roc_area for name, one in records.items()}),
        _REFUSED,
        by_distortion({name: one.refused for name, one in records.items()}),
    ]


def _what(name: str) -> str:
    return (MNIST_C[name].__doc__ or "").splitlines()[0]


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return layout([(heading, False) for heading in headings], [list(one) for one in lines]) + "\n"
