"""A command for the tests of `mnist_edge.safety.supervise`: it does what it is told."""

import os
import signal
import sys
import time
from pathlib import Path

from mnist_edge import cli
from mnist_edge.safety import limits, supervise


def _hog(folder):
    held = []
    while True:
        held.append(bytearray(b"x") * 10_000_000)
        (folder / "part").write_text(str(limits.held_bytes()))
        (folder / "part").rename(folder / "held")  # it is ended at any moment
        time.sleep(0.01)


def _hold(folder):
    held = bytearray(b"x") * 200_000_000
    time.sleep(0.3)  # several looks
    print(len(held))


def _wait(folder):
    """Waits; where it is ended, it takes a while to undo what it has begun."""
    (folder / "pid").write_text(str(os.getpid()))
    try:
        time.sleep(60)
    finally:
        time.sleep(0.1)
        (folder / "undone").touch()


def _open(folder):
    with supervise.opening(folder / "theirs\x1b[2J.keras"):
        print("opening", flush=True)


def _open_for_ever(folder):
    with supervise.opening(folder / "theirs.keras"):
        time.sleep(60)


def _open_and_crash(folder):
    _open(folder)
    os.kill(os.getpid(), signal.SIGSEGV)


def _need_more_memory(folder):
    raise MemoryError("Unable to allocate 3 TiB")


DEEDS = {
    "hog": _hog,
    "hold": _hold,
    "wait": _wait,
    "open": _open,
    "open for ever": _open_for_ever,
    "open and crash": _open_and_crash,
    "abort": lambda folder: os.abort(),
    "be killed": lambda folder: os.kill(os.getpid(), signal.SIGKILL),
    "need more memory": _need_more_memory,
    "read": lambda folder: print(sys.stdin.read().upper()),
    "complain": lambda folder: print("no", file=sys.stderr),
    "close the pipe": lambda folder: (os.close(supervise._report_to), time.sleep(0.1)),
}


@cli.command
def main(argv=None):
    parser = cli.parser("Does what it is told.")
    parser.add_argument("deed", choices=tuple(DEEDS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--status", type=int, default=cli.OK)
    arguments = parser.parse_args(argv)
    DEEDS[arguments.deed](arguments.folder)
    return arguments.status


if __name__ == "__main__":
    supervise._OPENING_SECONDS = 0.5
    sys.exit(supervise.run(main))
