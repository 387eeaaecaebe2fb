"""Recommends which artifact to ship, and finds the Pareto front."""

from collections.abc import Callable, Sequence

from .latency import is_above
from .measurement import KERAS_ROW, PASSED, Measurement, Parity, Recommendation
from .settings import BenchmarkSettings


class _Choice:
    """A measured artifact's accuracy, size, and latency at the first number of threads."""

    def __init__(self, row: Measurement, parity: Parity, several: bool) -> None:
        self.row, self.name, self.accuracy = row, row.name(several), parity.accuracy
        self.accuracy_interval = parity.accuracy_interval
        self.kb, self.latency = row.shipped_bytes / 1000, row.latency[0]
        self.us = self.latency.p50_us

    def __str__(self) -> str:
        return f"{self.name} ({self.accuracy:.2%}, {self.kb:.1f} kB, {self.us:.1f} µs)"

    def beats(self, other: "_Choice") -> bool:
        """Whether this artifact dominates another: no worse in any figure, better in one."""
        mine, others = ((-one.accuracy, one.kb, one.us) for one in (self, other))
        return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))


# Name of the setting that holds the limit, its unit, and the limited figure.
_LIMITS: tuple[tuple[str, str, Callable[[_Choice], float]], ...] = (
    ("max_kb", "kB", lambda choice: choice.kb),
    ("max_us", "µs", lambda choice: choice.us),
)


def recommend(rows: Sequence[Measurement], settings: BenchmarkSettings) -> Recommendation:
    """Recommends an artifact.

    This is the fastest of the artifacts that meet the limits and whose accuracy lies within the
    95 % interval of the most accurate one's.

    Args:
        rows: The measurements.
        settings: Limits `max_kb`, `max_us` and `min_accuracy`; None or 0 means no limit.
    """
    several = len({row.bundle for row in rows}) > 1
    measured = [
        _Choice(row, row.parity, several)
        for row in rows
        if row.variant != KERAS_ROW and not row.kernels and row.parity and row.latency
    ]
    passed = [one for one in measured if one.row.status == PASSED]
    pareto = tuple(one.name for one in passed if not any(other.beats(one) for other in passed))
    fitting = [one for one in passed if _excess(one, settings) == 0]
    if not fitting:
        return Recommendation(pareto, None, _nearest(measured, settings))
    best = max(fitting, key=lambda one: one.accuracy)
    low, high = best.accuracy_interval
    level = [one for one in fitting if one.accuracy >= low]
    chosen = min(level, key=lambda one: (one.us, one.kb))
    others = [
        one.name
        for one in level
        if one is not chosen
        and not is_above(one.latency.p50_interval_us, chosen.latency.p50_interval_us)
    ]
    ties = f"; not significantly slower: {', '.join(others)}" if others else ""
    why = (
        f"{chosen}: the fastest of the {len(level)} that meet the limits with an accuracy within "
        f"the best one's 95 % interval ({best.name}, {low:.2%} to {high:.2%}){ties}"
    )
    return Recommendation(pareto, chosen.name, why)


def _excess(choice: _Choice, settings: BenchmarkSettings) -> float:
    """Returns by how much an artifact misses the limits, summed as shares; 0 if it meets them."""
    over = [
        max(0.0, figure(choice) / limit - 1)
        for key, _, figure in _LIMITS
        if (limit := getattr(settings, key)) is not None
    ]
    # One point of accuracy weighs as much as 10 % of size or latency.
    lacking = max(0.0, settings.min_accuracy - choice.accuracy)
    return sum(over) + 10 * lacking


def _nearest(measured: Sequence[_Choice], settings: BenchmarkSettings) -> str:
    if not measured:
        return "no artifact to ship: none could be measured"
    nearest = min(measured, key=lambda one: _excess(one, settings))
    wanted = [
        f"at most {limit:g} {unit}"
        for key, unit, _ in _LIMITS
        if (limit := getattr(settings, key)) is not None
    ]
    if settings.min_accuracy:
        wanted.append(f"accuracy at least {settings.min_accuracy:.2%}")
    line = f"no artifact meets the limits ({', '.join(wanted) or 'the gate'}); nearest: {nearest}"
    return line if nearest.row.status == PASSED else f"{line}, {nearest.row.status}"
