"""Data sets of several files: a folder of IDX, Kaggle's CSV as a pair, a file or a `.zip`."""

import re
from pathlib import Path

import numpy as np

from mnist_edge.data import catalog, csv_files, idx
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Of a file's rows, how many become its test set where it has none: MNIST's own share,
# 10,000 of 70,000. The seed is fixed, so that a file means the same data everywhere.
_TEST_SHARE = 1 / 7
_TEST_SEED = 0
_PAIR = ("train", "test")

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


def has_prefixes(folder):
    """Whether a folder holds files of data sets whose names' beginnings tell them apart."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return any((*_sets(names, _IDX_NAME), *_sets(names, _CSV_NAME)))


def read_folder(_, path):
    """Reads the only data set of a folder."""
    return _read_set(path, path, wanted=None)


def read_prefix(source, path):
    """Reads the one whose files' names start with the path's last part."""
    return _read_set(source, path.parent, wanted=path.name)


def _read_set(source, folder, wanted):
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    idx_sets, csv_sets = _sets(names, _IDX_NAME), _sets(names, _CSV_NAME)
    if idx_sets:  # Kaggle's Fashion-MNIST has both, of the same data
        name, chosen = _chosen(source, idx_sets, wanted)
        return _read_idx(folder, name, chosen)
    if not csv_sets:
        raise InputError(
            f"{source} must hold train-images-idx3-ubyte and its three companions, raw or .gz, or "
            "train.csv, and does not. Give the folder that does."
        )
    _, chosen = _chosen(source, csv_sets, wanted)
    return _read_csvs(*(_file(chosen, role, lambda name: (folder / name, None)) for role in _PAIR))


def _sets(names, pattern):
    """File names by set and role: `{"emnist-letters": {"train-images": "emnist-..."}}`."""
    sets = {}
    for name in names:
        match = pattern.fullmatch(name)
        if match:
            part = match.groupdict()
            role = part["split"].lower().replace("t10k", "test")
            if "what" in part:
                role += "-" + part["what"].lower()
            # Sorted names: the raw file comes before its .gz.
            sets.setdefault(part["set"], {}).setdefault(role, name)
    return sets


def _chosen(source, sets, wanted=None):
    """`(name, file names by role)` of the set that is wanted, or of the only one."""
    if wanted is None and len(sets) == 1:
        return next(iter(sets.items()))
    if wanted in sets:
        return wanted, sets[wanted]
    found = files.short(", ".join(name or "(no prefix)" for name in sets)) or "none"
    raise InputError(
        f"{source} must be one data set. Got: files that start with {found}. Give a folder and "
        "the start of its files' names, FOLDER/emnist-letters say."
    )


def _read_idx(folder, name, chosen):
    def one(role, dimensions):
        if role not in chosen:
            raise InputError(
                f"{folder} must hold {role}-idx{dimensions}-ubyte, raw or .gz, and does not. Got: "
                f"{', '.join(chosen.values())}."
            )
        return idx.read(folder / chosen[role], dimensions)

    arrays = {
        "x_train": one("train-images", 3),
        "y_train": one("train-labels", 1),
        "x_test": one("test-images", 3),
        "y_test": one("test-labels", 1),
    }
    names = catalog.of_file(name, folder / name)
    return catalog.Raw(catalog.undo_oddities(arrays, names, folder), names)


def read_pair(source, _):
    """Reads TRAIN.csv,TEST.csv."""
    parts = [Path(part.strip()) for part in source.split(",")]
    if len(parts) != 2:
        raise InputError(f"--data must be TRAIN.csv,TEST.csv. Got: {len(parts)} names, {source}.")
    return _read_csvs(*((path, None) for path in parts))


def read_csv(_, path):
    """Reads one CSV file and splits a test set off."""
    return _read_csvs((path, None), None)


def read_zip(_, path):
    """Reads the CSV file of a `.zip`, or its train and test pair."""
    members = {Path(name).name: name for name in csv_files.members(path)}
    if len(members) == 1:
        return _read_csvs((path, *members.values()), None)
    sets = _sets(members, _CSV_NAME)
    if len(sets) != 1:
        found = files.short(", ".join(members))
        raise InputError(
            f"{path} must hold one .csv, or train.csv and test.csv. Got: {found}. "
            "Unpack it and give TRAIN.csv,TEST.csv."
        )
    (chosen,) = sets.values()
    return _read_csvs(*(_file(chosen, role, lambda name: (path, members[name])) for role in _PAIR))


def _file(chosen, role, locate):
    return locate(chosen[role]) if role in chosen else None


def _read_csvs(train, test):
    """Reads a train and test pair, `(path, member)` each; without a test set, splits it off."""
    if train is None:
        raise InputError(f"{test[0]} must have a train.csv beside it and has none.")
    for path, _ in filter(None, (train, test)):
        files.require(path)
    where = ": ".join(str(part) for part in train if part)
    trained = csv_files.read(*train)
    if trained is None:
        raise InputError(
            f"{where} must have labels, in a first column 'label'. Got: pixels alone. Kaggle's "
            "test.csv is to be predicted; train on its train.csv."
        )
    tested = csv_files.read(*test) if test else None
    remark = ""
    if tested is None:
        why = f"{test[1] or test[0]} has no labels" if test else f"{where} has no test set"
        trained, tested = _split_off(*trained)
        remark = (
            f"{why}: {len(tested[1]):,} of the {len(tested[1]) + len(trained[1]):,} rows of "
            f"{where}, drawn by seed {_TEST_SEED}, are the test set"
        )
    arrays = {
        "x_train": trained[0],
        "y_train": trained[1],
        "x_test": tested[0],
        "y_test": tested[1],
    }
    names = catalog.of_file(str(train[1] or train[0]), train[0])
    return catalog.Raw(catalog.undo_oddities(arrays, names, where), names, remark)


def _split_off(x, y):
    """`((x_train, y_train), (x_test, y_test))`, each in the file's order."""
    is_test = np.zeros(len(y), bool)
    order = np.random.default_rng(_TEST_SEED).permutation(len(y))
    is_test[order[: max(1, round(len(y) * _TEST_SHARE))]] = True
    return (x[~is_test], y[~is_test]), (x[is_test], y[is_test])
