"""What each export of a bundle reaches on the validation images and on the test images.

    python -m benchmarks.frontier.accuracy artifacts/edge

prints one line of JSON: `variants`, a dict by variant of `validation_accuracy` (null where
training used those images), `test_accuracy`, `agreement` with Keras on the test images and
`size_bytes`; and `breaches` of the gate on the test images, a list of lines.
"""

import json
import sys
from pathlib import Path

from mnist_edge import bundle, cli, data, gate, manifest, models
from mnist_edge.errors import InputError
from mnist_edge.training import train_record

from .. import bundles, parity
from ..worker import Worker, WorkerFailed
from . import records


def measure(folder):
    """Measures a bundle's exports, each in a process of its own.

    Args:
        folder: The bundle, trained here and exported.

    Returns:
        dict, as this module's docstring describes it.

    Raises:
        InputError: The bundle is missing or damaged, or an export can't be run.
    """
    (read,) = bundles.load_all([folder])
    validation, classes = _validation(read), read.reference.shape[1]
    variants, breaches = {}, []
    for entry in read.manifest["artifacts"]:
        name, path = entry["variant"], folder / entry["file"]
        cause = manifest.damage(path, entry)
        if cause:
            raise InputError(f"{path}: {cause}. Run: python -m export {folder}")
        try:
            with Worker(path, 1) as one:
                test = one.predict(read.images, most_classes=classes)
                chosen = one.predict(validation[0], most_classes=classes) if validation else None
        except WorkerFailed as error:
            raise InputError(f"{path} can't be run: {error}") from error
        is_float32 = entry["precision"] == "float32"
        found = gate.judge(test, read.reference, read.labels, is_float32, gate.Thresholds())
        breaches += [f"{name}: {breach}" for breach in found.breaches]
        shares = parity.shares(test, read.reference, read.labels)
        variants[name] = {
            "validation_accuracy": _accuracy(chosen, validation[1]) if validation else None,
            "test_accuracy": records.rounded(shares["accuracy"]),
            "agreement": records.rounded(shares["agreement"]),
            "size_bytes": entry["size_bytes"],
        }
    return {"variants": variants, "breaches": breaches}


def _validation(read):
    """`(images, labels)` of the validation split; None where training used them."""
    trained = train_record.read(read.folder / bundle.TRAIN, ("data",), "")["data"]
    if not trained["validation_count"]:
        return None
    dataset = data.load(trained["source"])
    _, chosen = data.split_indices(len(dataset.x_train), trained["split_seed"])
    shape = read.manifest["model"]["input_shape"]
    return data.as_inputs(dataset.x_train[chosen], shape), dataset.y_train[chosen]


def _accuracy(probabilities, labels):
    return records.rounded(float((probabilities.argmax(1) == labels).mean()))


@cli.command
def main(argv=None):
    """Parses `argv`, measures, prints one line of JSON; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=bundle.ARTIFACTS / models.DEFAULT, metavar="BUNDLE"
    )
    print(json.dumps(measure(parser.parse_args(argv).bundle)))
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
