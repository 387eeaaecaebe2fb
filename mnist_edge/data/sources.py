"""Where data come from: what `--data` may be, one table from kind to reader."""

from pathlib import Path

from mnist_edge.data import catalog, folders, keras_sets, npz
from mnist_edge.errors import InputError
from mnist_edge.safety import files

MNIST = "mnist"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
REMEDY = (
    "Give 'mnist', an .npz in the layout of keras.datasets.mnist, a folder of IDX or CSV files, "
    "a .csv (or .csv.gz, .zip), TRAIN.csv,TEST.csv, or keras:mnist."
)
MNIST_FILE = Path(__file__).with_name("mnist.npz")


def read(source):
    """Reads a data set from wherever it is.

    Args:
        source: What `--data` takes; see `data.load`.

    Returns:
        A `known.Raw`.

    Raises:
        InputError: There is no such source, or it is damaged or holds something else.
    """
    path = Path(source)
    for is_of_kind, reader in _KINDS:
        if is_of_kind(source, path):
            return reader(source, path)
    files.require(path, REMEDY)
    kind = files.pretender(files.head(path)) or "a file of another kind"
    raise InputError(f"{source} must be a data set. Got: {kind}. {REMEDY}")


def remedy(source):
    """What to do where `source` can't be used; ends an error's line."""
    return "Restore the file from the repository." if source == MNIST else REMEDY


def _read_packaged(source, _):
    return _read_npz(source, MNIST_FILE)


def _read_npz(source, path):
    arrays = npz.read(path, ARRAYS, remedy=remedy(source), as_data=True)
    return catalog.Raw(arrays, catalog.of_file(path.stem, path))


def _read_keras(source, _):
    return catalog.Raw(keras_sets.read(source), catalog.recognize(source))


# The first kind that fits reads it.
_KINDS = (
    (lambda source, path: source == MNIST, _read_packaged),
    (lambda source, path: source.startswith(keras_sets.PREFIX), _read_keras),
    (lambda source, path: path.is_dir(), folders.read_folder),
    (lambda source, path: "," in source and not path.exists(), folders.read_pair),
    (lambda source, path: source.lower().endswith(".npz"), _read_npz),
    (lambda source, path: source.lower().endswith((".csv", ".csv.gz")), folders.read_csv),
    (lambda source, path: source.lower().endswith(".zip"), folders.read_zip),
    (
        lambda source, path: not path.exists() and folders.has_prefixes(path.parent),
        folders.read_prefix,
    ),
)
