"""Is the Keras model right on the given data? If it is not, which change makes it right."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from mnist_edge import heads, metrics
from mnist_edge.errors import InputError
from mnist_edge.heads import Decision, Head

# With fewer examples, decent models can't be told from guessing: 12 of 20 is not above 1 in 2.
_ENOUGH = 100
# Examples and values that are changed in each of seven ways; each costs a pass of the model.
_TRIED, _LEAST_TRIED, _TRIED_VALUES = 500, 50, 2_000_000
# Log loss as a share of a guess's: below the first, the model knows its data; above the second,
# a change did not make it right.
_SURE, _RIGHT = 0.15, 0.6
# Standard errors by which a change must lower the log loss. A wrong scale shows in the few wrong
# answers, of which the model is then sure: 500 examples and 95 % accuracy give at most 5.
_CLEAR = 3.0
_LOST = 0.01  # of the accuracy at most, by a change that lowers the loss
_RARE = 0.2  # of the average: classes predicted less often are not mapped to labels
_LEAST = 1e-7  # probability, of which a logarithm is taken
_RANGES = {(0.0, 1.0): "0 to 1", (-1.0, 1.0): "-1 to 1", (0.0, 255.0): "0 to 255"}

# Maps model inputs to probabilities.
Predict = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How well an output of a model reads examples.

    Attributes:
        count: Number of examples.
        words: How many it reads right, after "Keras".
        measured: The same, as an error message says it.
        at_chance: Whether that is no more than the same answers in any order would reach.
        is_enough: Whether there are enough examples to say so.
        remedy: What makes the model right or surer, "Keras is right on ... with ...", or "".
    """

    count: int
    words: str
    measured: str
    at_chance: bool
    is_enough: bool
    remedy: str = ""


def read(
    head: Head, images: np.ndarray, truth: np.ndarray, answers: np.ndarray, predict: Predict | None
) -> Reading:
    """Compares the answers of an output with the true ones.

    Args:
        head: The output.
        images: Model inputs, float32 `[n, ...]`.
        truth: The true answers `[n, head.targets]`.
        answers: The output's predictions, `[n, head.width]`.
        predict: The model, if it has one input and one output; if a classifier is unsure or wrong,
            changes of its input are tried to find out why.
    """
    count = len(answers)
    if head.kind == heads.VALUES:
        errors = ((answers - truth) ** 2).mean(axis=0, dtype=np.float64)
        explained = float(np.mean(1 - errors / heads.deviations(truth) ** 2))
        words = f"explains {explained:.1%} of the variance of {count:,} training examples (R²)"
        at_chance = bool(explained <= 0)
        return Reading(count, words, words, at_chance, count >= _ENOUGH)
    made = list(heads.decisions(head, answers, answers, truth))
    hits = [one.probabilities.argmax(1) == one.truth for one in made]
    right, decided = int(np.sum(hits)), count * len(made)
    chance = float(np.mean([*map(_chance, made)]))
    at_chance = metrics.wilson_interval(right, decided)[0] <= chance
    varied = any(len(np.unique(one.truth)) > 1 for one in made)
    what = "images" if head.kind != heads.LABELS else "labels of images"
    share = right / decided
    remedy = ""
    if head.kind == heads.CLASSES and predict:
        remedy = _remedy(images, truth[:, 0].astype(np.int64), answers, at_chance, predict)
    return Reading(
        count,
        f"is right on {share:.1%} of {decided:,} training {what}",
        f"{share:.1%} of {decided:,} {what} right",
        at_chance and varied,
        count >= _ENOUGH,
        f"Keras is right on {remedy}" if remedy else "",
    )


def _chance(made: Decision) -> float:
    """Returns the accuracy of independent choices with the same frequencies.

    As in Cohen's kappa: a model that always gives the most frequent class is at chance.
    """
    classes, choice = made.probabilities.shape[1], made.probabilities.argmax(1)
    shares = [np.bincount(each, minlength=classes) / len(choice) for each in (choice, made.truth)]
    return float(shares[0] @ shares[1])


def _remedy(
    images: np.ndarray,
    labels: np.ndarray,
    answers: np.ndarray,
    at_chance: bool,
    predict: Predict,
) -> str:
    """Returns the change of the data that makes a classifier right or surer, or ""."""
    loss, classes = _losses(answers, labels).mean(), answers.shape[1]
    if not at_chance and loss <= _SURE * np.log(classes):
        return ""
    tried = min(_TRIED, max(_LEAST_TRIED, _TRIED_VALUES // images[0].size))
    relabeled = _relabeled(answers.argmax(1), labels, classes)
    return relabeled or _changed(images[:tried], labels, answers, predict)


def _losses(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(answers[np.arange(len(labels)), labels], _LEAST))


def _changed(images: np.ndarray, labels: np.ndarray, answers: np.ndarray, predict: Predict) -> str:
    """Returns the change of the images that lowers the model's loss most, if clearly, or ""."""
    count = len(images)
    labels, answers = labels[:count], answers[:count]
    losses, right = _losses(answers, labels), np.mean(answers.argmax(1) == labels)
    best, found = _CLEAR, ""
    for name, changed in _changes(images):
        try:
            new = predict(changed.astype(np.float32))
        except InputError:  # such as a word's number that an Embedding does not have
            continue
        new_losses, accuracy = _losses(new, labels), np.mean(new.argmax(1) == labels)
        gain, loss = losses - new_losses, new_losses.mean()
        error = float(gain.std() / np.sqrt(count))
        is_right = accuracy >= right - _LOST and loss < _RIGHT * np.log(answers.shape[1])
        if is_right and gain.mean() > best * error:
            best = gain.mean() / max(error, _LEAST)
            found = (
                f"{accuracy:.1%} of {count} in place of {right:.1%} (log loss {loss:.2f} in place "
                f"of {losses.mean():.2f}) with {name}"
            )
    return found


def _changes(images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yields changed images and what was changed, as far as it applies to their shape."""
    low, high = float(images.min()), float(images.max())
    ends = max(1.0, high) if high <= 1 else 255.0
    known = (-1.0 if low < 0 else 0.0, ends) if low >= -1 and high <= 255 else (low, high)
    shares = (images - known[0]) / max(known[1] - known[0], _LEAST)
    for (first, last), name in _RANGES.items():
        if (first, last) != known:
            yield f"values scaled to {name}", first + shares * (last - first)
    yield (
        "values standardized (mean 0, deviation 1)",
        (images - images.mean()) / max(images.std(), _LEAST),
    )
    yield "dark and bright exchanged", known[0] + known[1] - images
    if images.ndim > 3 and images.shape[-1] == 3:
        yield "channels reversed (BGR for RGB): x[..., ::-1]", images[..., ::-1]
    if images.ndim > 2 and images.shape[1] == images.shape[2] > 1:
        yield "rows and columns exchanged: x.swapaxes(1, 2)", images.swapaxes(1, 2)


def _relabeled(choice: np.ndarray, labels: np.ndarray, classes: int) -> str:
    """Returns how the labels must change for the model to be right, learned on half of them."""
    half = len(labels) // 2
    pairs = np.zeros((classes, classes), np.int64)
    np.add.at(pairs, (choice[:half], labels[:half]), 1)
    seen = np.flatnonzero(pairs.sum(1) * classes > _RARE * half)
    meant = np.arange(classes)
    meant[seen] = pairs.argmax(1)[seen]
    if np.array_equal(meant[seen], seen) or len(np.unique(meant[seen])) < max(2, len(seen)):
        return ""
    known, true = meant[choice[half:]] == labels[half:], choice[half:] == labels[half:]
    # Whoever reads most examples knows the classes; less may be noise.
    if metrics.wilson_interval(int(known.sum()), len(known))[0] <= max(true.mean(), 0.5):
        return ""
    shifts = np.unique(meant[seen] - seen)
    order = ", ".join(f"the data's {meant[k]} is its {k}" for k in seen[meant[seen] != seen][:5])
    words = f"labels in its order ({order})"
    if len(shifts) == 1:
        words = f"labels {'lowered' if shifts[0] > 0 else 'raised'} by {abs(shifts[0])}"
    return f"{known.mean():.1%} of {len(known)} in place of {true.mean():.1%} with {words}"
