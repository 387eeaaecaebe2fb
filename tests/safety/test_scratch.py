"""What a killed process leaves is removed by the next; what is another's stays."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mnist_edge.safety import scratch

ROOT = Path(__file__).parents[2]
# A command that makes a folder as libraries do, and waits in it for what its argument says.
COMMAND = """
import atexit, os, shutil, sys, tempfile
from mnist_edge import cli

@cli.command
def main(argv=None):
    made = tempfile.mkdtemp(prefix="a-library's-")
    open(made + "/file", "w").close()
    {then}
    return 0

sys.exit(main())
"""
# One of a killed process, as it is found.
DEAD = "mnist-edge-abcdefgh"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder that holds temporary files, of this process and of those that it starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def run(then: str) -> subprocess.CompletedProcess[str]:
    program = COMMAND.format(then=then)
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


def dead(folder: Path, mode: int = 0o700) -> Path:
    """Makes what a killed process leaves; returns it."""
    folder.mkdir(parents=True)
    folder.chmod(mode)
    (folder / scratch._LOCK).touch(mode=0o600)
    (folder / "file").write_text("x")
    return folder


def test_a_folder_is_there_for_its_block_alone(temporary):
    with scratch.folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "sub").mkdir()
        (folder / "sub" / "file").touch()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_command_left_is_removed_by_the_next(temporary):
    assert run("os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL
    (left,) = temporary.iterdir()
    (library,) = (path for path in left.iterdir() if path.is_dir())
    assert (library / "file").exists()
    assert run("pass").returncode == 0
    assert list(temporary.iterdir()) == []


def test_a_library_that_removes_its_own_at_the_end_finds_it_there(temporary):
    """Matplotlib does, where the home folder can't be written to."""
    ran = run("atexit.register(shutil.rmtree, made)")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list(temporary.iterdir()) == []


def test_a_living_processs_folder_stays(temporary):
    with scratch.folder() as mine:
        assert run("pass").returncode == 0
        with scratch.folder():
            assert mine.is_dir()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(then="print(made, flush=True); sys.stdin.read()")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        theirs = Path(other.stdout.readline().strip())
        with scratch.folder():
            assert (theirs / "file").exists()


def test_a_killed_subprocess_leaves_nothing(temporary):
    from mnist_edge.safety.isolated import Process, WorkerFailed

    with Process({"write_and_die": _write_and_die}) as process:
        with pytest.raises(WorkerFailed, match="SIGKILL"):
            process.ask("write_and_die")
        assert len(list(temporary.rglob("a-library's-*"))) == 1
    assert list(temporary.iterdir()) == []


def _write_and_die(state):
    tempfile.mkdtemp(prefix="a-library's-")
    os.kill(os.getpid(), signal.SIGKILL)


def checkout(path: Path) -> None:
    path.mkdir(mode=0o700)
    (path / "file").write_text("somebody's work")


def open_to_others(path: Path) -> None:
    dead(path, mode=0o777)


def link(path: Path) -> None:
    path.symlink_to(dead(path.parent.parent / "elsewhere"))


def linked_lock(path: Path) -> None:
    checkout(path)
    (path / scratch._LOCK).symlink_to("file")


def fifo_for_a_lock(path: Path) -> None:
    checkout(path)
    os.mkfifo(path / scratch._LOCK)


def file(path: Path) -> None:
    path.write_text("x")


def anothers(path: Path) -> None:
    os.chown(dead(path), 12345, 12345)


@pytest.mark.parametrize(
    "make", [checkout, open_to_others, link, linked_lock, fifo_for_a_lock, file, anothers]
)
def test_what_is_not_ours_stays(temporary, make):
    if make is anothers and os.geteuid():
        pytest.skip("only root gives files away")
    path = temporary / DEAD
    make(path)
    before = sorted(temporary.parent.rglob("*"))
    with scratch.folder():
        pass
    assert sorted(temporary.parent.rglob("*")) == before


def test_nothing_that_a_left_folder_links_to_is_removed(temporary, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    left = dead(temporary / DEAD)
    (left / "link").symlink_to(kept)
    with scratch.folder():
        assert not left.exists()
    assert (kept / "file").exists()


def test_a_folder_that_is_removed_before_it_is_locked_is_made_again(temporary, monkeypatch):
    flock, locked = scratch.fcntl.flock, []

    def late(descriptor, operation):
        locked.append(operation)
        if len(locked) == 1:  # another process's sweep is quicker
            (folder,) = temporary.iterdir()
            scratch._remove_dead(folder)
        return flock(descriptor, operation)

    monkeypatch.setattr(scratch.fcntl, "flock", late)
    with scratch.folder() as folder:
        assert folder.is_dir()
    assert len(locked) == 3  # the first folder's, its sweep's, and that of the one made again


def test_no_room_for_temporary_files_is_no_reason_to_stop(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", full)
    assert scratch._of_process.__wrapped__() is None
