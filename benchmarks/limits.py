"""What a model is not made for, and what it reads badly, in the words of its card."""

from collections.abc import Iterator, Sequence

from mnist_edge import data
from mnist_edge.models.opened import BundleModel

from .measurement import Measurement
from .pictures.records import PicturesReport

_ANY_INPUT = (
    "It predicts one of its classes for every input; there is no class for anything else, and a "
    "high probability does not show that the input is of that class."
)
# Limitations that accuracy on MNIST does not show.
_MNIST = (
    "MNIST's digits are centered, upright, light on dark, one per image: convert pictures to "
    "that form first (`python -m mnist_edge.predict` does).",
    "About 15 labels of the test set are wrong by human vote (Northcutt 2021), so accuracy above "
    "99.85 % is not meaningful.",
)
_DISTURBED = (
    "It was trained on images disturbed in ways that resemble the corruptions above: images "
    "disturbed in other ways may be read worse."
)
_PICTURES = (
    "Not read in pictures: digits on curved lines or on lines about as thick as the pen, a 1 along "
    "a line as dark as the ink, and digits whose thick strokes lie on each other "
    "(docs/pictures.md)."
)
_WELL_READ = 0.9  # what is read at a smaller share is a limitation
_WELL_TOLD = 0.99  # and so are pictures of no digit with a smaller area under the ROC curve


def of(
    model: BundleModel,
    accuracy: dict[str, float],
    rows: Sequence[Measurement],
    read: PicturesReport | None,
) -> Iterator[str]:
    """Yields a sentence per limitation; the arguments are those of `card.card`."""
    yield _ANY_INPUT
    if model.data.source == data.MNIST:
        yield from _MNIST
    if model.record and (augment := model.record.recipe.augment) and augment.disturbed:
        yield _DISTURBED
    if found := _below(_WELL_READ, accuracy):
        yield f"Read below {_WELL_READ:.0%}, of the distortions measured: {found}."
    areas: dict[str, float] = {}
    for measured in (row.robustness for row in rows if row.robustness):
        for name, area in measured.confidence_roc_area.items():
            areas[name] = min(area, areas.get(name, 1))
    if found := _below(_WELL_TOLD, areas):
        yield f"May pass for a digit (an area below {_WELL_TOLD:.0%}): {found}."
    if read is None:
        return
    if found := _below(_WELL_READ, {one.kind: one.share for one in read.results}):
        yield f"Whole strings of digits read below {_WELL_READ:.0%}, in pictures: {found}."
    yield _PICTURES


def _below(least: float, shares: dict[str, float]) -> str:
    """Lists those below `least`, the lowest first."""
    low = sorted((share, name) for name, share in shares.items() if share < least)
    return ", ".join(f"{name} ({share:.1%})" for share, name in low)
