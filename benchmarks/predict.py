"""Ask every artefact of a bundle about the same pictures.

    python -m benchmarks.predict photo.jpg artifacts/edge
    python -m benchmarks.predict scans/ --many artifacts/edge

prints a row an artefact for each digit: what it reads, how sure it is, and the median
time of a call on that digit, one thread, NumPy array in, NumPy array out. The pictures
are prepared as by `python -m mnist_edge.predict`. Needs Pillow and a runtime; an artefact
whose runtime is not installed, Keras among them, is left out and named.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import runtimes
from benchmarks.worker import Worker, WorkerFailed
from mnist_edge import cli, images, manifest
from mnist_edge.cli import InputError

_WARMUP, _CALLS = 5, 50  # enough for a median within a few per cent on an idle machine


def ask(path, pixels):
    """Asks one artefact about each image, one at a time.

    Args:
        path: The artefact.
        pixels: float32 `[n, 28, 28, 1]`, 0 to 255.

    Returns:
        `(probabilities, latencies_us)`: float32 `[n, classes]`, and float64 `[n]`, the
        median of 50 calls each, in microseconds.

    Raises:
        RuntimeMissing: Its runtime is not installed.
        WorkerFailed: The file can't be run.
    """
    with Worker(path, threads=1) as one:
        probabilities = one.predict(pixels)
        latencies_us = []
        for image in pixels:
            one.keep(image[None])  # a fixed batch is filled up with it
            latencies_us.append(np.median(one.time_calls(_WARMUP + _CALLS)[_WARMUP:]))
    return probabilities, np.array(latencies_us)


def ask_all(folder, read, pixels):
    """Asks the Keras model and every artefact of a bundle.

    Args:
        folder: The bundle.
        read: Its manifest.
        pixels: As `ask` takes them.

    Returns:
        `(answers, left_out)`: what `ask` gives, by artefact; and why there is nothing, by
        artefact, where there is nothing.
    """
    answers, left_out = {}, {}
    keras = {**read["model"], "variant": manifest.KERAS_ROW}
    classes = len(read["data"]["labels"])
    for entry in (keras, *read["artifacts"]):
        path, name = folder / entry["file"], entry["variant"]
        cause = manifest.damage(path, entry)
        if cause:
            left_out[name] = f"{cause}; export it again"
            continue
        try:
            runtimes.require(path)
            answer = ask(path, pixels)
        except (runtimes.RuntimeMissing, WorkerFailed) as error:
            left_out[name] = str(error)
            continue
        if answer[0].shape[1] == classes:
            answers[name] = answer
        else:
            left_out[name] = f"gives {answer[0].shape[1]} probabilities, {classes} classes named"
    return answers, left_out


def table(digits, answers, labels):
    """A block of lines each digit, a line an artefact.

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
        lines += ["", digit.name + where]
        lines.append(f"  {'artefact':<{wide}}  {'digit':>5}  {'probability':>11}  {'µs':>7}")
        for name, (probabilities, latencies_us) in answers.items():
            best = int(probabilities[i].argmax())
            lines.append(
                f"  {name:<{wide}}  {labels[best]:>5}  {probabilities[i, best]:>11.2%}  "
                f"{latencies_us[i]:>7.1f}"
            )
    return "\n".join(lines[1:])


def _agreement(digits, answers):
    choices = np.stack([probabilities.argmax(1) for probabilities, _ in answers.values()])
    count = int((choices == choices[0]).all(0).sum())
    return f"all {len(answers)} artefacts agree on {count} of {len(digits)}"


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
    answers, left_out = ask_all(asked.bundle, read, pixels)
    for name, why in left_out.items():
        print(f"{name} left out: {why}", file=sys.stderr)
    if not answers:
        raise InputError("no artefact could be asked. Install ai-edge-litert or onnxruntime.")
    print(f"{table(digits, answers, read['data']['labels'])}\n\n{_agreement(digits, answers)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
