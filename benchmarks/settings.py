"""Settings of the benchmark command and their defaults."""

import dataclasses
import math
from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.gate import Thresholds
from mnist_edge.runtimes import KERNELS

from .latency import Effort
from .worker import Allowance

# Value of `--require` that stands for every variant.
ALL = "all"
_GATE, _ALLOWANCE = Thresholds(), Allowance()
_SHARES = tuple(field.name for field in dataclasses.fields(Thresholds))
_COUNTS = ("limit", "rounds", "calls", "warmup", "robustness_count")
_POSITIVE = ("budget", "timeout_seconds", "memory_limit_mb", "max_kb", "max_us")


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """Settings of one benchmark run; each is a command-line flag."""

    bundles: tuple[Path, ...] = setting(
        (bundle.ARTIFACTS / models.DEFAULT,),
        "bundle folders written by python -m export",
        nargs="*",
        metavar="BUNDLE",
    )
    output: Path | None = setting(
        None, "folder for the reports (default: the bundle; with several, the first one's parent)"
    )
    min_agreement: float = setting(
        _GATE.min_agreement, "gate: minimum share of images on which an artifact agrees with Keras"
    )
    max_accuracy_drop: float = setting(
        _GATE.max_accuracy_drop,
        "gate: maximum accuracy loss relative to Keras, as a share: 0.005 is half a point",
    )
    min_accuracy: float = setting(
        _GATE.min_accuracy, "gate: minimum accuracy, as a share; 0 disables it"
    )
    float_margin: float = setting(
        _GATE.float_margin,
        "gate: float32 artifacts must agree on every image whose two largest reference "
        "probabilities differ by more than this",
    )
    max_float_difference: float = setting(
        _GATE.max_float_difference,
        "gate: maximum difference between a float32 artifact's probabilities and Keras's",
    )
    max_divergence: float = setting(
        _GATE.max_divergence,
        "gate: maximum divergence of reduced-precision artifacts from Keras's probabilities, as "
        "a share of the divergence of one-hot predictions",
    )
    value_tolerance: float = setting(
        _GATE.value_tolerance,
        "gate: largest difference of a predicted value (regression) from Keras's that still "
        "agrees, in standard deviations of Keras's values",
    )
    kernels: tuple[str, ...] = setting(
        (),
        "also run each artifact on these other kernels, a row each: "
        + ", ".join(f"{name} ({one.label})" for name, one in KERNELS.items()),
        nargs="+",
        choices=tuple(KERNELS),
        metavar="KERNELS",
    )
    require: tuple[str, ...] = setting(
        (),
        f"gate: variants that must exist and run; '{ALL}': Keras and every variant in the manifest",
        nargs="+",
        metavar="VARIANT",
    )
    threads: tuple[int, ...] = setting(
        (1,),
        "threads per call, in every runtime; several values are timed one after the other",
        nargs="+",
    )
    pin: bool = setting(True, "pin each process to as many cores as it has threads")
    limit: int | None = setting(
        None, "judge on so many test images, evenly spaced (default: all of them)", metavar="N"
    )
    budget: float | None = setting(
        None,
        "time for all timing rounds: as many as fit (default: 20 rounds, or what fits 60 s)",
        metavar="SECONDS",
    )
    rounds: int | None = setting(
        None, "timing rounds; every artifact is timed in each round (default: see --budget)"
    )
    calls: int | None = setting(
        None, "timed calls per artifact and round (default: 200, or fewer that fit the budget)"
    )
    warmup: int = setting(200, "most warm-up calls before the first round, not counted")
    timeout_seconds: float = setting(
        _ALLOWANCE.timeout_seconds, "an artifact whose process takes longer per request fails"
    )
    memory_limit_mb: float = setting(
        _ALLOWANCE.memory_limit_mb, "an artifact whose process takes more memory fails"
    )
    max_kb: float | None = setting(None, "recommendation: maximum file size, in 1,000 bytes")
    max_us: float | None = setting(None, "recommendation: maximum median latency, in µs")
    robustness: bool = setting(False, "also measure accuracy on distorted images")
    robustness_count: int = setting(
        1000, "test images to distort, evenly spaced; as many pictures of no class"
    )
    data: str | None = setting(
        None,
        "with --robustness: MNIST-C's own files, mnist-c:FOLDER, in place of our distorted images",
    )
    no_digit: tuple[str, ...] = setting(
        (),
        "with --robustness: data sets whose test images show no digit, as --data of training",
        nargs="+",
        metavar="DATA",
    )
    json: bool = setting(False, "print the result as JSON on the last line of standard output")

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "1 or more")
        self._require("threads", all(n >= 1 for n in self.threads), "1 or more")
        distinct = len(set(self.threads)) == len(self.threads) > 0
        self._require("threads", distinct, "one or more distinct numbers")
        known = len(set(self.kernels)) == len(self.kernels) and {*self.kernels} <= {*KERNELS}
        self._require("kernels", known, f"distinct names of {', '.join(KERNELS)}")
        for name in _SHARES:
            self._require(name, 0 <= getattr(self, name) <= 1, "0 to 1, a share")
        for name in _POSITIVE:
            value = getattr(self, name)
            is_valid = value is None or 0 < value < math.inf
            self._require(name, is_valid, "more than 0 and finite")

        for flag, given in (("--data", self.data), ("--no-digit", self.no_digit)):
            if given and not self.robustness:
                raise InputError(f"{flag} must come with --robustness. Got: {flag} alone. Add it.")

    def _require(self, name: str, is_valid: bool, requirement: str) -> None:
        if not is_valid:
            got = getattr(self, name)
            shown = " ".join(map(str, got)) if isinstance(got, tuple) else got
            raise InputError(f"--{name.replace('_', '-')} must be {requirement}. Got: {shown}.")

    @property
    def thresholds(self) -> Thresholds:
        """The gate's thresholds."""
        return Thresholds(**{name: getattr(self, name) for name in _SHARES})

    @property
    def effort(self) -> Effort:
        """How much to time at each number of threads."""
        budget = self.budget and self.budget / len(self.threads)
        return Effort(budget, self.rounds, self.calls, self.warmup)

    @property
    def budget_seconds(self) -> float | None:
        """The time that timing is held to; None if `rounds` is given alone."""
        held = self.budget or not self.rounds
        return self.effort.seconds * len(self.threads) if held else None

    @property
    def folder(self) -> Path:
        """Folder for the reports."""
        first, *others = self.bundles
        return self.output or (first.resolve().parent if others else first)
