"""Classify pictures or numbers with every artifact of a bundle.

    python -m benchmarks.predict photo.jpg artifacts/edge
    python -m benchmarks.predict scans/ --many artifacts/edge

prints one row per artifact for each picture or row of numbers, or each digit if the model reads
digits: the predicted class, its probability, and the median latency on that example (one thread,
NumPy array in, NumPy array out). They are prepared as by `python -m mnist_edge.predict`. Needs a
runtime, and Pillow for pictures; artifacts whose runtime is not installed are skipped with a
message. Exits with status 1 if any other artifact fails.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli, examples, manifest, metrics, runtimes
from mnist_edge.errors import InputError
from mnist_edge.examples import Example, InputSpec
from mnist_edge.manifest import Manifest
from mnist_edge.models import opened

from . import bundles
from .bundles import Artifact
from .worker import Worker, WorkerFailed

_WARMUP, _CALLS = 5, 50  # enough for a median within a few percent on an idle machine


@dataclasses.dataclass(frozen=True)
class Predictions:
    """One artifact's probabilities and latency for each image.

    Attributes:
        probabilities: float32 `[n, classes]`.
        latencies_us: float64 `[n]`, median of 50 calls per image, in microseconds.
    """

    probabilities: np.ndarray
    latencies_us: np.ndarray

    @property
    def choices(self) -> np.ndarray:
        """The most probable class of each image, integers `[n]`."""
        return self.probabilities.argmax(1)


def run_one(artifact: Artifact, inputs: np.ndarray, classes: int) -> Predictions:
    """Runs one artifact on the images, one image per call.

    Args:
        artifact: The artifact.
        inputs: float32 `[n, ...]`, in the model's input shape.
        classes: Expected number of classes.

    Raises:
        RuntimeMissing: The artifact's runtime is not installed.
        WorkerFailed: The artifact can't be run, or does not return valid probabilities.
    """
    runtimes.require(artifact.path)
    if cause := artifact.damage():
        raise WorkerFailed(f"{cause}; export it again")
    with Worker(artifact.path, threads=1) as worker:
        probabilities = artifact.finish(worker.predict(inputs))
        latencies_us = []
        for image in inputs:
            worker.keep(image[None])  # repeated to fill a fixed batch
            latencies_us.append(np.median(worker.time_calls(_WARMUP + _CALLS)[_WARMUP:]))
    if probabilities.shape[1] != classes:
        raise WorkerFailed(
            f"must return {classes} probabilities per image. Got: {probabilities.shape[1]}"
        )
    if wrong := metrics.probability_fault(probabilities, metrics.STEP):
        raise WorkerFailed(f"must return probabilities. Got: {wrong}")
    return Predictions(probabilities, np.array(latencies_us))


def run_all(
    folder: Path, loaded: Manifest, inputs: np.ndarray
) -> tuple[dict[str, Predictions], dict[str, str], dict[str, str]]:
    """Runs the Keras model and every artifact of a bundle on the images.

    Returns:
        `(predictions, skipped, failed)`, each by variant: the predictions, the missing runtime,
        and the cause of the failure.
    """
    predictions, skipped, failed = {}, {}, {}
    for artifact in bundles.artifacts(folder, loaded):
        try:
            predictions[artifact.variant] = run_one(artifact, inputs, len(loaded.data.labels))
        except runtimes.RuntimeMissing as error:
            skipped[artifact.variant] = str(error)
        except WorkerFailed as error:
            failed[artifact.variant] = str(error)
    return predictions, skipped, failed


def table(
    given: Sequence[Example], predictions: Mapping[str, Predictions], labels: Sequence[str]
) -> str:
    """Formats one block per example, with one line per artifact."""
    width = max(map(len, predictions))
    shown = [cli.printable(label) for label in labels]
    widest = max(5, *(len(shown[c]) for p in predictions.values() for c in p.choices))
    lines = []
    for i, example in enumerate(given):
        box = example.image.box if example.image else None
        lines += [
            "",
            cli.printable(example.name) + (f" at {' '.join(map(str, box))}" if box else ""),
        ]
        lines.append(
            f"  {'artifact':<{width}}  {'class':>{widest}}  {'probability':>11}  {'µs':>7}"
        )
        for name, found in predictions.items():
            best = int(found.choices[i])
            lines.append(
                f"  {name:<{width}}  {shown[best]:>{widest}}  "
                f"{found.probabilities[i, best]:>11.2%}  "
                f"{found.latencies_us[i]:>7.1f}"
            )
    return "\n".join(lines[1:])


def _agreement(predictions: Mapping[str, Predictions]) -> str:
    choices = np.stack([found.choices for found in predictions.values()])
    count = int((choices == choices[0]).all(0).sum())
    return f"all {len(predictions)} artifacts agree on {count} of {choices.shape[1]}"


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, runs the artifacts, prints the table; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="INPUT",
        help="one or more pictures, folders of pictures, Kaggle's test.csv, or numbers for another "
        "model (.npy, .npz, .csv)",
    )
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="bundle folder written by python -m export"
    )
    parser.add_argument("--many", action="store_true", help="find several digits per picture")
    arguments = parser.parse_intermixed_args(argv)
    folder = arguments.bundle
    remedy = f"Give the bundle last; to export one, run: python -m export {folder}"
    if not folder.is_dir():
        raise InputError(f"{folder} must be a bundle's folder and is not. {remedy}")
    loaded = manifest.read(folder, remedy)
    shape, labels = loaded.model.input_shape, loaded.data.labels
    reads_digits = examples.finds_digits(shape, labels, opened.is_trained_here(folder))
    spec = InputSpec(str(folder), shape, loaded.model.input_range, reads_digits)
    given = examples.load(arguments.images, spec, arguments.many)
    inputs = np.stack([example.values for example in given])
    predictions, skipped, failed = run_all(folder, loaded, inputs)
    for status, causes in (("skipped", skipped), ("FAILED", failed)):
        for name, cause in causes.items():
            print(f"{name} {status}: {cli.printable(cause)}", file=sys.stderr)
    if predictions:
        lines = table(given, predictions, labels)
        print(f"{lines}\n\n{_agreement(predictions)}")
    elif not failed:
        raise InputError(
            "an artifact's runtime must be installed. Got: none. "
            "Install ai-edge-litert or onnxruntime."
        )
    return cli.GATE_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
