"""Ask every artifact of a bundle about the same pictures.

    python -m benchmarks.predict photo.jpg artifacts/edge
    python -m benchmarks.predict scans/ --many artifacts/edge

prints a row an artifact for each digit: what it reads, how sure it is, and the median
time of a call on that digit, one thread, NumPy array in, NumPy array out. The pictures
are prepared as by `python -m mnist_edge.predict`. Needs Pillow and a runtime; an artifact
whose runtime is not installed, Keras among them, is left out and named. Exits with 1 where
one that is installed could not be asked.
"""

import sys
from pathlib import Path

import numpy as np

from mnist_edge import cli, images, manifest, metrics, runtimes
from mnist_edge.errors import InputError

from . import parity
from .worker import Worker, WorkerFailed

_WARMUP, _CALLS = 5, 50  # enough for a median within a few per cent on an idle machine


def ask(path, pixels):
    """Asks one artifact about each image, one at a time.

    Args:
        path: The artifact.
        pixels: float32 `[n, 28, 28, 1]`, 0 to 255.

    Returns:
        `(probabilities, latencies_us)`: float32 `[n, classes]`, and float64 `[n]`, the
        median of 50 calls each, in microseconds.

    Raises:
        WorkerFailed: The file can't be run.
    """
    with Worker(path, threads=1) as one:
        probabilities = one.predict(pixels)
        latencies_us = []
        for image in pixels:
            one.keep(image[None])  # a fixed batch is filled up with it
            latencies_us.append(np.median(one.time_calls(_WARMUP + _CALLS)[_WARMUP:]))
    return probabilities, np.array(latencies_us)


def ask_all(
    folder: Path, read: dict, pixels: np.ndarray
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, str], dict[str, str]]:
    """Asks the Keras model and every artifact of a bundle.

    Args:
        folder: The bundle.
        read: Its manifest.
        pixels: As `ask` takes them.

    Returns:
        `(answers, left_out, failed)`: what `ask` gives, by artifact; and why there is nothing,
        by artifact, where its runtime is not installed, and where it is.
    """
    answers, left_out, failed = {}, {}, {}
    keras = {**read["model"], "variant": manifest.KERAS_ROW}
    classes = len(read["data"]["labels"])
    for entry in (keras, *read["artifacts"]):
        path, name = folder / entry["file"], entry["variant"]
        try:
            runtimes.require(path)
            if cause := manifest.damage(path, entry):
                raise WorkerFailed(f"{cause}; export it again")
            answer = ask(path, pixels)
        except runtimes.RuntimeMissing as error:
            left_out[name] = str(error)
        except WorkerFailed as error:
            failed[name] = str(error)
        else:
            probabilities = parity.as_probabilities(answer[0], entry)
            wrong = metrics.no_probabilities(probabilities, metrics.STEP)
            if probabilities.shape[1] != classes:
                failed[name] = (
                    f"gives {probabilities.shape[1]} probabilities, {classes} classes named"
                )
            elif wrong:
                failed[name] = f"gives no probabilities but {wrong}"
            else:
                answers[name] = probabilities, answer[1]
    return answers, left_out, failed


def table(digits, answers, labels):
    """A block of lines each digit, a line an artifact.

    Args:
        digits: `images.Digit`s.
        answers: As `ask_all` gives them.
        labels: Names of the classes.

    Returns:
        str, without a final newline.
    """
    wide = max(map(len, answers))
    lines = []
    for i, digit in enumerate(digits):
        where = f" at {' '.join(map(str, digit.box))}" if digit.box else ""
        lines += ["", cli.printable(digit.name) + where]
        lines.append(f"  {'artifact':<{wide}}  {'digit':>5}  {'probability':>11}  {'µs':>7}")
        for name, (probabilities, latencies_us) in answers.items():
            best = int(probabilities[i].argmax())
            lines.append(
                f"  {name:<{wide}}  {cli.printable(labels[best]):>5}  "
                f"{probabilities[i, best]:>11.2%}  "
                f"{latencies_us[i]:>7.1f}"
            )
    return "\n".join(lines[1:])


def _agreement(digits, answers):
    choices = np.stack([probabilities.argmax(1) for probabilities, _ in answers.values()])
    count = int((choices == choices[0]).all(0).sum())
    return f"all {len(answers)} artifacts agree on {count} of {len(digits)}"


@cli.command
def main(argv=None):
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
    read = manifest.read(asked.bundle, ("model", "data", "artifacts"), remedy)
    if read["model"]["input_shape"] != [28, 28, 1]:
        raise InputError(
            f"{asked.bundle} must take images [28, 28, 1]. "
            f"Got: {read['model']['input_shape']}. Give the bundle of another model."
        )
    digits = images.load(asked.images, asked.many)
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    answers, left_out, failed = ask_all(asked.bundle, read, pixels)
    for what, causes in (("left out", left_out), ("FAILED", failed)):
        for name, why in causes.items():
            print(f"{name} {what}: {cli.printable(why)}", file=sys.stderr)
    if answers:
        print(f"{table(digits, answers, read['data']['labels'])}\n\n{_agreement(digits, answers)}")
    elif not failed:
        raise InputError("no artifact could be asked. Install ai-edge-litert or onnxruntime.")
    return cli.GATE_FAILED if failed else cli.OK


if __name__ == "__main__":
    sys.exit(main())
