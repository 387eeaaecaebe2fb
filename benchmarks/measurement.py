"""Typed records of `benchmark.json`: a `Report` with one `Measurement` per artifact.

docs/benchmark-schema.md documents every key.
"""

import dataclasses
from typing import Annotated, Any

from mnist_edge import runtimes, schema
from mnist_edge.gate import Thresholds
from mnist_edge.runtimes import BROWSER, KERNELS
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
# Variant name of the Keras model's row.
KERAS_ROW = "keras"
PASSED, BREACHED, FAILED, NOT_INSTALLED = "passed", "breached", "failed", "not installed"
# Of kernel sets that are known to run some files only: one that it does not.
REFUSED = "refused"

# From a report's resolution to about eleven days.
Microseconds = Annotated[float, number(0.001, 1e12)]
Interval = tuple[float, float]
# An artifact that fails the gate may return any float32; this holds their differences too.
_Finite = Annotated[
    float,
    Check("a finite number", lambda value: type(value) in (int, float) and abs(value) < 1e300),
]


@dataclasses.dataclass(frozen=True)
class Disagreements:
    """Test images on which an artifact and the reference predict different classes."""

    indices: tuple[Count, ...]
    labels: tuple[Count, ...]
    reference_choices: tuple[Count, ...]
    choices: tuple[Count, ...]


@dataclasses.dataclass(frozen=True)
class Parity:
    """An artifact's predictions compared with the Keras reference's on the same test images.

    Shares are 0 to 1, intervals are 95 %, divergences are in nats per image.
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
class Difference:
    """How far a row's outputs differ from another row's that should compute the same.

    Attributes:
        row: The other row's name, without the bundle.
        decisions: Number of images on which the rows decide differently.
        outputs: Number of images of which any byte of the outputs differs.
    """

    row: Text
    decisions: Count
    outputs: Count


@dataclasses.dataclass(frozen=True)
class CallTimes:
    """Latency percentiles over all calls, and images per second by batch size."""

    calls: CountFrom1
    p50_us: Microseconds
    p50_interval_us: tuple[Microseconds, Microseconds] | None
    p90_us: Microseconds
    p99_us: Microseconds
    max_us: Microseconds
    images_per_second: dict[str, Count | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency(CallTimes):
    """An artifact's latency and memory at one number of threads, and its ratios to other rows."""

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
class BrowserCosts:
    """What a browser fetches to open an artifact, and how long that takes.

    Attributes:
        file_count: Number of files: the runtime's and the artifact.
        wire_bytes: Their bytes as the server sent them, uncompressed, without headers.
        gzip_bytes: Their bytes if each were sent with gzip.
        cold_load_ms: Time on the first visit, until the artifact is open; the median.
        warm_load_ms: The same on the next visit, with the files in the browser's cache.
    """

    file_count: Count
    wire_bytes: Count
    gzip_bytes: Count
    cold_load_ms: NotNegative
    warm_load_ms: NotNegative


@dataclasses.dataclass(frozen=True)
class Robustness:
    """Accuracy and calibration error by distortion, on `image_count` of the test images.

    Attributes:
        roc_area: By kind of picture that shows no example of any class: the area under the ROC
            curve of the largest probability, plain test images against those pictures.
        confidence_roc_area: As `roc_area`, of the confidence of `mnist_edge.predict`; empty for
            models that don't read MNIST's digits.
        refused: Share of images that `mnist_edge.predict` calls "no digit", by distortion and by
            kind of picture; empty likewise.
        source: "mnist-c:" and the folder's name if the images are MNIST-C's own files, else "".
    """

    image_count: CountFrom1
    noise_gray_levels: NotNegative
    accuracy: dict[str, Share]
    calibration_error: dict[str, Share] = dataclasses.field(default_factory=dict)
    roc_area: dict[str, Share] = dataclasses.field(default_factory=dict)
    confidence_roc_area: dict[str, Share] = dataclasses.field(default_factory=dict)
    refused: dict[str, Share] = dataclasses.field(default_factory=dict)
    source: Text = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """Results for one artifact or the Keras model; None for whatever was not measured.

    `kernels` is None for the runtime's own choice of kernels, and names the browser in rows that
    `benchmarks.browser` adds. `differences` are from the rows above it that run the same weights,
    the runtime's own choice first.
    """

    bundle: Text
    variant: Name
    format: Name
    precision: Name
    file: Name
    size_bytes: Count
    sha256: Sha256
    status: Annotated[str, one_of(PASSED, BREACHED, FAILED, NOT_INSTALLED, REFUSED)]
    kernels: Annotated[str, one_of(*KERNELS, *BROWSER)] | None = None
    breaches: tuple[Text, ...] = ()
    remarks: tuple[Text, ...] = ()
    runtime: Text | None = None
    batch: CountFrom1 | None = None
    arena_bytes: Count | None = None
    compiled_bytes: Count | None = None
    parity: Parity | None = None
    differences: tuple[Difference, ...] = ()
    latency: tuple[Latency, ...] = ()
    browser: BrowserCosts | None = None
    robustness: Robustness | None = None

    @property
    def shipped_bytes(self) -> int:
        """What a device stores: the file, or what is compiled of it."""
        return self.size_bytes if self.compiled_bytes is None else self.compiled_bytes

    @property
    def in_browser(self) -> bool:
        """Whether it ran in a browser, apart from the other rows."""
        return self.kernels in BROWSER

    def name(self, several: bool) -> str:
        """Returns the row's name: its variant, prefixed by its bundle if there are `several`."""
        name = runtimes.row_name(self.variant, self.kernels)
        return f"{self.bundle}/{name}" if several else name


@dataclasses.dataclass(frozen=True)
class RuntimeOverhead:
    """Median latency of the overhead graph in one runtime."""

    runtime: Text
    p50_us: Microseconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingBlock:
    """Baselines timed in the same rounds as the artifacts, at one number of threads.

    `rounds` and `seconds`, which the rounds and the warm-up took, are None in older reports.
    """

    threads: CountFrom1
    rounds: CountFrom1 | None = None
    seconds: NotNegative | None = None
    pinned_cores: tuple[Count, ...] | None
    harness_overhead_p50_us: Microseconds
    runtime_overhead: tuple[RuntimeOverhead, ...]
    reference_workload_p50_us: Microseconds
    reference_workload_p50_interval_us: tuple[Microseconds, Microseconds] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Settings of the timing, and one block per number of threads.

    `rounds` and `calls` are None if as many were made as fit `budget_seconds`, the time for all
    blocks together; that is None in older reports, and if `rounds` was given alone.
    """

    rounds: CountFrom1 | None
    calls: CountFrom1 | None
    warmup: CountFrom1
    budget_seconds: Positive | None = None
    timeout_seconds: Positive
    memory_limit_mb: Positive
    blocks: tuple[TimingBlock, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrowserRun:
    """The run of the rows in a browser.

    Attributes:
        browser: Its name and version.
        rounds: Number of timing rounds.
        loads: Number of first visits of each row, and of next visits.
        clock_step_us: Step of the clock that single calls were timed by.
        reference_workload_p50_us: The reference workload, timed by Python in the same rounds.
        reference_workload_p50_interval_us: Interval of its median.
    """

    browser: Text
    rounds: CountFrom1
    loads: CountFrom1
    clock_step_us: Microseconds
    reference_workload_p50_us: Microseconds
    reference_workload_p50_interval_us: tuple[Microseconds, Microseconds] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleRecord:
    """A bundle of the run and its test set.

    `test_count` images were used, of the `test_set_count` that it has (None in older reports);
    `labels` is empty in older reports.
    """

    bundle: Text
    model: Text
    model_sha256: Sha256
    test_source: Text
    test_count: CountFrom1
    test_set_count: CountFrom1 | None = None
    test_sha256: Sha256
    classes: CountFrom1
    reference_accuracy: Share
    labels: tuple[Text, ...] = ()


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """Which artifact to ship.

    Attributes:
        pareto: Artifacts on the Pareto front of accuracy, size and latency.
        ship: The artifact to ship; None if none meets the limits.
        why: The reason, in one sentence.
    """

    pareto: tuple[Text, ...]
    ship: Text | None
    why: Text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(schema.Record):
    """One run of the benchmark.

    Attributes:
        passed: Whether every artifact passed the gate.
        breaches: Every breach, prefixed with the artifact's name.
        recommendation: Which artifact to ship.
        thresholds: The gate's thresholds.
        require: Variants that were required to exist and run.
        timing: Settings of the timing, and its baselines.
        machine: The machine that ran the benchmark.
        bundles: The bundles, in the order given.
        measurements: The rows, by bundle, each starting with the Keras model.
        browser: The run of the rows that ran in a browser; None if there are none.
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
    browser: BrowserRun | None = None

    def __post_init__(self) -> None:
        timed = [block.threads for block in self.timing.blocks]
        if not timed or len(set(timed)) < len(timed):
            raise SchemaError("timing.blocks must hold one block per number of threads")
        in_browser = [row for row in self.measurements if row.in_browser]
        if in_browser and not self.browser:
            raise SchemaError("browser must describe the run of the rows in it and is null")
        others = [row for row in self.measurements if not row.in_browser]
        missing = {one.threads for row in others for one in row.latency} - set(timed)
        if missing:
            raise SchemaError(f"timing.blocks must hold threads {min(missing)} and does not")

    @property
    def several(self) -> bool:
        """Whether the run covers more than one bundle."""
        return len(self.bundles) > 1

    def baselines(self, row: Measurement, threads: int) -> TimingBlock | BrowserRun:
        """Returns what was timed in the same rounds as a row at a number of threads."""
        if row.in_browser and self.browser:
            return self.browser
        return next(block for block in self.timing.blocks if block.threads == threads)

    def records(self) -> list[dict[str, Any]]:
        """Returns flat dicts for `pandas.DataFrame`, one per artifact and number of threads.

        Intervals become two columns, `_low` and `_high`; lists are omitted. Values that were not
        measured are None.
        """
        return [
            _flat(Measurement, row) | _flat(Parity, row.parity) | _flat(Latency, latency)
            for row in self.measurements
            for latency in row.latency or (None,)
        ]


# Fields that `records` omits.
_NESTED = {
    *("breaches", "remarks", "differences", "parity", "latency", "browser", "robustness"),
    *("pinned_cores", "recall_per_class", "wrong_indices", "disagreements", "images_per_second"),
}


def _flat(kind: type, record: object | None) -> dict[str, Any]:
    """Returns a record's values by column; all None without a record."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in dataclasses.fields(kind) if field.name not in _NESTED):
        value = getattr(record, name, None)
        if "interval" in name:
            columns[f"{name}_low"], columns[f"{name}_high"] = value or (None, None)
        else:
            columns[name] = value
    return columns
