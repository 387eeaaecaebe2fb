"""Reads and writes `records.json`: the results of each network of the zoo, by seed."""

import dataclasses
import statistics
from collections.abc import Iterable
from pathlib import Path

from mnist_edge import models, schema, staging
from mnist_edge.models import Recipe
from mnist_edge.schema import Count, CountFrom1, NotNegative, Positive, Seed, Share, Text
from mnist_edge.training.train_record import TrainRecord

from ..machine import Machine

FLOAT, INT8, ONNX_FLOAT = VARIANTS = ("tflite-float32", "tflite-int8", "onnx-float32")
FILE = Path(__file__).with_name("records.json")


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """Results of one export of a run.

    Attributes:
        test_accuracy: Accuracy on the test images.
        agreement: Top-1 agreement with the Keras model on the test images.
        size_bytes: Size of the file.
        validation_accuracy: Recorded by the first runs only; None if training used the
            validation images.
    """

    test_accuracy: Share
    agreement: Share
    size_bytes: Count
    validation_accuracy: Share | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a network.

    Attributes:
        seed: Seed of the training.
        test_accuracy: Accuracy of the Keras model.
        validation_accuracy: The Keras model's; None if training used the validation images.
        seconds: Training time.
        versions: Versions of Python and packages.
        exports: Results by variant; empty if only the training was recorded.
    """

    seed: Seed
    test_accuracy: Share
    validation_accuracy: Share | None
    seconds: NotNegative
    versions: dict[str, Text | None]
    exports: dict[str, ExportResult]


@dataclasses.dataclass(frozen=True)
class NetworkRuns:
    """The runs of a network with one recipe, ordered by seed."""

    recipe: Recipe
    parameters: Count
    multiply_accumulates: Count
    runs: tuple[Run, ...]

    def exports(self, variant: str) -> list[ExportResult]:
        """Returns a variant's results from each run that exported it."""
        return [run.exports[variant] for run in self.runs if variant in run.exports]


@dataclasses.dataclass(frozen=True)
class CallTime:
    """Latency of one export.

    Attributes:
        p50_us: Median, in microseconds.
        p50_interval_us: Its 95 % interval; None with too few rounds.
        over_unit: Ratio to the float32 export of `Latency.unit`, median over the rounds.
    """

    p50_us: Positive
    p50_interval_us: tuple[Positive, Positive] | None
    over_unit: Positive


@dataclasses.dataclass(frozen=True)
class Timing:
    """Settings of the timing.

    Attributes:
        rounds: Rounds; each export is timed once per round.
        calls: Timed calls per export and round.
        warmup: Calls before the first round, not counted.
        threads: Threads per call.
        pinned_cores: Cores that processes are pinned to; None if the system can't pin.
    """

    rounds: CountFrom1 = 20
    calls: CountFrom1 = 200
    warmup: CountFrom1 = 200
    threads: CountFrom1 = 1
    pinned_cores: tuple[Count, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Latency:
    """Latency of all networks, of the zoo and published, timed in one run.

    Attributes:
        date: Date of the run, ISO 8601.
        machine: The machine of the run.
        runtimes: Names and versions of the runtimes.
        unit: The network that ratios are relative to.
        timing: Settings of the timing.
        layers_alone: Networks that were timed as stand-ins, without their trained weights.
        networks: Latency by network and variant.
    """

    date: Text
    machine: Machine
    runtimes: tuple[Text, ...]
    unit: Text
    timing: Timing
    layers_alone: tuple[Text, ...]
    networks: dict[str, dict[str, CallTime]]


@dataclasses.dataclass(frozen=True)
class Record(schema.Record):
    """Contents of `records.json`: runs by network, and the latest timing."""

    networks: dict[str, NetworkRuns] = dataclasses.field(default_factory=dict)
    latency: Latency | None = None

    def runs(self, name: str) -> tuple[Run, ...]:
        """Returns a network's runs with the current full recipe; none if it has changed since."""
        found = self.networks.get(name)
        return found.runs if found and found.recipe == models.ZOO[name].full_recipe else ()

    def measured(self) -> dict[str, NetworkRuns]:
        """Returns the runs with exports by network, in the zoo's order."""
        runs = {name: [run for run in self.runs(name) if run.exports] for name in models.ZOO}
        return {
            name: dataclasses.replace(self.networks[name], runs=tuple(chosen))
            for name, chosen in runs.items()
            if chosen
        }

    def call_times(self, name: str) -> dict[str, CallTime]:
        """Returns the latency of each timed variant of a network."""
        return self.latency.networks.get(name, {}) if self.latency else {}


def load(file: Path | None = None) -> Record:
    """Loads a record; returns an empty one if the file does not exist.

    Args:
        file: Path of the record; None for the project's own.

    Raises:
        InputError: The file is not a valid record.
    """
    file = file or FILE
    if not file.exists():
        return Record()
    return schema.read(Record, file, "Restore it, or give another file by --record.")


def _write(record: Record, file: Path | None) -> None:
    file = file or FILE
    with staging.staged(file.parent) as stage:
        schema.write(stage / file.name, record)


def add_run(
    trained: TrainRecord, exports: dict[str, ExportResult], file: Path | None = None
) -> None:
    """Adds a run to a record.

    Replaces an earlier run with the same seed, and removes runs with another recipe. Not safe
    for concurrent writers.

    Args:
        trained: The training record of the run.
        exports: Results of its exports, by variant.
        file: Path of the record; None for the project's own.
    """
    record, metrics = load(file), trained.metrics
    run = Run(
        trained.seed,
        share(metrics.test_accuracy),
        None if metrics.validation_accuracy is None else share(metrics.validation_accuracy),
        trained.training_seconds,
        trained.versions,
        exports,
    )
    others = [done for done in record.runs(trained.model) if done.seed != run.seed]
    network = NetworkRuns(
        trained.recipe,
        trained.parameters,
        trained.multiply_accumulates,
        tuple(sorted([*others, run], key=lambda done: done.seed)),
    )
    networks = record.networks | {trained.model: network}
    _write(dataclasses.replace(record, networks=networks), file)


def set_latency(latency: Latency, file: Path | None = None) -> None:
    """Replaces the recorded timing; `file` as in `load`."""
    _write(dataclasses.replace(load(file), latency=latency), file)


def share(value: float) -> float:
    """Rounds a share to a hundredth of a percent, as the record holds it."""
    return round(float(value), 4)


def accuracy_words(results: Iterable[Run | ExportResult]) -> str:
    """Formats mean, standard deviation and number of seeds: "99.55 % ± 0.06 (3 seeds)"."""
    accuracies = [100 * result.test_accuracy for result in results]
    if not accuracies:
        return "not recorded"
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    seeds = "1 seed" if len(accuracies) == 1 else f"{len(accuracies)} seeds"
    return f"{statistics.mean(accuracies):.2f} %{spread} ({seeds})"
