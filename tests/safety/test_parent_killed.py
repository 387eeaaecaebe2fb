"""Whatever kills a command takes its children along, whatever they are doing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_edge.safety.isolated import Process

ROOT = Path(__file__).parents[2]
# A parent that is to be killed, and how it starts a child, whose process id it writes to a file.
PARENT = """
import sys, threading
from pathlib import Path
from tests.safety.test_parent_killed import grow, pid, write_pid
from benchmarks.frontier.jobs import run_stage
from mnist_edge.safety.isolated import Process

path = sys.argv[1]

def ask():
    with Process({{"grow": grow, "pid": pid}}) as process:
        write_pid(path, process.ask("pid"))
        process.ask("grow")

def stage():
    told = f"from tests.safety.test_parent_killed import write_pid; write_pid({{path!r}})"
    run_stage("timeit", "-n1", "-r1", "-s", told, "import time; time.sleep(60)")

if __name__ == "__main__":
    {how}
"""


def write_pid(path: str, pid: int | None = None) -> None:
    part = Path(path).with_suffix(".part")
    part.write_text(str(pid or os.getpid()))
    part.rename(path)


def pid(state):
    return os.getpid()


def grow(state):
    kept = []
    while True:
        kept.append(np.ones(2**20, np.uint8))
        np.ones(3 * 10**7).sum()  # 240 MB, again and again, beside what is kept


def nap(state, seconds):
    time.sleep(seconds)
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie, which waits for somebody to ask for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends_within(seconds: float, pid: int) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("how", ["ask()", "threading.Thread(target=ask).start()", "stage()"])
def test_a_child_ends_with_a_parent_that_is_killed(how, tmp_path):
    path = tmp_path / "pid"
    words = [sys.executable, "-c", PARENT.format(how=how), str(path)]
    with subprocess.Popen(words, cwd=ROOT) as parent:
        while not path.exists():
            assert parent.poll() is None
            time.sleep(0.02)
        time.sleep(0.1)  # it has begun to grow
        parent.kill()
        assert ends_within(2, int(path.read_text()))


def test_a_child_outlives_the_thread_that_started_it():
    started = []
    thread = threading.Thread(target=lambda: started.append(Process({"nap": nap})))
    thread.start()
    thread.join()
    with started[0] as process:
        assert process.ask("nap", 0.3)
