"""A bundle from a stranger names no place outside it; files of other people are never replaced."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import selftest
from export.__main__ import main as export
from mnist_edge import bundle, lock, manifest, predict, staging
from mnist_edge.errors import InputError
from mnist_edge.evaluate import main as evaluate
from mnist_edge.models import trained
from mnist_edge.train import main as train
from mnist_edge.training.checkpoint import Checkpoint
from tests import tiny


@pytest.fixture
def home(tmp_path):
    """A folder of the user's own, which must stay as it is."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / ".bashrc").write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {".bashrc": "mine"}


def benchmark(folder, *flags):
    return benchmarks.main([str(folder), *tiny.QUICK, *flags])


def write(folder, **contents):
    with staging.staged(folder) as stage:
        for name, text in contents.items():
            path = stage / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def texts(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


# What a bundle holds names no place outside it.


def test_a_staging_folder_from_elsewhere_is_never_moved_into_place(
    tiny_bundle, home, without_keras
):
    for link in (".ready-x", ".staged-x", "h"):
        (tiny_bundle / link).symlink_to(home)
    for way in (".ready-1/h", ".staged-1/h", ".staged-2/new/h"):
        (tiny_bundle / way).mkdir(parents=True)
        (tiny_bundle / way / ".bashrc").write_text("theirs")
    for name in (".ready-3", ".staged-3"):  # a plain file is in nobody's way
        (tiny_bundle / name).write_text("here")
    assert benchmark(tiny_bundle) == 0
    assert not (tiny_bundle / ".bashrc").exists()
    assert {(tiny_bundle / name).read_text() for name in (".ready-3", ".staged-3")} == {"here"}


def test_a_staging_folder_of_another_user_stays(tmp_path, monkeypatch):
    (tmp_path / ".staged-1").mkdir()
    monkeypatch.setattr(staging, "_user", lambda: os.getuid() + 1)
    with lock.held(tmp_path):
        pass
    assert (tmp_path / ".staged-1").is_dir()


def test_a_folder_that_is_a_link_is_refused_before_anything_is_moved(tmp_path, home):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "plots").symlink_to(home)
    with pytest.raises(
        InputError, match=r"plots must be a folder and is not\. Got: a symbolic link"
    ):
        write(tmp_path / "bundle", a="new", plots__a="new")
    assert os.listdir(tmp_path / "bundle") == ["plots"]


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_file_that_is_a_link_is_replaced_and_not_written_through(tmp_path, home, link):
    (tmp_path / "bundle").mkdir()
    link(home / ".bashrc", tmp_path / "bundle" / "train.json")
    write(tmp_path / "bundle", **{"train.json": "new"})
    assert (tmp_path / "bundle" / "train.json").read_text() == "new"


def test_a_checkpoint_that_is_a_link_is_refused(tmp_path, home):
    (tmp_path / "checkpoint").symlink_to(home)
    with pytest.raises(InputError, match=r"checkpoint must be a folder\. Got: a symbolic link"):
        Checkpoint(tmp_path / "checkpoint", {}).check()
    Checkpoint(tmp_path / "checkpoint", {}).remove()


# A move that a kill cut is finished where this user's own command recorded it.


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A bundle of two files whose replacement was cut after the first."""
    folder = tmp_path / "bundle"
    write(folder, a="old", b="old")
    replace = os.replace

    def killed(source, target):
        if os.path.basename(source) == "b":
            raise SystemExit
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(SystemExit):
            write(folder, a="new", b="new")
    assert (folder / "a").read_text() == "new"
    return folder


def test_a_cut_move_is_finished_by_the_next_command(cut):
    with lock.held(cut):
        pass
    assert texts(cut) == {"a": "new", "b": "new"}


def test_another_folder_in_the_recorded_ones_place_is_not_moved(cut):
    (stage,) = cut.glob(".staged-*")
    stranger = shutil.copytree(stage, cut / "copy")
    (stranger / "new" / "b").write_text("theirs")
    shutil.rmtree(stage)
    stranger.rename(stage)
    with lock.held(cut):
        pass
    assert texts(cut) == {"a": "new", "b": "old"}


def test_a_copied_bundle_is_not_recovered(cut, tmp_path):
    copy = shutil.copytree(cut, tmp_path / "copy")
    with lock.held(copy):
        pass
    assert texts(copy) == {"a": "new", "b": "old"}


# All or nothing where a move fails.


@pytest.mark.parametrize("stuck", ["a", "b", "c"])
def test_a_file_that_cannot_be_moved_leaves_all_old_files(tmp_path, monkeypatch, stuck):
    folder = tmp_path / "bundle"
    write(folder, a="old", b="old", c="old")
    replace = os.replace

    def refusing(source, target):  # as the system does for an immutable file
        if str(folder / stuck) in (str(source), str(target)):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(source))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refusing)
        with pytest.raises(PermissionError):
            write(folder, a="new", b="new", c="new")
    assert texts(folder) == {"a": "old", "b": "old", "c": "old"}
    assert sorted(os.listdir(folder)) == ["a", "b", "c"]


def test_where_undoing_fails_too_the_next_command_finishes(tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    write(folder, a="old", b="old")
    replace = os.replace

    def full(source, target):
        if os.path.basename(source) == "b" or os.path.basename(os.path.dirname(source)) == "old":
            raise OSError(errno.EIO, "Input/output error", str(source))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(OSError, match="Input/output"):
            write(folder, a="new", b="new")
        with pytest.raises(OSError, match="Input/output"):  # and loses neither set
            lock.held(folder).__enter__()
    with lock.held(folder):
        pass
    assert texts(folder) == {"a": "new", "b": "new"}


def test_a_folder_in_a_files_place_is_refused_before_anything_is_moved(tmp_path):
    folder = tmp_path / "bundle"
    write(folder, a="old")
    (folder / "b").mkdir()
    with pytest.raises(InputError, match=r"b must be a file\. Got: a folder"):
        write(folder, a="new", b="new")
    assert texts(folder) == {"a": "old"}


# Size and kind before anything is read.

ENDLESS = {
    "a pipe": os.mkfifo,
    "3 TB": lambda path: path.touch() or os.truncate(path, 3 * 10**12),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link into /proc": lambda path: path.symlink_to("/proc/kcore"),
    "a folder": os.mkdir,
}
if os.getuid() == 0:
    ENDLESS["a device"] = lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


def put(path, kind):
    path.unlink(missing_ok=True)
    ENDLESS[kind](path)


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("name", ["manifest.json", "reference.npz", "train.json"])
def test_what_has_no_end_is_refused_by_the_benchmark(tiny_bundle, kind, name, without_keras):
    put(tiny_bundle / name, kind)
    assert benchmark(tiny_bundle) == 2


def test_an_artifact_that_has_no_end_is_a_failed_row(tiny_bundle, without_keras):
    entry = manifest.read(tiny_bundle, "").artifacts[0]
    path = tiny_bundle / entry.file
    for kind in ENDLESS:
        put(path, kind)
        assert manifest.damage(path, entry)
        (path.rmdir if kind == "a folder" else path.unlink)()
    put(path, "a pipe")
    assert benchmark(tiny_bundle) == 1


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("name", ["manifest.json", "golden.npz", "onnx-float32.onnx"])
def test_what_has_no_end_is_refused_by_the_selftest(tiny_bundle, kind, name):
    put(tiny_bundle / name, kind)
    assert selftest.main([str(tiny_bundle)]) in (1, 2)


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("name", [bundle.MODEL, bundle.TRAIN])
def test_what_has_no_end_is_no_trained_model(small, tmp_path, kind, name):
    (tmp_path / "bundle").mkdir()
    for copied in (bundle.MODEL, bundle.TRAIN):
        shutil.copy(small.folder / copied, tmp_path / "bundle")
    put(tmp_path / "bundle" / name, kind)
    with pytest.raises(InputError):
        trained.check(tmp_path / "bundle")


# A folder is ours by what its records say, not by a file's name.


@pytest.mark.parametrize("name", [bundle.TRAIN, bundle.MANIFEST, bundle.EVALUATION])
@pytest.mark.parametrize("main", [train, export], ids=["train", "export"])
def test_somebodys_record_makes_no_bundle(small, tmp_path, capsys, name, main):
    theirs = {name: '{"schema": 1, "name": "my app"}', "photo.jpg": "x"}
    for file, text in theirs.items():
        (tmp_path / file).write_text(text)
    source = ["--data", small.data] if main is train else [str(small.folder)]
    assert main([*source, "--output", str(tmp_path)]) == 2
    assert "must be a bundle, or a new or empty folder" in capsys.readouterr().err
    assert texts(tmp_path) == theirs


@pytest.mark.parametrize("name", ["confusion.csv", "evaluate.json", "plots"])
def test_an_evaluation_replaces_nobodys_file(small, tmp_path, capsys, name):
    (tmp_path / name).write_text("theirs")
    assert evaluate([str(small.folder), "--output", str(tmp_path)]) == 2
    assert f"{name} must not exist, or be written by mnist-edge" in capsys.readouterr().err
    assert texts(tmp_path) == {name: "theirs"}


@pytest.mark.parametrize("name", ["benchmark.md", "benchmark.json", "benchmark.png"])
def test_a_benchmark_replaces_nobodys_file(tiny_bundle, tmp_path, capsys, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("theirs")
    assert benchmark(tiny_bundle, "--output", str(tmp_path / "out")) == 2
    assert f"{name} must not exist, or be written by mnist-edge" in capsys.readouterr().err
    assert texts(tmp_path / "out") == {name: "theirs"}


def test_reports_of_ours_are_replaced(tiny_bundle, tmp_path, without_keras):
    for _ in range(2):
        assert benchmark(tiny_bundle, "--output", str(tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text())["project"] == "mnist-edge"


# What the user names is written to as the system means it.


def test_a_submission_goes_into_a_device_or_pipe_and_replaces_none(tmp_path):
    choices = np.array([7, 2])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    predict.write_submission(choices, pipe)
    assert os.read(reader, 100) == b"ImageId,Label\n1,7\n2,2\n"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    if os.getuid() == 0:
        null = tmp_path / "null"
        os.mknod(null, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        predict.write_submission(choices, null)
        assert stat.S_ISCHR(null.lstat().st_mode)


def test_a_submission_by_a_links_name_replaces_what_it_links_to(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    predict.write_submission(np.array([7]), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "ImageId,Label\n1,7\n"


def test_a_submission_to_standard_output_goes_there():
    program = (
        "from pathlib import Path; from mnist_edge import predict\n"
        "predict.write_submission([7], Path('/dev/stdout'))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "ImageId,Label\n1,7\n"), ran.stderr
