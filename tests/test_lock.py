"""One command at a time writes to a bundle; what a killed one left behind is cleared up."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.__main__ import main as benchmark
from export.__main__ import main as export
from mnist_edge import lock, staging
from mnist_edge.errors import InputError
from mnist_edge.evaluate import main as evaluate
from mnist_edge.train import main as train
from tests import killed


def files(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path):
    refused = pytest.raises(InputError, match=r"is in use by another command\. Wait")
    with lock.held(tmp_path), refused:
        lock.held(tmp_path).__enter__()
    with lock.held(tmp_path):
        pass


def test_readers_share_a_folder_and_keep_writers_off(tmp_path):
    read, first, second = (tmp_path / name for name in ("read", "first", "second"))
    read.mkdir()
    refused = pytest.raises(InputError, match=f"{read} is in use")
    with lock.held(first, read), lock.held(second, read), refused:
        lock.held(read).__enter__()
    with lock.held(read, read):  # a command that writes where it reads
        pass


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        (train, ["--output"]),
        (export, []),
        (evaluate, []),
        (benchmark, []),
    ],
)
def test_every_command_that_writes_refuses_a_bundle_in_use(tmp_path, capsys, main, flags):
    folder = tmp_path / "bundle"
    with lock.held(folder):
        assert main([*flags, str(folder)]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {folder} is in use by another command.")
    assert line.count("\n") == 1


def test_a_refused_command_leaves_no_folder_and_no_file(tmp_path):
    def fail():
        with lock.held(tmp_path / "new" / "folder"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"can't be written to\. Give another folder"):
        lock.held(tmp_path).__enter__()


def refusal_as_nobody(folder):
    """What `held` says to a user who is not root, root may write anywhere; by a fork."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            lock.held(folder).__enter__()
        except InputError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.wait()
    with os.fdopen(reading) as said:
        return said.read()


def test_a_folder_that_is_really_read_only_is_refused_and_stays_as_it_is():
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        (folder / "model.keras").write_text("good")
        folder.chmod(0o555)
        said = refusal_as_nobody(folder)
        assert said == f"{folder} can't be written to. Give another folder by --output."
        assert files(folder) == {"model.keras": "good"}
        folder.chmod(0o777)
        assert refusal_as_nobody(folder) == ""
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_killed_holder_holds_nothing(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from mnist_edge import lock\n"
        "with lock.held(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert ended.returncode == -signal.SIGKILL
    with lock.held(tmp_path):
        pass


# Killed while files are moved into place.

WRITING = """
from mnist_edge import staging
with staging.staged(folder) as stage:
    for name in ("model.keras", "history.csv", "train.json"):
        (stage / name).write_text("new")
"""


def test_a_kill_at_any_step_of_writing_leaves_all_old_files_or_all_new_ones(tmp_path):
    seen = set()
    for after in range(20):
        folder = tmp_path / str(after)
        with staging.staged(folder) as stage:
            for name in ("model.keras", "history.csv", "train.json"):
                (stage / name).write_text("old")
        status = killed.run(WRITING, folder, after)
        with lock.held(folder):
            pass
        found = files(folder)
        assert sorted(found) == ["history.csv", "model.keras", "train.json"]
        assert len(set(found.values())) == 1
        seen.add((status, found["train.json"]))
    assert seen == {(-signal.SIGKILL, "old"), (-signal.SIGKILL, "new"), (0, "new")}


def test_an_interrupt_while_files_are_moved_waits_for_the_last(tmp_path, monkeypatch):
    replace, interrupted = os.replace, []

    def interrupt(source, target):
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupt)

    def write():
        with staging.staged(tmp_path) as stage:
            (stage / "a").write_text("1")
            (stage / "b").write_text("1")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert files(tmp_path) == {"a": "1", "b": "1"}
