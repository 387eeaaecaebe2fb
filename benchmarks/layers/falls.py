"""Decide at which layer an artifact's quality falls."""

import statistics
from collections.abc import Sequence

from .records import Fall, LayerResult
from .statistics import MOST_DB

# Least signal-to-noise ratio of a sound layer, by precision, in decibels. Sound exports had 115 to
# 145 in float32, 54 to 81 in float16 and 21 to 48 in all that is quantized.
_LEAST_DB = {"float32": 60, "float16": 35}
_LEAST_QUANTIZED_DB = 20
# A layer falls if it is this far below the layers before it. Noise that adds up over a deep
# network loses a few decibels per layer.
_DROP_DB = 10
# Layers before it whose median it is compared with.
_WINDOW = 5
# Ratio of the strongest to the weakest channel beyond which 8 bits leave the weakest less than one
# step.
_MOST_SPREAD = 255


def first(layers: Sequence[LayerResult], precision: str) -> Fall | None:
    """Returns the first layer at which quality falls, if the model's output is bad; else None.

    A layer that is bad although the output is good does no harm. If noise adds up and no layer
    falls by itself, it is the layer that adds most.

    Args:
        layers: The layers, in order.
        precision: The artifact's precision, which says what ratio is sound.
    """
    least = _LEAST_DB.get(precision, _LEAST_QUANTIZED_DB)
    if not layers or layers[-1].snr_db >= least:
        return None
    got = [quality(layers, i) for i in range(len(layers))]
    before = [statistics.median(got[max(0, i - _WINDOW) : i] or [MOST_DB]) for i in range(len(got))]
    fallen = [i for i, now in enumerate(got) if now < min(least, before[i] - _DROP_DB)]
    if fallen:
        return _explained(layers, fallen[0], before[fallen[0]])
    i = max(range(1, len(got)), key=lambda k: got[k - 1] - got[k], default=0)
    return _explained(layers, i, got[max(0, i - 1)])


def quality(layers: Sequence[LayerResult], i: int) -> float:
    """Returns the ratio by which a layer is judged.

    Channel by channel, because the next layer may use channels with small values as much as
    others; the model's output is judged as a whole, because its classes are compared.
    """
    is_output = i == len(layers) - 1
    return layers[i].snr_db if is_output else layers[i].channel_snr_db


def _explained(layers: Sequence[LayerResult], i: int, before: float) -> Fall:
    one = layers[i]
    fell = f"{quality(layers, i):.1f} dB" + (f" after {before:.1f} dB" if i else "")
    wide = [each for each in layers[max(0, i - 1) : i + 1] if _is_wide(each)]
    if not wide:
        return Fall(one.layer, fell)
    where = "" if wide[0] is one else f" at {one.layer}, which reads it"
    times = f"{wide[0].channel_spread:,.0f} times its weakest"
    reason = f"{fell}{where}; its strongest channel is {times}, more than 8 bits can hold"
    return Fall(wide[0].layer, reason)


def _is_wide(one: LayerResult) -> bool:
    return len(one.shape) > 1 and one.channel_spread > _MOST_SPREAD
