"""The runs on record (`records.json`): what each network of the zoo reached, seed by seed."""

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
    """What one export of a run reaches.

    Attributes:
        agreement: With the Keras model, on the test images.
        validation_accuracy: Of the first runs alone; None where they trained on those images.
    """

    test_accuracy: Share
    agreement: Share
    size_bytes: Count
    validation_accuracy: Share | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """One seed of a network.

    Attributes:
        test_accuracy: The Keras model's.
        validation_accuracy: None where training used the validation images.
        seconds: What training took.
        exports: What each variant reaches; none where only training was recorded.
    """

    seed: Seed
    test_accuracy: Share
    validation_accuracy: Share | None
    seconds: NotNegative
    versions: dict[str, Text | None]
    exports: dict[str, ExportResult]


@dataclasses.dataclass(frozen=True)
class NetworkRuns:
    """The runs of a network by one recipe, in the order of their seeds."""

    recipe: Recipe
    parameters: Count
    multiply_accumulates: Count
    runs: tuple[Run, ...]

    def exports(self, variant: str) -> list[ExportResult]:
        """What a variant reaches in each run that made it."""
        return [run.exports[variant] for run in self.runs if variant in run.exports]


@dataclasses.dataclass(frozen=True)
class CallTime:
    """How long one call takes.

    Attributes:
        p50_us: Median, in microseconds.
        p50_interval_us: Its 95 % interval; None of too few calls.
        over_unit: Median over the rounds of the ratio to `Latency.unit`'s.
    """

    p50_us: Positive
    p50_interval_us: tuple[Positive, Positive] | None
    over_unit: Positive


@dataclasses.dataclass(frozen=True)
class Timing:
    """How calls are timed.

    Attributes:
        rounds: Turns of each export.
        calls: Timed calls per turn.
        warmup: Calls before the first turn, not counted.
        pinned_cores: None where the system can't pin.
    """

    rounds: CountFrom1 = 20
    calls: CountFrom1 = 200
    warmup: CountFrom1 = 200
    threads: CountFrom1 = 1
    pinned_cores: tuple[Count, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Latency:
    """All networks timed in one run, published ones beside the zoo's.

    Attributes:
        date: When, as ISO 8601 has it.
        unit: The network whose float32 export of the same format is 1 in ratios.
        layers_alone: Networks that were timed without their trained weights.
        networks: By network, by variant.
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
    """What `records.json` holds: runs by network, and the last timing."""

    networks: dict[str, NetworkRuns] = dataclasses.field(default_factory=dict)
    latency: Latency | None = None

    def runs(self, name: str) -> tuple[Run, ...]:
        """The runs of a network by today's full recipe; older ones say nothing of it."""
        found = self.networks.get(name)
        return found.runs if found and found.recipe == models.ZOO[name].full_recipe else ()

    def measured(self) -> dict[str, NetworkRuns]:
        """What the frontier is of: runs with exports, by network, in the zoo's order."""
        runs = {name: [run for run in self.runs(name) if run.exports] for name in models.ZOO}
        return {
            name: dataclasses.replace(self.networks[name], runs=tuple(chosen))
            for name, chosen in runs.items()
            if chosen
        }

    def call_times(self, name: str) -> dict[str, CallTime]:
        """How long a call of each timed variant of a network takes."""
        return self.latency.networks.get(name, {}) if self.latency else {}


def load(file: Path | None = None) -> Record:
    """Loads a record; an empty one where the file does not exist.

    Args:
        file: The record; None is the project's own.

    Raises:
        InputError: The file holds something else.
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
    """Adds a run in place of its seed's older one; runs by another recipe go.

    One process alone may write a record: what another adds meanwhile is lost.

    Args:
        trained: What the training run recorded.
        exports: What its exports reach, by variant.
        file: As `load`'s.
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
    """Records a timing in place of the older one; `file` as `load`'s."""
    _write(dataclasses.replace(load(file), latency=latency), file)


def share(value: float) -> float:
    """A share as the record holds it, to a hundredth of a percent."""
    return round(float(value), 4)


def accuracy_words(results: Iterable[Run | ExportResult]) -> str:
    """Mean, standard deviation and number of seeds: "99.55 % ± 0.06 (3 seeds)"."""
    accuracies = [100 * result.test_accuracy for result in results]
    if not accuracies:
        return "none on record"
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    seeds = "1 seed" if len(accuracies) == 1 else f"{len(accuracies)} seeds"
    return f"{statistics.mean(accuracies):.2f} %{spread} ({seeds})"
