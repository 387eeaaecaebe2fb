"""Lap after lap over the same images, in processes of their own: both ends of the pipe.

    python -m benchmarks.laps FILE IMAGES.npy LAPS

is what `at_once` starts. A lap is every image once, at batch 1 or the batch that the file
is fixed to. Once its runtime is imported a process says so and waits for a line on standard
input, so that several open one file at the same moment. What it prints are JSON objects, a
line each: numbers and text, no pickles.
"""

import concurrent.futures
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks import runtimes

_ROOT = Path(__file__).parent.parent


class RunFailed(Exception):
    """A process did not run to its end; the message is the cause, in one line."""


def run(call, calls, count):
    """Makes every call, `count` times over.

    Args:
        call: Takes an array, returns an array.
        calls: The arrays, a lap's calls.
        count: How many laps.

    Yields:
        dict a lap: `sha256` of its results' bytes, `seconds` in calls, and
        `resident_bytes` of this process at its end, None where the system does not tell.
    """
    for _ in range(count):
        started = time.perf_counter()
        results = [call(values) for values in calls]
        seconds = time.perf_counter() - started
        digest = hashlib.sha256()
        for result in results:
            digest.update(np.ascontiguousarray(result).tobytes())
        yield {
            "sha256": digest.hexdigest(),
            "seconds": seconds,
            "resident_bytes": resident_bytes(),
        }


def resident_bytes():
    """Resident memory of this process now; None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def at_once(path, images, count, processes, timeout_seconds, lap_done=lambda: None):
    """Runs a file in several processes, which open it at the same moment.

    Args:
        path: The artefact.
        images: Path of an .npy of float32 `[n, ...]`, as the model takes them.
        count: How many laps each.
        processes: How many.
        timeout_seconds: How long a process may take for its next line.
        lap_done: Called as each lap of each process is done.

    Returns:
        `(head, laps)` a process: dict of `runtime` and `predictions_per_lap`, and what
        `run` yields, a list.

    Raises:
        RunFailed: A process ended before its last lap, or took too long.
    """
    words = [sys.executable, "-m", "benchmarks.laps", path.resolve(), images, str(count)]
    started = []

    def follow(process):
        head, laps = _next_line(process, timeout_seconds, log), []
        for _ in range(count):
            laps.append(_next_line(process, timeout_seconds, log))
            lap_done()
        return head, laps

    with tempfile.TemporaryFile() as log, concurrent.futures.ThreadPoolExecutor(processes) as pool:
        try:
            for _ in range(processes):
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
                started.append(subprocess.Popen(words, cwd=_ROOT, text=True, **pipes))
            for process in started:
                _next_line(process, timeout_seconds, log)
            for process in started:
                print("go", file=process.stdin, flush=True)
            followed = [pool.submit(follow, process) for process in started]
            for future in concurrent.futures.as_completed(followed):
                future.result()  # the first to fail is the cause; the others are then killed
            return [future.result() for future in followed]
        finally:
            for process in started:
                process.kill()
                process.wait()


def _next_line(process, timeout_seconds, log):
    late = threading.Timer(timeout_seconds, process.kill)
    asked = time.monotonic()
    late.start()
    line = process.stdout.readline()
    late.cancel()
    if line.endswith("\n"):
        return json.loads(line)
    if time.monotonic() - asked >= timeout_seconds:
        raise RunFailed(f"no answer in {timeout_seconds:g} s")
    status = process.wait()
    how = f"crashed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    log.seek(0)
    words = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    raise RunFailed(" ".join([f"process {how}", *(f"({last[:200]})" for last in words[-1:])]))


def main(path, images, count):
    """What a process does: imports, waits, opens, runs, prints."""
    runtimes.import_runtime(path, threads=1)
    _tell({"imported": True})
    sys.stdin.readline()
    opened = runtimes.open_artifact(path, threads=1)
    inputs = opened.encode(np.load(images, allow_pickle=False))
    batch = opened.batch or 1
    calls = [
        inputs.take(range(i, i + batch), axis=0, mode="wrap") for i in range(0, len(inputs), batch)
    ]
    _tell({"runtime": opened.runtime, "predictions_per_lap": batch * len(calls)})
    for lap in run(opened.call, calls, int(count)):
        _tell(lap)


def _tell(document):
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
