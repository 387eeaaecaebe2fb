"""What a comparison returns: one record per layer, one report per artifact."""

import dataclasses
from typing import Annotated

from mnist_edge.schema import Count, CountFrom1, Name, NotNegative, Share, Text, one_of

from . import match


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """One layer of the Keras model, and the artifact's tensor that holds its output.

    Figures are over all images that were compared; ratios in decibels lie within +-150.

    Attributes:
        layer: The layer's name; in a nested model, its path.
        kind: The layer's class.
        shape: Shape of its output for one image.
        fused: The layers before it that have no tensor of their own: the artifact computes them
            together with this one or not at all.
        tensor: The tensor's name in the artifact; "" if it has none.
        operator: The operator that computes it.
        match: How it was found: "name", "values" (they agree) or "order" (only shape and place do).
        snr_db: Power of Keras's values over the power of the difference.
        channel_snr_db: The same as a mean over channels, each relative to its own signal, so that
            channels with small values count as much as others.
        max_difference: Largest absolute difference; at most 1e15.
        relative_difference: That, as a share of the range of Keras's values.
        cosine: Cosine of the angle between the values of both, -1 to 1.
        saturated: Share of values that are cut off, because Keras's lie beyond what the tensor's
            integers represent; None for floats.
        channel_spread: Strongest over weakest channel of Keras's values that is not always 0, by
            root mean square.
        worst_channel: The channel with the most noise relative to its signal.
        time_us: Microseconds per image in its operators, None if the runtime can't tell.
    """

    layer: Text
    kind: Text
    shape: tuple[Count, ...]
    fused: tuple[Text, ...]
    tensor: Text
    operator: Text
    match: Annotated[str, one_of(match.BY_NAME, match.BY_VALUES, match.BY_ORDER)]
    snr_db: float
    channel_snr_db: float
    max_difference: NotNegative
    relative_difference: NotNegative
    cosine: float
    saturated: Share | None
    channel_spread: NotNegative
    worst_channel: Count
    time_us: NotNegative | None


@dataclasses.dataclass(frozen=True)
class Fall:
    """Where an artifact's quality falls first.

    Attributes:
        layer: The layer to look at: its output is the first that is bad or, if its channels differ
            too much in range, the first that the next layer can't use.
        reason: Why, in one sentence.
    """

    layer: Text
    reason: Text


@dataclasses.dataclass(frozen=True)
class Compared:
    """What the isolated subprocess returns; attributes as of `LayerReport`."""

    runtime: Text
    layers: tuple[LayerResult, ...]
    unmatched: tuple[Text, ...]


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The comparison of one artifact with Keras, layer by layer.

    Attributes:
        bundle: Name of the bundle.
        variant: The artifact's variant, or the stem of its file.
        precision: Its precision; "" if it is not the bundle's.
        runtime: The runtime's name and version.
        images: Number of images compared.
        layers: The layers that have a tensor in the artifact, in Keras's order.
        unmatched: Layers after the last of these.
        fall: Where quality falls first; None if no layer falls.
        failure: Why the artifact could not be compared; "" if it was.
    """

    bundle: Text
    variant: Name
    precision: str
    runtime: str
    images: CountFrom1
    layers: tuple[LayerResult, ...] = ()
    unmatched: tuple[Text, ...] = ()
    fall: Fall | None = None
    failure: str = ""
