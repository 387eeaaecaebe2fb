"""Write a model card for a bundle: data, recipe, accuracy, limitations.

    python -m benchmarks.card mnist_edge/models/pretrained/edge

measures the bundle's model on the test images, clean and distorted, and writes `CARD.md`
into the bundle from `train.json`, the recorded runs of all seeds, and these measurements.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge import backend, cli, data, staging
from mnist_edge.models import trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.safety import supervise
from mnist_edge.training.train_record import TrainRecord

from . import robustness
from .frontier import records

CARD = "CARD.md"
# Limitations that accuracy on MNIST does not show.
_LIMITS = (
    "MNIST's digits are centered, upright, light on dark, one per image: convert pictures to "
    "that form first (`python -m mnist_edge.predict` does).",
    "It predicts a digit for every input; there is no class for anything else, and a high "
    "probability does not show that the image contains a digit.",
    "Inverted images (dark on light) are not recognized.",
    "About 15 labels of the test set are wrong by human vote (Northcutt 2021), so accuracy above "
    "99.85 % is not meaningful.",
)


def measure(
    opened: TrainedModel,
    dataset: data.Dataset,
    distortions: tuple[str, ...] = tuple(robustness.DISTORTIONS),
) -> dict[str, float]:
    """Measures a bundle's model on distorted test images.

    Args:
        opened: The bundle's model.
        dataset: The dataset to test on.
        distortions: Names in `robustness.DISTORTIONS`.

    Returns:
        Accuracy on all test images, as a share, by distortion.

    Raises:
        InputError: The model fails, or the data have another shape.
    """
    name = opened.record.model
    robustness.check(opened.shape, name)
    images = data.as_inputs(dataset.x_test, opened.shape)
    accuracy = {}
    for distortion in distortions:
        distorted = robustness.distort(images, distortion)
        probabilities = trained.probabilities(opened.model, distorted, name)
        accuracy[distortion] = float(np.mean(probabilities.argmax(1) == dataset.y_test))
    return accuracy


def card(record: TrainRecord, runs: Sequence[records.Run], accuracy: dict[str, float]) -> str:
    """Formats the card as Markdown.

    Args:
        record: The bundle's training record.
        runs: The model's recorded runs.
        accuracy: Accuracy by distortion, as returned by `measure`.
    """
    used = record.data
    rows = "\n".join(f"| {name} | {share:.2%} |" for name, share in accuracy.items())
    limits = "\n".join(f"- {limit}" for limit in _LIMITS)
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return f"""# {record.model}

A classifier of {used.classes} handwritten digits: {record.parameters:,} parameters, \
{record.multiply_accumulates:,} multiply-accumulates per image. Raw pixels in (`image`, float32 \
`[batch, 28, 28, 1]`, 0 to 255), probabilities out.

**Data.** {cli.printable(used.source)}: {used.train_count:,} training images, \
{used.validation_count:,} kept for validation, {used.test_count:,} for this report. The \
recipe was chosen on validation images, split from the training images\
{"" if used.validation_count else "; this model was then trained on all of them"} \
(`docs/search.md` describes how, and where test accuracy influenced a choice). Hashes are in \
`train.json`.

**Recipe.** {record.recipe.describe()}; seed {record.seed}, \
{record.training_seconds:.0f} s of training on {record.machine.cpu_count} cores. \
Reproduce: `python -m mnist_edge.train --model {record.model} --full --seed {record.seed}`.

**All seeds.** {records.accuracy_words(runs)} on the test images.

| test images | accuracy of this model |
| --- | --: |
{rows}

Shifts and rotations have a random direction; noise is Gaussian with a standard deviation of \
{robustness.NOISE} gray levels of 255.

**Limits.**
{limits}

Made with {cli.printable(versions)}. `model.keras` has SHA-256 `{record.model_sha256}`.
"""


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Measures the model in `argv` and writes its card; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle with train.json")
    folder = parser.parse_args(argv).bundle
    backend.start_keras()
    opened = trained.open_bundle(folder)
    dataset = data.load_recorded(opened.record.data.source, folder)
    runs = records.load().runs(opened.record.model)
    text = card(opened.record, runs, measure(opened, dataset))
    with staging.staged(folder) as stage:
        (stage / CARD).write_text(text, encoding="utf-8", errors="backslashreplace")
    print(f"written: {cli.printable(folder / CARD)}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
