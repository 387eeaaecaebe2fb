"""The records of `benchmark.json`: a `Report`, in it one `Measurement` per artifact.

docs/benchmark-schema.md says what each key holds.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from mnist_edge import schema
from mnist_edge.gate import Thresholds
from mnist_edge.schema import (
    Check,
    Count,
    CountFrom1,
    Name,
    NotNegative,
    Positive,
    SchemaError,
    Sha256,
    Share,
    Text,
    number,
    one_of,
)

from .machine import Machine

BENCHMARK_JSON = "benchmark.json"
# What the Keras model is called beside the artifacts that were exported from it.
KERAS_ROW = "keras"
PASSED, BREACHED, FAILED, NOT_INSTALLED = "passed", "breached", "failed", "not installed"

# Reports give a thousandth of a microsecond, and nobody waits for eleven days.
Microseconds = Annotated[float, number(0.001, 1e12)]
Interval = tuple[float, float]
# What is no probability may be any float32, and the distance between two of them.
_Finite = Annotated[
    float,
    Check("a finite number", lambda value: type(value) in (int, float) and abs(value) < 1e300),
]


@dataclasses.dataclass(frozen=True)
class Disagreements:
    """The test images on which an artifact chooses otherwise than the reference."""

    indices: tuple[Count, ...]
    labels: tuple[Count, ...]
    reference_choices: tuple[Count, ...]
    choices: tuple[Count, ...]


@dataclasses.dataclass(frozen=True)
class Parity:
    """An artifact's answers beside the Keras reference's, on the same test images.

    Shares are 0 to 1, intervals 95 %, divergences in nats per image.
    """

    accuracy: Share
    accuracy_interval: Interval
    reference_accuracy: Share
    agreement: Share
    agreement_interval: Interval
    newly_wrong_count: Count
    newly_right_count: Count
    mcnemar_p: Share
    mean_probability_difference: _Finite
    max_probability_difference: _Finite
    divergence: _Finite
    one_hot_divergence: _Finite
    recall_per_class: tuple[Share | None, ...]
    wrong_indices: tuple[Count, ...]
    disagreements: Disagreements


@dataclasses.dataclass(frozen=True)
class CallTimes:
    """How long calls took, every one counted; images per second by batch size."""

    calls: CountFrom1
    p50_us: Microseconds
    p50_interval_us: tuple[Microseconds, Microseconds] | None
    p90_us: Microseconds
    p99_us: Microseconds
    max_us: Microseconds
    images_per_second: dict[str, Count | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency(CallTimes):
    """What an artifact takes at one number of threads, alone and beside others of its run."""

    threads: CountFrom1
    pinned_cores: tuple[Count, ...] | None
    import_ms: NotNegative
    load_ms: NotNegative
    first_call_us: NotNegative
    memory_idle_bytes: Count | None
    memory_peak_bytes: Count | None
    speedup_vs_keras: NotNegative | None
    speedup_vs_tflite_float32: NotNegative | None
    times_runtime_overhead: NotNegative | None
    slower_than_float: bool | None


@dataclasses.dataclass(frozen=True)
class Robustness:
    """Accuracy by distortion, on so many of the test images."""

    image_count: CountFrom1
    noise_gray_levels: NotNegative
    accuracy: dict[str, Share]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of one artifact, or of the Keras model; what was not is None."""

    bundle: Text
    variant: Name
    format: Name
    precision: Name
    file: Name
    size_bytes: Count
    sha256: Sha256
    status: Annotated[str, one_of(PASSED, BREACHED, FAILED, NOT_INSTALLED)]
    breaches: tuple[Text, ...] = ()
    remarks: tuple[Text, ...] = ()
    runtime: Text | None = None
    batch: CountFrom1 | None = None
    parity: Parity | None = None
    latency: tuple[Latency, ...] = ()
    robustness: Robustness | None = None

    def name(self, several: bool) -> str:
        """Its variant, after its bundle where there are `several`."""
        return f"{self.bundle}/{self.variant}" if several else self.variant


@dataclasses.dataclass(frozen=True)
class RuntimeOverhead:
    """Median of a call that computes nothing, in one runtime."""

    runtime: Text
    p50_us: Microseconds


@dataclasses.dataclass(frozen=True)
class TimingBlock:
    """What was timed in the same rounds as the artifacts, at one number of threads."""

    threads: CountFrom1
    pinned_cores: tuple[Count, ...] | None
    harness_overhead_p50_us: Microseconds
    runtime_overhead: tuple[RuntimeOverhead, ...]
    reference_workload_p50_us: Microseconds
    reference_workload_p50_interval_us: tuple[Microseconds, Microseconds] | None


@dataclasses.dataclass(frozen=True)
class Timing:
    """How the calls were timed."""

    rounds: CountFrom1
    calls: CountFrom1
    warmup: CountFrom1
    timeout_seconds: Positive
    memory_limit_mb: Positive
    blocks: tuple[TimingBlock, ...]


@dataclasses.dataclass(frozen=True)
class BundleRecord:
    """A bundle of the run, and what its artifacts were tested on."""

    bundle: Text
    model: Text
    model_sha256: Sha256
    test_source: Text
    test_count: CountFrom1
    test_sha256: Sha256
    classes: CountFrom1
    reference_accuracy: Share


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """Which artifact to ship.

    Attributes:
        pareto: Those that none beats in accuracy, size and latency at once.
        ship: The one to ship; None where none fits.
        why: In words.
    """

    pareto: tuple[Text, ...]
    ship: Text | None
    why: Text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(schema.Record):
    """One run of the benchmark.

    Attributes:
        passed: Whether nothing breached the gate.
        breaches: Every breach, with the artifact that it is of.
        recommendation: Which artifact to ship.
        thresholds: Of the gate.
        require: Variants that had to be there and run.
        timing: How calls were timed, and what a call costs that computes nothing.
        machine: Where.
        bundles: In the order in which they were named.
        measurements: By bundle, the Keras model first.
    """

    passed: bool
    breaches: tuple[Text, ...]
    recommendation: Recommendation
    thresholds: Thresholds
    require: tuple[Text, ...]
    timing: Timing
    machine: Machine
    bundles: tuple[BundleRecord, ...]
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        timed = [block.threads for block in self.timing.blocks]
        if not timed or len(set(timed)) < len(timed):
            raise SchemaError("timing.blocks must hold one block per number of threads")
        missing = {one.threads for row in self.measurements for one in row.latency} - set(timed)
        if missing:
            raise SchemaError(f"timing.blocks must hold threads {min(missing)} and does not")

    @property
    def several(self) -> bool:
        """Whether there are several bundles."""
        return len(self.bundles) > 1

    def block(self, threads: int) -> TimingBlock:
        """What was timed at so many threads, beside the artifacts."""
        return next(block for block in self.timing.blocks if block.threads == threads)

    def records(self) -> list[dict[str, Any]]:
        """Flat dicts for `pandas.DataFrame`: one per artifact and number of threads.

        Intervals are two columns, `_low` and `_high`; lists are left out. What was not measured
        is None.
        """
        return [
            _flat(Measurement, row) | _flat(Parity, row.parity) | _flat(Latency, latency)
            for row in self.measurements
            for latency in row.latency or (None,)
        ]


def read(path: Path, remedy: str) -> Report:
    """Reads a `benchmark.json`, which may be anybody's.

    Raises:
        InputError: It is missing, damaged or of another version.
    """
    return schema.read(Report, path, remedy)


# Fields that are no column.
_NESTED = {
    *("breaches", "remarks", "parity", "latency", "robustness", "pinned_cores"),
    *("recall_per_class", "wrong_indices", "disagreements", "images_per_second"),
}


def _flat(kind: type, record: object | None) -> dict[str, Any]:
    """A record's figures by column; None where there is no record."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in dataclasses.fields(kind) if field.name not in _NESTED):
        value = getattr(record, name, None)
        if "interval" in name:
            columns[f"{name}_low"], columns[f"{name}_high"] = value or (None, None)
        else:
            columns[name] = value
    return columns
