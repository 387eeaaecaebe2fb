"""A command that opens files of strangers runs in a child, under limits, for all of its time."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_edge.safety import limits, supervise

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.safety.watched_command"]
# Commands that stay in one process, and why.
UNWATCHED = {
    # What they open, an isolated subprocess opens, under limits of its own; what they read
    # themselves is bounded, and a device has little memory for a second process.
    "opens in an isolated subprocess": (
        *("benchmarks/__main__.py", "benchmarks/compare.py", "benchmarks/soak.py"),
        *("benchmarks/predict.py", "benchmarks/selftest.py", "benchmarks/layers/__main__.py"),
        *("benchmarks/corruptions/__main__.py", "benchmarks/microcontroller/__main__.py"),
        "benchmarks/browser/__main__.py",
        "export/audit.py",
    ),
    "watches those of its subcommands that open models": ("mnist_edge/__main__.py",),
    "opens what it made itself, or the packaged data": (
        "benchmarks/frontier/__main__.py",
        "benchmarks/pictures/extra_digits.py",
        "benchmarks/pictures/readers.py",
        "export/coverage/__main__.py",
        "mnist_edge/images/likeness.py",
        "mnist_edge/training/speed.py",
    ),
}


def start(deed, folder, *flags, limit_mb="150", before=(), **options):
    environment = os.environ | {supervise.LIMIT: limit_mb}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        [*before, *COMMAND, deed, str(folder), *flags],
        cwd=ROOT,
        env=environment,
        text=True,
        **streams | options,
    )


def run(deed, folder, *flags, given="", **options):
    """`(status, standard output, standard error)` of a command told to do something."""
    process = start(deed, folder, *flags, **options)
    said = process.communicate(given, timeout=60)
    return process.returncode, *said


def test_what_a_command_reads_prints_and_returns_passes_through(tmp_path):
    folder = tmp_path / "a folder, with 'blanks'"
    assert run("read", folder, given="a\nb") == (0, "A\nB\n", "")
    assert run("complain", folder, "--status", "1") == (1, "", "no\n")
    assert run("close the pipe", folder, "--status", "130") == (130, "", "")
    status, _, error = run("nothing such", folder)
    assert status == 2
    assert error.startswith("error: argument deed: invalid choice: 'nothing such' (choose from ")


@pytest.mark.parametrize(
    ("deed", "line"),
    [
        ("hog", "the command must take at most 150 MB of memory. Got: more. Give a smaller model"),
        ("open for ever", "{folder}/theirs.keras must open within 0.5 s. Give a smaller model."),
        ("open and crash", "the command crashed by SIGSEGV, with {folder}/theirs [2J.keras open. "),
        ("abort", "the command crashed by SIGABRT. Give another model or other data."),
        ("be killed", "the command was killed: memory may have run out. Give a smaller model"),
        ("need more memory", "more memory is required. Got: Unable to allocate 3 TiB. "),
    ],
)
def test_a_child_that_ends_badly_is_one_line_and_status_2(tmp_path, deed, line):
    status, _, error = run(deed, tmp_path)
    (said,) = error.splitlines()
    assert said.startswith(f"error: {line.format(folder=tmp_path)}")
    assert status == 2


def test_memory_is_watched_for_all_of_the_command_and_the_limit_is_the_users(tmp_path):
    assert run("hog", tmp_path)[0] == 2
    assert 100e6 < int((tmp_path / "held").read_text()) < 300e6
    assert run("hold", tmp_path, limit_mb="400") == (0, "200000000\n", "")
    assert run("hold", tmp_path)[0] == 2


@pytest.mark.parametrize("limit", ["", "0", "8 GB", "-1"])
def test_a_limit_that_is_none_is_refused(tmp_path, limit):
    status, _, error = run("read", tmp_path, limit_mb=limit)
    assert status == 2
    assert error == (
        "error: MNIST_EDGE_MEMORY_MB must be a number of megabytes, such as 8000. "
        f"Got: {limit!r}.\n"
    )


def test_unless_told_otherwise_8_gb_are_given_or_most_of_what_there_is(monkeypatch):
    monkeypatch.delenv(supervise.LIMIT, raising=False)
    for available, given in ((64e9, 8000), (5e9, 4000), (0.5e9, 1000), (None, 8000)):
        monkeypatch.setattr(limits, "available_bytes", lambda available=available: available)
        assert supervise.allowed_mb() == given


def started(process, folder):
    """The child's process id, once the command waits."""
    deadline = time.monotonic() + 30
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    return int((folder / "pid").read_text())


@pytest.mark.parametrize("to", ["the command", "its group"])
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_reaches_the_child_once_and_what_it_began_is_undone(tmp_path, name, status, to):
    process = start("wait", tmp_path, start_new_session=True)
    child = started(process, tmp_path)
    assert child != process.pid
    send = os.kill if to == "the command" else os.killpg
    send(process.pid, getattr(signal, name))
    process.communicate(timeout=30)
    assert process.returncode == status
    assert (tmp_path / "undone").exists()


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path):
    process = start("wait", tmp_path, before=("nohup",))
    started(process, tmp_path)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_the_child_ends_when_its_parent_is_killed(tmp_path):
    process = start("wait", tmp_path)
    child = started(process, tmp_path)
    process.kill()
    process.communicate(timeout=30)  # the child held the other end of its pipes
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and limits.held_bytes(child):
        assert time.monotonic() < deadline
    assert not (tmp_path / "undone").exists()


def test_where_nothing_can_be_watched_the_command_runs_as_it_is(monkeypatch):
    monkeypatch.setattr(limits, "held_bytes", lambda: None)
    assert supervise.run(os.getpid) == os.getpid()


def commands():
    """Yields each command's file, and whether it is supervised."""
    for folder in ("mnist_edge", "export", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
                    watched = ast.unparse(node.body) == "sys.exit(supervise.run(main))"
                    yield path.relative_to(ROOT).as_posix(), watched


def test_every_command_is_watched_or_says_why_not():
    unwatched = [path for path, watched in commands() if not watched]
    assert sorted(unwatched) == sorted(sum(UNWATCHED.values(), ()))
