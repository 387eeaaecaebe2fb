"""Says what was found: the model, its data, and what looks wrong."""

from collections.abc import Iterator

import numpy as np

from mnist_edge import heads
from mnist_edge.models import ports

from .source import CHECK_COUNT, Source

_SCALES_DOWN = 0.1  # most networks scale pixels by 1 / 255 or 1 / 127.5


def description(source: Source) -> list[str]:
    """Describes what was found: the model, its data, and what looks wrong, one line each."""
    model, (low, high) = source.model, source.input_range
    names = [f"{name} " if len(model.inputs) > 1 else "" for name, _ in ports.inputs(model)]
    inputs = ", ".join(
        f"{name}{list(tensor.shape[1:])}"
        for name, (_, tensor) in zip(names, ports.inputs(model), strict=True)
    )
    outputs = ", ".join(
        f"{len(output.head.labels)} {_NOUNS[output.head.kind]} from layer {output.layer!r} "
        f"({output.words})"
        for output in source.outputs
    )
    read = ", ".join(
        f"{reading.words}{f' ({head.name})' if len(source.heads) > 1 else ''}"
        for head, reading in zip(source.heads, source.readings, strict=True)
    )
    lines = [
        f"{source.where}: {source.name}, {model.count_params():,} parameters, input {inputs}, "
        f"output {outputs}",
        f"{source.dataset.source}: values from {low:g} to {high:g}; Keras {read}",
    ]
    return lines + [f"warning: {warning}." for warning in _warnings(source)]


_NOUNS = {
    heads.CLASSES: "classes",
    heads.BINARY: "classes",
    heads.LABELS: "labels",
    heads.VALUES: "values",
}


def _warnings(source: Source) -> Iterator[str]:
    """Yields what looks wrong but may be meant."""
    high = source.input_range[1]
    yield from (output.warning for output in source.outputs if output.warning)
    remedies = [reading.remedy for reading in source.readings if reading.remedy]
    yield from (f"{remedy}. If it was trained so, change the data" for remedy in remedies)
    if not remedies and any(reading.at_chance for reading in source.readings):
        count = source.readings[0].count
        yield f"{count} images are too few to tell Keras's accuracy from chance"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if not remedies and high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        yield (
            "the model has a layer that scales its input down, and the data are small already. "
            "If it was trained on 0 to 255, multiply the data by 255"
        )
    if source.is_plain:
        present = np.union1d(source.dataset.y_train, source.dataset.y_test)
        absent = [name for i, name in enumerate(source.labels) if i not in present]
        if absent:
            shown = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            yield f"the data have no example of these classes of the model: {shown}"
    train, test = source.dataset.x_train[:CHECK_COUNT], source.dataset.x_test[:CHECK_COUNT]
    deviation, moved = float(train.std()), abs(float(train.mean()) - float(test.mean()))
    if moved > deviation or not deviation / 2 <= float(test.std()) <= 2 * deviation:
        yield (
            f"x_train and x_test seem to be scaled differently: mean {train.mean():.3g} and "
            f"{test.mean():.3g}, deviation {deviation:.3g} and {test.std():.3g}"
        )
