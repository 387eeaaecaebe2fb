"""Features of an input whose ranges are too different for one int8 scale."""

import dataclasses

import numpy as np

# A feature that spans 12 steps of 8 bits, evenly, loses this share of its deviation to rounding.
_MOST_ROUNDING = 0.08


def loses_detail(images: np.ndarray) -> bool:
    """Whether one 8-bit scale for all of an input would round a feature away.

    Args:
        images: Calibration images, float32 `[n, ..., features]`. Pixels, which have few
            features and use the scale's steps, lose nothing.
    """
    features = _features(images)
    step = (max(features.max(), 0) - min(features.min(), 0)) / 255
    if not step:
        return False
    rounding = np.sqrt(np.mean((np.round(features / step) * step - features) ** 2, axis=0))
    return bool(np.any((rounding > _MOST_ROUNDING * features.std(0)) & (features.std(0) > 0)))


@dataclasses.dataclass(frozen=True)
class Scaling:
    """What operators that scale features amount to: slope * image + intercept.

    Attributes:
        slope: float64 `[features]`; not 0.
        intercept: float64 `[features]`.
    """

    slope: np.ndarray
    intercept: np.ndarray

    def then(self, kind: str, value: np.ndarray | None) -> "Scaling | None":
        """Returns this followed by `add`, `sub`, `mul` or `div` with a constant.

        Returns None if the operator is another one, or does not scale feature by feature.
        """
        count = len(self.slope)
        if value is None or (value.size != 1 and (value.size, value.shape[-1]) != (count, count)):
            return None
        value = value.reshape(-1).astype(np.float64)
        if kind in ("add", "sub"):
            return Scaling(self.slope, self.intercept + (value if kind == "add" else -value))
        if kind not in ("mul", "div") or not value.all():
            return None
        factor = value if kind == "mul" else 1 / value
        return Scaling(self.slope * factor, self.intercept * factor)

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(np.any(self.slope != 1) or np.any(self.intercept))

    def offset_and_factor(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the same as (image - offset) * factor, float32 `[features]` each."""
        return _float32(-self.intercept / self.slope), _float32(self.slope)


def identity(images: np.ndarray) -> Scaling:
    """Returns the scaling that changes nothing."""
    count = images.shape[-1]
    return Scaling(np.ones(count), np.zeros(count))


def balanced(images: np.ndarray, given: Scaling, weights: np.ndarray) -> Scaling:
    """Returns the scaling of features before a dense layer that costs int8 the least detail.

    A feature's range times its weight is what it contributes, and scaling moves it from one to
    the other. Each gets the square root of it, so that neither the input's one scale nor a
    channel's one scale of weights rounds a feature away (as in cross-layer equalization).

    Args:
        images: Calibration images, float32 `[n, ..., features]`.
        given: What the layer's inputs are scaled by so far.
        weights: The layer's weights, `[features, outputs]`.
    """
    features = _features(images)
    low, span = features.min(0), np.ptp(features, axis=0)
    weight = np.abs(weights * given.slope[:, None]).max(1)
    used = (span > 0) & (weight > 0)
    slope = np.sqrt(np.where(used, weight, 1) / np.where(used, span, 1))
    return Scaling(slope, -low * slope)


def absorb(
    given: Scaling, wanted: Scaling, weights: np.ndarray, bias: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a dense layer's parameters for inputs scaled by `wanted` in place of `given`.

    Args:
        given: What the layer's inputs were scaled by.
        wanted: What they shall be scaled by.
        weights: float32 `[features, outputs]`.
        bias: float32 `[outputs]`, or 0.

    Returns:
        The weights and the bias, float32.
    """
    slope = given.slope / wanted.slope
    intercept = given.intercept - wanted.intercept * slope
    return _float32(weights * slope[:, None]), _float32(intercept @ weights + bias)


def _features(images: np.ndarray) -> np.ndarray:
    return images.reshape(-1, images.shape[-1]).astype(np.float64)


def _float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)
