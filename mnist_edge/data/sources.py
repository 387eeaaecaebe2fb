"""Data sources: detects what kind of source `--data` is, and reads it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnist_edge import backend, bundle
from mnist_edge.cli import one_line
from mnist_edge.data import array_names, catalog, csv_files, idx, npz, parquet, picture_sets
from mnist_edge.data.catalog import Pair
from mnist_edge.data.csv_files import CsvFile
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety import files

MNIST = "mnist"
MNIST_FILE = Path(__file__).with_name("mnist.npz")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_REMEDY = (
    "Give 'mnist', an .npz in the layout of keras.datasets.mnist, a folder of pictures, IDX or CSV "
    "files, a .csv (or .csv.gz, .zip), TRAIN.csv,TEST.csv, or keras:mnist."
)
_RESTORE = "Restore the file from the repository."
# Hashes of the arrays' bytes. The four IDX files that they were made from have the MD5 sums
# published with MNIST (see mnist.LICENSE.txt).
MNIST_SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_KERAS = "keras:"
_KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")
# Share of examples to split off as the test set of data without one, as in MNIST: 10,000 of
# 70,000. The seed is fixed, so that a file always gives the same data set.
_TEST_SHARE = 1 / 7
_TEST_SEED = 0

# `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte`, `emnist-letters-test-images-idx3-ubyte.gz`
_IDX_NAME = re.compile(
    r"(?P<set>.*?)[-_.]*(?P<split>train|t10k|test)[-_.](?P<what>images|labels)[-_.]"
    r"idx[13][-_.]ubyte(\.gz)?",
    re.IGNORECASE,
)
# `train.csv`, `mnist_test.csv.gz`, `emnist-letters-train.csv`, `fashion-mnist_test.csv.zip`
_CSV_NAME = re.compile(
    r"(?P<set>.*?)[-_.]*(?P<split>train|test)\.(csv|csv\.gz|csv\.zip|zip)", re.IGNORECASE
)


class Raw(NamedTuple):
    """A data set as read, not yet validated.

    Attributes:
        train: Images and labels.
        test: Images and labels.
        entry: The catalog's entry for the name of the data set.
        remark: How the data was read, if the user should know it, or "".
    """

    train: Pair
    test: Pair
    entry: catalog.Entry
    remark: str = ""


def read(source: str) -> Raw:
    """Reads a data set from any kind of source.

    Args:
        source: The value of `--data`; see `data.load`.

    Raises:
        InputError: The source is missing, damaged or not a data set.
    """
    path, name = Path(source), source.lower()
    if source == MNIST:
        return _read_mnist()
    if source.startswith(_KERAS):
        return _read_keras(source)
    if path.is_dir():
        return _read_folder(source, path, wanted=None)
    npz_path, names = array_names.parse(source)
    if npz_path:
        return _read_npz(npz_path, names, _REMEDY)
    if "," in source and not path.exists():
        return _read_pair(source)
    if name.endswith(".parquet"):
        return _read_parquet(source, {"": [path]})
    if name.endswith((".csv", ".csv.gz")):
        return _read_csvs(CsvFile(path), None)
    if name.endswith(".zip"):
        return _read_zip(path)
    if not path.exists() and _holds_sets(path.parent):
        return _read_folder(source, path.parent, wanted=path.name)
    meant = "" if path.exists() else did_you_mean(source, [MNIST, *_siblings(path)])
    files.require(path, meant or _REMEDY)
    kind = files.describe_format(files.head(path)) or "a file of another kind"
    raise InputError(f"{source} must be a data set. Got: {kind}. {_REMEDY}")


def _siblings(path: Path) -> list[str]:
    """Returns the paths of what is in a file's folder."""
    return list(map(str, path.parent.iterdir())) if path.parent.is_dir() else []


def _read_mnist() -> Raw:
    raw = _read_npz(MNIST_FILE, ARRAYS, _RESTORE)
    for name, array in zip(ARRAYS, (*raw.train, *raw.test), strict=True):
        got = bundle.sha256_array(array)
        if got != MNIST_SHA256[name]:
            raise InputError(
                f"{MNIST_FILE}: {name} must have SHA-256 {MNIST_SHA256[name]}. Got: {got}. "
                f"{_RESTORE}"
            )
    return raw


def _read_npz(path: Path, names: Sequence[str], remedy: str) -> Raw:
    """Reads an `.npz`; finds out the names of its arrays if `names` is empty."""
    held = [] if names else npz.names(path, remedy)
    if groups := array_names.grouped(held):
        return _read_parts(path, groups, remedy)
    names = names or array_names.find(path, held)
    arrays = npz.read(path, names, remedy=remedy, as_data=True)
    x, y, *test = (arrays[name] for name in names)
    held_out = (test[0], test[1]) if test else None
    return _raw((x, y), held_out, catalog.find_by_file(path.stem, path), path)


def _read_parts(path: Path, groups: Mapping[str, Mapping[str, str]], remedy: str) -> Raw:
    """Reads an `.npz` with one array per input or output of a model."""
    names = [name for own in groups.values() for name in own.values()]
    arrays = npz.read(path, names, remedy=remedy, as_data=True)
    found: dict[str, Any] = {
        group: {part: arrays[name] for part, name in own.items()} for group, own in groups.items()
    }
    for group, own in groups.items():
        if list(own) == [""]:
            found[group] = found[group][""]
    has_test = {"x_test", "y_test"} <= found.keys()
    held_out = (found["x_test"], found["y_test"]) if has_test else None
    return _raw(
        (found["x_train"], found["y_train"]), held_out, catalog.find_by_file(path.stem, path), path
    )


def _read_keras(source: str) -> Raw:
    """Loads a data set with Keras: from its cache, or else from the network."""
    name = source.removeprefix(_KERAS)
    if name not in _KERAS_NAMES:
        choices = " or ".join(_KERAS + name for name in _KERAS_NAMES)
        meant = did_you_mean(source, [_KERAS + name for name in _KERAS_NAMES])
        raise InputError(
            f"--data must be {choices} to load it with Keras. Got: {source}. {meant}".rstrip()
        )
    loader = getattr(backend.start_keras().datasets, name)
    try:
        train, test = loader.load_data()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        cause = one_line(error).rstrip(".")
        raise InputError(
            f"{source} must be in Keras's cache or available over the network. Got: {cause}. "
            "Copy ~/.keras/datasets from a machine that has it, or give another --data."
        ) from error
    return Raw(train, test, catalog.find(source))


def _read_parquet(source: str, found: dict[str, list[Path]]) -> Raw:
    """Reads Parquet files by split: "train" or "", "test" or "validation"."""
    test = found.get("test") or found.get("validation") or []
    train = found.get("train") or found.get("") or []
    if not train:
        raise InputError(f"{source} must hold train.parquet and does not. Give a folder that does.")
    return _raw(*parquet.read(train, test), source)


def _holds_sets(folder: Path) -> bool:
    """Whether a folder contains files of data sets, recognized by their names."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return any((*_sets(names, _IDX_NAME), *_sets(names, _CSV_NAME)))


def _read_folder(source: str, folder: Path, wanted: str | None) -> Raw:
    """Reads the data set whose file names start with `wanted`, or the only one."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    idx_sets, csv_sets = _sets(names, _IDX_NAME), _sets(names, _CSV_NAME)
    parquets = {} if idx_sets or csv_sets else parquet.find(folder)
    if parquets:
        return _read_parquet(source, parquets)
    if not idx_sets and not csv_sets and picture_sets.classes(folder):
        return _raw(*picture_sets.read(folder), catalog.find(folder.name), source)
    if idx_sets:  # Kaggle's Fashion-MNIST has the same data in both formats
        return _read_idx(folder, *_choose(source, idx_sets, wanted))
    if not csv_sets:
        raise InputError(
            f"{source} must hold train-images-idx3-ubyte and the other three files, raw or .gz, "
            "train.csv, or one folder of pictures per class, and does not. Give a folder that does."
        )
    _, roles = _choose(source, csv_sets, wanted)
    paths = {role: CsvFile(folder / name) for role, name in roles.items()}
    return _read_csvs(paths.get("train"), paths.get("test"))


def _sets(names: Iterable[str], pattern: re.Pattern[str]) -> dict[str, dict[str, str]]:
    """Groups file names by set and role: `{"emnist-letters": {"train-images": "emnist-..."}}`."""
    sets: dict[str, dict[str, str]] = {}
    for name in names:
        match = pattern.fullmatch(name)
        if match:
            part = match.groupdict()
            role = part["split"].lower().replace("t10k", "test")
            if "what" in part:
                role += "-" + part["what"].lower()
            # The names are sorted, so the raw file takes precedence over its .gz.
            sets.setdefault(part["set"], {}).setdefault(role, name)
    return sets


def _choose(
    source: str, sets: dict[str, dict[str, str]], wanted: str | None
) -> tuple[str, dict[str, str]]:
    """Returns the name, and the files by role, of the set `wanted`, or of the only one."""
    if wanted is None and len(sets) == 1:
        return next(iter(sets.items()))
    if wanted in sets:
        return wanted, sets[wanted]
    found = files.short(", ".join(name or "(no prefix)" for name in sets)) or "none"
    raise InputError(
        f"{source} must be one data set. Got: files that start with {found}. Give a folder and "
        "the start of its file names, e.g. FOLDER/emnist-letters."
    )


def _read_idx(folder: Path, name: str, roles: dict[str, str]) -> Raw:
    entry = catalog.find_by_file(name, folder / name)

    def one(role: str, dimensions: int) -> np.ndarray:
        if role not in roles:
            raise InputError(
                f"{folder} must hold {role}-idx{dimensions}-ubyte, raw or .gz, and does not. Got: "
                f"{', '.join(roles.values())}."
            )
        return idx.read(folder / roles[role], dimensions)

    train, test = (
        entry.undo((one(f"{split}-images", 3), one(f"{split}-labels", 1)), split, folder)
        for split in ("train", "test")
    )
    return Raw(train, test, entry)


def _read_pair(source: str) -> Raw:
    """Reads TRAIN.csv,TEST.csv."""
    parts = [CsvFile(Path(part.strip())) for part in source.split(",")]
    if len(parts) != 2:
        raise InputError(f"--data must be TRAIN.csv,TEST.csv. Got: {len(parts)} names, {source}.")
    return _read_csvs(parts[0], parts[1])


def _read_zip(path: Path) -> Raw:
    """Reads the only CSV file of a `.zip`, or its train and test pair."""
    members = {Path(name).name: CsvFile(path, name) for name in csv_files.members(path)}
    if len(members) == 1:
        return _read_csvs(next(iter(members.values())), None)
    sets = _sets(members, _CSV_NAME)
    if len(sets) != 1:
        found = files.short(", ".join(members))
        raise InputError(
            f"{path} must hold one .csv, or train.csv and test.csv. Got: {found}. "
            "Unpack it and give TRAIN.csv,TEST.csv."
        )
    (roles,) = sets.values()
    pair = {role: members[name] for role, name in roles.items()}
    return _read_csvs(pair.get("train"), pair.get("test"))


def _read_csvs(train: CsvFile | None, test: CsvFile | None) -> Raw:
    """Reads a train and test pair; splits off a test set if there is none with labels."""
    if train is None:
        raise InputError(f"{test and test.path} must be next to a train.csv and is not.")
    for file in filter(None, (train, test)):
        files.require(file.path)
    trained = csv_files.read(train)
    if trained is None:
        raise InputError(
            f"{train} must have labels, in a column named label, class or target. Got: no such "
            "column. Kaggle's test.csv has no labels; give its train.csv."
        )
    tested = csv_files.read(test) if test else None
    entry = catalog.find_by_file(train.member or str(train.path), train.path)
    undone = entry.undo(trained, "train", train)
    if tested is None:
        why = f"{test.member or test.path} has no labels" if test else f"{train} has no test set"
        return _split_raw(undone, entry, why)
    return Raw(undone, entry.undo(tested, "test", train), entry)


def _raw(train: Pair, test: Pair | None, entry: catalog.Entry, where: object) -> Raw:
    """Returns a data set; splits off a test set if there is none."""
    return Raw(train, test, entry) if test else _split_raw(train, entry, f"{where} has no test set")


def _split_raw(pair: Pair, entry: catalog.Entry, why: str) -> Raw:
    """Splits off a test set and says so."""
    train, test = split_off(*pair)
    counts = [len(_first(one[1])) for one in (test, pair)]
    remark = (
        f"{why}: {counts[0]:,} of the {counts[1]:,} examples, drawn by seed {_TEST_SEED}, "
        "are the test set"
    )
    return Raw(train, test, entry, remark)


def split_off(x: Any, y: Any) -> tuple[Pair, Pair]:
    """Splits off a test set; returns `((x_train, y_train), (x_test, y_test))` in file order.

    Args:
        x: Examples, an array or a dict of arrays.
        y: Labels, likewise.
    """
    first = _first(x)
    if first.ndim == 0 or first.shape[:1] != _first(y).shape[:1]:
        return (x, y), (x, y)  # `Dataset` says what is wrong with them
    is_test = np.zeros(len(first), bool)
    order = np.random.default_rng(_TEST_SEED).permutation(len(first))
    is_test[order[: max(1, round(len(first) * _TEST_SHARE))]] = True
    return (_rows(x, ~is_test), _rows(y, ~is_test)), (_rows(x, is_test), _rows(y, is_test))


def _first(arrays: Any) -> np.ndarray:
    """Returns an array, or the first of a dict of arrays."""
    return next(iter(arrays.values())) if isinstance(arrays, Mapping) else arrays


def _rows(arrays: Any, chosen: np.ndarray) -> Any:
    """Returns the chosen rows of an array, or of each of a dict of arrays."""
    if isinstance(arrays, Mapping):
        return {name: array[chosen] for name, array in arrays.items()}
    return arrays[chosen]
