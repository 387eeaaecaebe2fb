"""The model's answers on the data: what each output means, and whether they can be right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import data, heads
from mnist_edge.data.parts import Target
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
from mnist_edge.models import ports, trained

from . import output, reference
from .output import Output
from .reference import Reading

if TYPE_CHECKING:
    import keras

_ROUNDING = 1e-2  # float16 models differ by 1e-3 between batch sizes


def read_outputs(
    model: "keras.Model",
    dataset: data.Dataset,
    labels: tuple[str, ...],
    chosen: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> tuple[Output, ...]:
    """Reads what each output means, given the model's answers on the chosen training examples.

    Args:
        model: A model, possibly without its last activation.
        dataset: The data.
        labels: Class names, if the data have one answer per example.
        chosen: int64 `[n]`, places of the examples in the training set.
        answers: The model's outputs for them, float32 `[n, width]`.
        where: The model's name in error messages.

    Raises:
        InputError: The outputs do not fit the data.
    """
    named = ports.outputs(model)
    targets = dataset.targets or (Target("", "classes", labels),)
    several = len(named) > 1
    if [target.name for target in targets] != [name if several else "" for name, _ in named]:
        got = ", ".join(f"y_train_{t.name}" if t.name else "y_train" for t in targets)
        wanted = ", ".join(f"y_train_{name}" for name, _ in named) if several else "y_train"
        raise InputError(
            f"{where} has {len(named)} outputs and needs {wanted}. Got: {got} in {dataset.source}. "
            "Give the answers to each output by its name."
        )
    widths = [tensor.shape[-1] for _, tensor in named]
    truths = heads.columns(dataset.y_train, [target.width for target in targets])
    found = []
    for (name, tensor), target, own, truth in zip(
        named, targets, heads.columns(answers, widths), truths, strict=True
    ):
        if target.kind == "classes" and tensor.shape[-1] > 1:
            _require_known(where, dataset, truth, tensor.shape[-1])
        port = output.Port(name if several else "", tensor, target, own, truth[chosen])
        found.append(output.read(port, where))
    return tuple(found)


def _require_known(where: str, dataset: data.Dataset, truth: np.ndarray, classes: int) -> None:
    """Raises `InputError` if the data have classes that the model does not know."""
    most = max(truth.max(), 0 if dataset.targets else dataset.y_test.max())
    if most < classes:
        return
    from_1 = not dataset.targets and min(truth.min(), dataset.y_test.min()) == 1
    remedy = "Subtract 1: they start at 1" if from_1 else "Give the data that it was trained on"
    raise InputError(
        f"{where} knows {classes} classes. Got: labels up to {most:g} in "
        f"{dataset.source}. {remedy}{'' if from_1 else ' with --data'}."
    )


def predict(
    model: "keras.Model", own: Sequence[Head], images: np.ndarray, where: object
) -> np.ndarray:
    """Returns a complete model's predictions; raises `InputError` if they are not valid."""
    found = trained.predict(model, images, where)
    if wrong := heads.fault(own, found):
        raise InputError(
            f"{where} must give probabilities. Got: {wrong}. End the model with a softmax."
        )
    return found


def read(
    model: "keras.Model",
    own: Sequence[Head],
    images: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> tuple[Reading, ...]:
    """Returns how well each output of a complete model reads examples.

    Args:
        model: The model.
        own: What its outputs mean.
        images: Model inputs, float32 `[n, ...]`.
        truth: The true answers, `[n]` or `[n, columns]`.
        answers: The model's predictions for the images, float32 `[n, width]`.
        where: The model's name in error messages.

    Raises:
        InputError: One is no better than chance.
    """
    return tuple(
        _read_head(model, own, head, images, true, answer, where)
        for head, true, (answer,) in heads.by_head(own, truth, answers)
    )


def _read_head(
    model: "keras.Model",
    own: Sequence[Head],
    head: Head,
    images: np.ndarray,
    truth: np.ndarray,
    answers: np.ndarray,
    where: str,
) -> Reading:
    def answer_changed(examples: np.ndarray) -> np.ndarray:
        return predict(model, own, examples, where)

    # A change of the data can be tried where there is one input and one answer.
    found = reference.read(
        head, images, truth, answers, answer_changed if ports.is_single(model) else None
    )
    if not (found.at_chance and found.is_enough):
        return found
    name = f" at output {head.name!r}" if len(own) > 1 else ""
    remedy = "It must be trained, and get the scale, channels and labels that it was trained on."
    if found.remedy:
        remedy = f"{found.remedy}: change the data so."
    raise InputError(
        f"{where} must be better than chance{name}. Got: {found.measured}, values from "
        f"{images.min():g} to {images.max():g}. {remedy}"
    )


def require_repeatable(
    model: "keras.Model", images: np.ndarray, outputs: np.ndarray, where: str
) -> None:
    """Raises `InputError` if answers are random, or depend on other examples of the batch."""
    alone = trained.predict(model, images[:1], where)
    if not np.allclose(alone, outputs[:1], rtol=_ROUNDING, atol=_ROUNDING):
        raise InputError(
            f"{where} must answer each example alone, the same each time. Got: another answer "
            "with other examples beside it. Let no layer compute at random or over the batch."
        )
