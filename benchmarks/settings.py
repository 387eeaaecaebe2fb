"""The settings of one benchmark: the one place that holds the defaults."""

import dataclasses
from pathlib import Path

from benchmarks.gate import Limits
from benchmarks.worker import Allowance
from mnist_edge import bundle, models
from mnist_edge.cli import InputError, setting

_LIMITS, _ALLOWANCE = Limits(), Allowance()
_SHARES = ("min_agreement", "max_accuracy_drop", "min_accuracy", "float_margin")
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
        _LIMITS.min_agreement, "gate: least share of images on which an artefact agrees with Keras"
    )
    max_accuracy_drop: float = setting(
        _LIMITS.max_accuracy_drop,
        "gate: most accuracy lost to Keras, as a share: 0.005 is half a point",
    )
    min_accuracy: float = setting(_LIMITS.min_accuracy, "gate: least accuracy, a share; 0 is none")
    float_margin: float = setting(
        _LIMITS.float_margin,
        "gate: float32 artefacts agree wherever the reference's two largest probabilities "
        "differ by more",
    )
    require: tuple[str, ...] = setting(
        (), "gate: variants that must be there and run", nargs="+", metavar="VARIANT"
    )
    threads: tuple[int, ...] = setting(
        (1,), "threads a call, in every runtime; several are timed one after the other", nargs="+"
    )
    pin: bool = setting(True, "keep each process on as many cores as it has threads")
    rounds: int = setting(20, "turns of each artefact in timing")
    calls: int = setting(200, "timed calls a turn")
    warmup: int = setting(200, "calls before the first turn, not counted")
    timeout_seconds: float = setting(
        _ALLOWANCE.timeout_seconds, "an artefact that takes longer to answer has failed"
    )
    memory_limit_mb: float = setting(
        _ALLOWANCE.memory_limit_mb, "an artefact whose process takes more memory has failed"
    )
    max_kb: float | None = setting(None, "recommend: largest file, in 1,000 bytes")
    max_us: float | None = setting(None, "recommend: largest median of a call, in µs")
    robustness: bool = setting(False, "measure accuracy on distorted images as well")
    robustness_count: int = setting(1000, "test images to distort, evenly spaced")
    json: bool = setting(False, "end standard output with the result on one line of JSON")
    progress: bool = setting(True, "progress bars on standard error")

    def __post_init__(self):
        for name in _COUNTS:
            self._require(name, getattr(self, name) >= 1, "1 or more")
        self._require("threads", all(n >= 1 for n in self.threads), "1 or more")
        distinct = len(set(self.threads)) == len(self.threads) > 0
        self._require("threads", distinct, "different numbers, at least one")
        for name in _SHARES:
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1, a share")
        for name in _POSITIVE:
            value = getattr(self, name)
            self._require(name, value is None or value > 0, "more than 0")

    def _require(self, name, is_kept, requirement):
        if not is_kept:
            got = getattr(self, name)
            shown = " ".join(map(str, got)) if isinstance(got, tuple) else got
            raise InputError(f"--{name.replace('_', '-')} must be {requirement}. Got: {shown}.")

    @property
    def limits(self):
        """The gate's limits."""
        return Limits(**{name: getattr(self, name) for name in _SHARES})

    @property
    def folder(self):
        """Where the reports go."""
        first, *others = self.bundles
        return self.output or (first.resolve().parent if others else first)
