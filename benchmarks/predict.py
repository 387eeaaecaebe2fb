"""Classify pictures with every artifact of a bundle.

    python -m benchmarks.predict photo.jpg artifacts/edge
    python -m benchmarks.predict scans/ --many artifacts/edge

prints one row per artifact for each digit: the predicted class, its probability, and the
median latency on that digit (one thread, NumPy array in, NumPy array out). The pictures are
preprocessed as by `python -m mnist_edge.predict`. Needs Pillow and a runtime; artifacts
whose runtime is not installed are skipped with a message. Exits with status 1 if any other
artifact fails.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli, images, manifest, metrics, runtimes
from mnist_edge.errors import InputError
from mnist_edge.images import Digit
from mnist_edge.manifest import Manifest

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


def run_one(artifact: Artifact, pixels: np.ndarray, classes: int) -> Predictions:
    """Runs one artifact on the images, one image per call.

    Args:
        artifact: The artifact.
        pixels: float32 `[n, 28, 28, 1]`, 0 to 255.
        classes: Expected number of classes.

    Raises:
        RuntimeMissing: The artifact's runtime is not installed.
        WorkerFailed: The artifact can't be run, or does not return valid probabilities.
    """
    runtimes.require(artifact.path)
    if cause := artifact.damage():
        raise WorkerFailed(f"{cause}; export it again")
    with Worker(artifact.path, threads=1) as worker:
        probabilities = artifact.finish(worker.predict(pixels))
        latencies_us = []
        for image in pixels:
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
    folder: Path, loaded: Manifest, pixels: np.ndarray
) -> tuple[dict[str, Predictions], dict[str, str], dict[str, str]]:
    """Runs the Keras model and every artifact of a bundle on the images.

    Returns:
        `(predictions, skipped, failed)`, each by variant: the predictions, the missing runtime,
        and the cause of the failure.
    """
    predictions, skipped, failed = {}, {}, {}
    for artifact in bundles.artifacts(folder, loaded):
        try:
            predictions[artifact.variant] = run_one(artifact, pixels, len(loaded.data.labels))
        except runtimes.RuntimeMissing as error:
            skipped[artifact.variant] = str(error)
        except WorkerFailed as error:
            failed[artifact.variant] = str(error)
    return predictions, skipped, failed


def table(
    digits: Sequence[Digit], predictions: Mapping[str, Predictions], labels: Sequence[str]
) -> str:
    """Formats one block per digit, with one line per artifact."""
    width = max(map(len, predictions))
    lines = []
    for i, digit in enumerate(digits):
        where = f" at {' '.join(map(str, digit.box))}" if digit.box else ""
        lines += ["", cli.printable(digit.name) + where]
        lines.append(f"  {'artifact':<{width}}  {'digit':>5}  {'probability':>11}  {'µs':>7}")
        for name, found in predictions.items():
            best = int(found.probabilities[i].argmax())
            lines.append(
                f"  {name:<{width}}  {cli.printable(labels[best]):>5}  "
                f"{found.probabilities[i, best]:>11.2%}  "
                f"{found.latencies_us[i]:>7.1f}"
            )
    return "\n".join(lines[1:])


def _agreement(digits: Sequence[Digit], predictions: Mapping[str, Predictions]) -> str:
    choices = np.stack([found.probabilities.argmax(1) for found in predictions.values()])
    count = int((choices == choices[0]).all(0).sum())
    return f"all {len(predictions)} artifacts agree on {count} of {len(digits)}"


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, runs the artifacts, prints the table; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="one or more pictures, folders of pictures, or Kaggle's test.csv",
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
    if loaded.model.input_shape != (28, 28, 1):
        raise InputError(
            f"{folder} must take images [28, 28, 1]. "
            f"Got: {list(loaded.model.input_shape)}. Give the bundle of another model."
        )
    digits = images.load(arguments.images, arguments.many)
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    predictions, skipped, failed = run_all(folder, loaded, pixels)
    for status, causes in (("skipped", skipped), ("FAILED", failed)):
        for name, cause in causes.items():
            print(f"{name} {status}: {cli.printable(cause)}", file=sys.stderr)
    if predictions:
        lines = table(digits, predictions, loaded.data.labels)
        print(f"{lines}\n\n{_agreement(digits, predictions)}")
    elif not failed:
        raise InputError(
            "an artifact's runtime must be installed. Got: none. "
            "Install ai-edge-litert or onnxruntime."
        )
    return cli.GATE_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
