"""Ask every artifact of a bundle about the same pictures.

    python -m benchmarks.predict photo.jpg artifacts/edge
    python -m benchmarks.predict scans/ --many artifacts/edge

prints one row per artifact for each digit: what it reads, how sure it is, and the median
time of a call on that digit, one thread, NumPy array in, NumPy array out. The pictures
are prepared as by `python -m mnist_edge.predict`. Needs Pillow and a runtime; an artifact
whose runtime is not installed, Keras among them, is left out and named. Exits with 1 where
one that is installed could not be asked.
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

from . import bundles, parity
from .bundles import Artifact
from .worker import Worker, WorkerFailed

_WARMUP, _CALLS = 5, 50  # enough for a median within a few per cent on an idle machine


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one artifact says of each image, and how long it took.

    Attributes:
        probabilities: float32 `[n, classes]`.
        latencies_us: float64 `[n]`, the median of 50 calls each, in microseconds.
    """

    probabilities: np.ndarray
    latencies_us: np.ndarray


def ask(artifact: Artifact, pixels: np.ndarray, classes: int) -> Answers:
    """Asks one artifact about each image, one at a time.

    Args:
        artifact: What to ask.
        pixels: float32 `[n, 28, 28, 1]`, 0 to 255.
        classes: How many it must know.

    Raises:
        RuntimeMissing: Its runtime is not installed.
        WorkerFailed: It can't be run, or gives no probabilities of so many classes.
    """
    runtimes.require(artifact.path)
    if cause := artifact.damage():
        raise WorkerFailed(f"{cause}; export it again")
    with Worker(artifact.path, threads=1) as one:
        probabilities = parity.as_probabilities(one.predict(pixels), artifact.softmax_added)
        latencies_us = []
        for image in pixels:
            one.keep(image[None])  # a fixed batch is filled up with it
            latencies_us.append(np.median(one.time_calls(_WARMUP + _CALLS)[_WARMUP:]))
    if probabilities.shape[1] != classes:
        raise WorkerFailed(f"gives {probabilities.shape[1]} probabilities, {classes} classes named")
    if wrong := metrics.no_probabilities(probabilities, metrics.STEP):
        raise WorkerFailed(f"gives no probabilities but {wrong}")
    return Answers(probabilities, np.array(latencies_us))


def ask_all(
    folder: Path, read: Manifest, pixels: np.ndarray
) -> tuple[dict[str, Answers], dict[str, str], dict[str, str]]:
    """Asks the Keras model and every artifact of a bundle.

    Returns:
        `(answers, left_out, failed)`: what each says; and why there is nothing, where its
        runtime is not installed, and where it is. All by variant.
    """
    answers, left_out, failed = {}, {}, {}
    for artifact in bundles.artifacts(folder, read):
        try:
            answers[artifact.variant] = ask(artifact, pixels, len(read.data.labels))
        except runtimes.RuntimeMissing as error:
            left_out[artifact.variant] = str(error)
        except WorkerFailed as error:
            failed[artifact.variant] = str(error)
    return answers, left_out, failed


def table(digits: Sequence[Digit], answers: Mapping[str, Answers], labels: Sequence[str]) -> str:
    """A block of lines per digit, one line per artifact, without a final newline."""
    wide = max(map(len, answers))
    lines = []
    for i, digit in enumerate(digits):
        where = f" at {' '.join(map(str, digit.box))}" if digit.box else ""
        lines += ["", cli.printable(digit.name) + where]
        lines.append(f"  {'artifact':<{wide}}  {'digit':>5}  {'probability':>11}  {'µs':>7}")
        for name, found in answers.items():
            best = int(found.probabilities[i].argmax())
            lines.append(
                f"  {name:<{wide}}  {cli.printable(labels[best]):>5}  "
                f"{found.probabilities[i, best]:>11.2%}  "
                f"{found.latencies_us[i]:>7.1f}"
            )
    return "\n".join(lines[1:])


def _agreement(digits: Sequence[Digit], answers: Mapping[str, Answers]) -> str:
    choices = np.stack([found.probabilities.argmax(1) for found in answers.values()])
    count = int((choices == choices[0]).all(0).sum())
    return f"all {len(answers)} artifacts agree on {count} of {len(digits)}"


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, asks, prints the table; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="a picture, a folder of pictures, or Kaggle's test.csv; one or more",
    )
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="folder that python -m export wrote"
    )
    parser.add_argument("--many", action="store_true", help="look for several digits in a picture")
    asked = parser.parse_intermixed_args(argv)
    remedy = f"Give the bundle last; to export one, run: python -m export {asked.bundle}"
    if not asked.bundle.is_dir():
        raise InputError(f"{asked.bundle} must be a bundle's folder and is not. {remedy}")
    read = manifest.read(asked.bundle, remedy)
    if read.model.input_shape != (28, 28, 1):
        raise InputError(
            f"{asked.bundle} must take images [28, 28, 1]. "
            f"Got: {list(read.model.input_shape)}. Give the bundle of another model."
        )
    digits = images.load(asked.images, asked.many)
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    answers, left_out, failed = ask_all(asked.bundle, read, pixels)
    for what, causes in (("left out", left_out), ("FAILED", failed)):
        for name, why in causes.items():
            print(f"{name} {what}: {cli.printable(why)}", file=sys.stderr)
    if answers:
        print(f"{table(digits, answers, read.data.labels)}\n\n{_agreement(digits, answers)}")
    elif not failed:
        raise InputError("no artifact could be asked. Install ai-edge-litert or onnxruntime.")
    return cli.GATE_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
