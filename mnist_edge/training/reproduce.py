"""What a run must record so that it can be repeated, and how it is repeated.

The same seed, data, machine, versions and number of threads give the same weights bit for
bit; nothing is promised across them.
"""

import dataclasses
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import mnist_edge
from mnist_edge import bundle, cli, models
from mnist_edge.errors import InputError
from mnist_edge.models.recipe import Recipe
from mnist_edge.training import train_record

_KEYS = ("model", "recipe", "teacher", "seed", "data", "versions", "machine")
_REMEDY = "Give a train.json that mnist_edge.train wrote."
# Settings that go with --from: none of them changes what is learned.
_BESIDE = (
    *("from_", "output", "data", "resume", "plots", "quiet"),
    *("tensorboard", "save_h5", "save_weights"),
)
# Variables that change how a backend adds up, where they are set.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "CUDA_VISIBLE_DEVICES",
)


@dataclasses.dataclass(frozen=True)
class Repetition:
    """A run that is to be repeated.

    Attributes:
        settings: The `TrainSettings` that repeat it.
        recipe: Its `Recipe`.
        record: What its `train.json` holds, a dict.
    """

    settings: object
    recipe: Recipe
    record: dict


def environment():
    """What the weights depend on besides settings and data, the `train.json`'s part of it."""
    import keras

    backend = keras.backend.backend()
    return {
        "versions": {
            "mnist-edge": mnist_edge.__version__,
            "python": platform.python_version(),
            "keras": keras.version(),
            "backend": backend,
            "backend_version": _version(backend),  # its package has its name
            "numpy": np.__version__,
        },
        "machine": {
            "platform": platform.platform(),
            "cpu_count": os.cpu_count(),
            "cores_allowed": _cores_allowed(),
            "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        },
    }


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores_allowed():
    """How many cores this process may use: as many threads do the arithmetic."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def weights_sha256(model):
    """SHA-256 of a model's weights in order; the file's own tells Keras's version too."""
    return bundle.sha256_array(np.concatenate([w.ravel() for w in model.get_weights()]))


def read(settings):
    """Reads the run that `settings.from_` describes.

    Args:
        settings: A `TrainSettings` with `from_`.

    Returns:
        A `Repetition`.

    Raises:
        InputError: The file is no record of a run, or a setting would change the run.
    """
    path = settings.from_
    record = train_record.read(path, _KEYS, _REMEDY)
    changed = [
        field.name
        for field in dataclasses.fields(settings)
        if field.name not in _BESIDE and getattr(settings, field.name) != field.default
    ]
    if changed:
        raise InputError(
            f"--from repeats a run as it was. Got: --{changed[0].replace('_', '-')} too. "
            "Leave it out, or train without --from."
        )
    if record["model"] not in models.ZOO:
        raise InputError(
            f"{path}: model must be among {', '.join(models.ZOO)}. Got: {record['model']}. "
            f"{_REMEDY}"
        )
    recipe = Recipe.from_record(record["recipe"], path)
    if recipe.branch_losses and not models.ZOO[record["model"]].recipe.branch_losses:
        raise InputError(
            f"{path}: recipe.branch_losses must be false for {record['model']}, which averages no "
            f"branches. Got: true. {_REMEDY}"
        )
    given = record["data"]
    moved = settings.data != type(settings).data
    repeated = dataclasses.replace(
        settings,
        model=record["model"],
        seed=record["seed"],
        split_seed=given["split_seed"],
        data=settings.data if moved else given["source"],
        labels=tuple(given["labels"]) if "labels" in given else None,
    )
    return Repetition(repeated, recipe, record)


def check(repetition, dataset, teacher):
    """Raises `InputError` where data or teacher are not the run's.

    Args:
        repetition: A `Repetition`.
        dataset: The `data.Dataset` that was loaded.
        teacher: Its `trained.Trained`, or None.
    """
    path, record = repetition.settings.from_, repetition.record
    for name, got in dataset.sha256().items():
        if got != record["data"]["sha256"][name]:
            raise InputError(
                f"{path} was trained on other data: {name} of {dataset.source} has another "
                "SHA-256. Give the same data by --data."
            )
    taught = teacher and teacher.record["model_sha256"]
    if taught != (record["teacher"] and record["teacher"]["model_sha256"]):
        raise InputError(
            f"{path} had another teacher: {record['recipe']['teacher']} is not the model of then. "
            "Restore it."
        )


def differences(before, now):
    """What differs between two records in what weights depend on, list of str."""
    found = []
    for part in ("versions", "machine"):
        for name in {**before[part], **now[part]}:
            was, is_ = (record[part].get(name, "not recorded") for record in (before, now))
            if was != is_:
                found.append(cli.one_line(f"{name} was {was}, now {is_}"))
    return found


def verdict(before, now):
    """Whether a run came out as the one that it repeats.

    Args:
        before: The `train.json` of then, a dict.
        now: The one of now.

    Returns:
        `(same, line)`: True, False, or None where the record of then has no hash.
    """
    others = differences(before, now)
    because = f": {'; '.join(others)}" if others else ""
    if "weights_sha256" not in before:
        return None, "repeated; the record of then has no hash of its weights to compare with"
    if before["weights_sha256"] == now["weights_sha256"]:
        return True, "repeated: the same weights, bit for bit"
    return False, (
        "repeated with other weights; the same are promised on the same machine, with the same "
        f"versions and threads alone{because}"
    )
