"""The settings of one benchmark: the one place that holds the defaults."""

import dataclasses
import math
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.gate import Thresholds

from .worker import Allowance

# For `--require`.
ALL = "all"
_GATE, _ALLOWANCE = Thresholds(), Allowance()
_SHARES = tuple(field.name for field in dataclasses.fields(Thresholds))
_COUNTS = ("rounds", "calls", "warmup", "robustness_count")
_POSITIVE = ("timeout_seconds", "memory_limit_mb", "max_kb", "max_us")


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """The settings of one benchmark, and every default of the command line."""

    bundles: tuple[Path, ...] = setting(
        (bundle.ARTIFACTS / models.DEFAULT,),
        "folders that python -m export wrote",
        nargs="*",
        metavar="BUNDLE",
    )
    output: Path | None = setting(
        None, "folder of the reports (default: the bundle; of several, the one above the first)"
    )
    min_agreement: float = setting(
        _GATE.min_agreement, "gate: least share of images on which an artifact agrees with Keras"
    )
    max_accuracy_drop: float = setting(
        _GATE.max_accuracy_drop,
        "gate: most accuracy lost to Keras, as a share: 0.005 is half a point",
    )
    min_accuracy: float = setting(_GATE.min_accuracy, "gate: least accuracy, a share; 0 is none")
    float_margin: float = setting(
        _GATE.float_margin,
        "gate: float32 artifacts agree wherever the reference's two largest probabilities "
        "differ by more",
    )
    max_float_difference: float = setting(
        _GATE.max_float_difference,
        "gate: most that a float32 artifact's probabilities may differ from Keras's",
    )
    max_divergence: float = setting(
        _GATE.max_divergence,
        "gate: most that reduced precision may diverge from Keras's probabilities, as a share of "
        "what its bare choices would",
    )
    require: tuple[str, ...] = setting(
        (),
        f"gate: variants that must be there and run; '{ALL}' is each in the manifest, and Keras",
        nargs="+",
        metavar="VARIANT",
    )
    threads: tuple[int, ...] = setting(
        (1,), "threads per call, in every runtime; several are timed one after the other", nargs="+"
    )
    pin: bool = setting(True, "keep each process on as many cores as it has threads")
    rounds: int = setting(20, "turns of each artifact in timing")
    calls: int = setting(200, "timed calls per turn")
    warmup: int = setting(200, "calls before the first turn, not counted")
    timeout_seconds: float = setting(
        _ALLOWANCE.timeout_seconds, "an artifact that takes longer to answer has failed"
    )
    memory_limit_mb: float = setting(
        _ALLOWANCE.memory_limit_mb, "an artifact whose process takes more memory has failed"
    )
    max_kb: float | None = setting(None, "recommend: largest file, in 1,000 bytes")
    max_us: float | None = setting(None, "recommend: largest median of a call, in µs")
    robustness: bool = setting(False, "measure accuracy on distorted images as well")
    robustness_count: int = setting(1000, "test images to distort, evenly spaced")
    json: bool = setting(False, "end standard output with the result on one line of JSON")

    def __post_init__(self) -> None:
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 1, "1 or more")
        self._require("threads", all(n >= 1 for n in self.threads), "1 or more")
        distinct = len(set(self.threads)) == len(self.threads) > 0
        self._require("threads", distinct, "different numbers, at least one")
        for name in _SHARES:
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1, a share")
        for name in _POSITIVE:
            value = getattr(self, name)
            is_kept = value is None or 0 < value < math.inf
            self._require(name, is_kept, "more than 0, and finite")

    def _require(self, name: str, is_kept: bool, requirement: str) -> None:
        if not is_kept:
            got = getattr(self, name)
            shown = " ".join(map(str, got)) if isinstance(got, tuple) else got
            raise InputError(f"--{name.replace('_', '-')} must be {requirement}. Got: {shown}.")

    @property
    def thresholds(self) -> Thresholds:
        """The gate's thresholds."""
        return Thresholds(**{name: getattr(self, name) for name in _SHARES})

    @property
    def folder(self) -> Path:
        """Where the reports go."""
        first, *others = self.bundles
        return self.output or (first.resolve().parent if others else first)
