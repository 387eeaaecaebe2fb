"""Compare a layer's values in Keras and in the artifact, batch by batch."""

import math
from typing import Any

import numpy as np

from .activation import Activation

# The resolution of float32 is 144 dB; values that are equal are reported as this.
MOST_DB = 150.0
# Reported in place of an infinite difference.
_MOST_DIFFERENCE = 1e15


class Comparison:
    """Sums over the batches of one layer, from which its `figures` follow."""

    def __init__(self, channels: int) -> None:
        self._signal, self._noise = np.zeros(channels), np.zeros(channels)
        self._product = self._power = self._difference = 0.0
        self._low, self._high = math.inf, -math.inf
        self._saturated: int | None = None
        self._count = 0

    def add(self, expected: np.ndarray, got: np.ndarray, tensor: Activation) -> None:
        """Adds a batch.

        Args:
            expected: Keras's values, `[..., channels]`.
            got: The artifact's, in the same layout.
            tensor: The artifact's tensor, for the range of its integers.
        """
        x, y = (v.reshape(-1, len(self._signal)).astype(np.float64) for v in (expected, got))
        difference = np.abs(x - y)
        self._signal += (x**2).sum(0)
        self._noise += (difference**2).sum(0)
        self._product += float((x * y).sum())
        self._power += float((y**2).sum())
        self._difference = max(self._difference, float(np.nan_to_num(difference, nan=np.inf).max()))
        self._low, self._high = min(self._low, float(x.min())), max(self._high, float(x.max()))
        self._count += x.size
        if tensor.ends:
            # Beyond rounding: half a step further than the last integer.
            (low, high), half = tensor.ends, tensor.step / 2
            cut = (x > high + half) & (y > high - half) | (x < low - half) & (y < low + half)
            self._saturated = (self._saturated or 0) + int(cut.sum())

    def figures(self) -> dict[str, Any]:
        """Returns the figures of a `LayerResult`, over all batches so far."""
        noise = np.nan_to_num(self._noise, nan=np.inf)
        alive = self._signal > 0
        power = self._signal[alive]
        lost = np.minimum(noise[alive] / power, 1)  # a channel is at most lost
        worst = np.where(alive, noise / np.where(alive, self._signal, 1), 0).argmax()
        signal, range_ = float(power.sum()), self._high - self._low
        difference = min(self._difference, _MOST_DIFFERENCE)
        norm = math.sqrt(signal * self._power)
        return {
            "snr_db": _decibels(float(noise.sum()) / signal if signal else 0.0),
            "channel_snr_db": _decibels(float(lost.mean()) if signal else 0.0),
            "max_difference": difference,
            "relative_difference": min(difference / range_, _MOST_DIFFERENCE) if range_ else 0.0,
            "cosine": self._product / norm if norm and math.isfinite(norm) else 0.0,
            "saturated": None if self._saturated is None else self._saturated / self._count,
            "channel_spread": float(np.sqrt(power.max() / power.min())) if signal else 1.0,
            "worst_channel": int(worst),
        }


def _decibels(noise: float) -> float:
    """Returns the signal-to-noise ratio for noise relative to the signal, within +-150 dB."""
    return max(-MOST_DB, min(MOST_DB, -10 * math.log10(noise))) if noise else MOST_DB
