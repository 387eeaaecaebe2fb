import json
from pathlib import Path

import pytest

from mnist_edge import bundle, staging
from mnist_edge.errors import InputError


def contents(folder):
    return {path.name: path.read_text() for path in Path(folder).iterdir()}


def test_staged_files_appear_together(tmp_path):
    with staging.staged(tmp_path / "new" / "folder") as stage:
        (stage / "a").write_text("1")
        (stage / "b").write_text("2")
        assert not list((tmp_path / "new" / "folder").glob("[ab]"))
    assert contents(tmp_path / "new" / "folder") == {"a": "1", "b": "2"}


def test_staged_failure_leaves_the_last_good_files(tmp_path):
    (tmp_path / "a").write_text("good")

    def half_write():
        with staging.staged(tmp_path) as stage:
            (stage / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_write()
    assert contents(tmp_path) == {"a": "good"}


def test_staged_failure_leaves_no_new_folder(tmp_path):
    def fail():
        with staging.staged(tmp_path / "new" / "folder"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is required and does not exist. Train first"),
        ("{", "must be JSON"),
        ("[]", "must be a JSON object. Got: list"),
        ("{}", "must contain model and does not. Train first"),
    ],
)
def test_a_record_that_cannot_be_read_names_the_remedy(tmp_path, text, message):
    path = tmp_path / "train.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        bundle.read_json(path, ("model",), "Train first")


def test_json_round_trip(tmp_path):
    bundle.write_json(tmp_path / "x.json", {"model": "edge"})
    assert bundle.read_json(tmp_path / "x.json", ("model",), "") == {"model": "edge"}
    assert json.loads((tmp_path / "x.json").read_text()) == {"model": "edge"}


def test_staged_folders_are_moved_file_by_file(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old").write_text("kept")
    with staging.staged(tmp_path) as stage:
        (stage / "plots").mkdir()
        (stage / "plots" / "new").write_text("1")
    assert contents(tmp_path / "plots") == {"old": "kept", "new": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["plots"]


def test_a_folder_of_other_peoples_files_is_refused(tmp_path):
    for good in ("missing", "empty", "bundle"):
        (tmp_path / good).mkdir()
    (tmp_path / "missing").rmdir()
    bundle.write_json(tmp_path / "bundle" / bundle.TRAIN, {"schema": 2, "project": bundle.PROJECT})
    (tmp_path / "bundle" / "notes.txt").touch()
    (tmp_path / "empty" / ".staged-left").mkdir()
    for good in ("missing", "empty", "bundle"):
        bundle.refuse_foreign(tmp_path / good)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "photo.jpg").touch()
    bundle.refuse_foreign(photos, photos / "photo.jpg")
    with pytest.raises(InputError, match=r"new or empty folder\. Got: photo\.jpg in it\. Give"):
        bundle.refuse_foreign(photos)
