"""What runs in an artefact's own process: open it, predict, time calls, answer.

`benchmarks.worker` is the other end of the pipe.
"""

import os
import signal
import time

from benchmarks import latency, machine, runtimes


class WorkerFailed(Exception):
    """An artefact's process can't go on; the message is the cause, in one line."""


def serve(connection, log, cores):
    """The child's loop: a request in, an answer or an exception out.

    Args:
        connection: The child's end of a `multiprocessing.Pipe`.
        log: Path of the file that takes what is written to standard error.
        cores: The cores to stay on, None for any. Set before a runtime is imported, so
            that the threads it starts stay there too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(log, os.O_WRONLY), 2)  # runtimes log at start, whatever their level
    if cores:
        os.sched_setaffinity(0, cores)
    state = {}
    while True:
        try:
            request, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = _REQUESTS[request](state, *arguments)
        except runtimes.RuntimeMissing as error:
            answer = error
        except Exception as error:  # whatever a runtime raises is the row's cause
            answer = WorkerFailed(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        connection.send(answer)


def _open(state, path, threads):
    idle_bytes = machine.peak_resident_bytes()
    started = time.perf_counter()
    runtimes.import_runtime(path, threads)
    imported = time.perf_counter()
    state["opened"] = opened = runtimes.open_artifact(path, threads)
    return {
        "runtime": opened.runtime,
        "batch": opened.batch,
        "import_ms": round(1000 * (imported - started), 2),
        "load_ms": round(1000 * (time.perf_counter() - imported), 2),
        "memory_idle_bytes": idle_bytes,
    }


def _first_call(state, images):
    """The first call, and the most memory until then: no more images are here yet."""
    opened = state["opened"]
    inputs = opened.encode(images)[: opened.batch or 1]
    (first_call_us,) = latency.time_calls(opened.call, inputs, 0, 1, opened.batch or 1)
    return {
        "first_call_us": round(float(first_call_us), 1),
        "memory_peak_bytes": machine.peak_resident_bytes(),
    }


def _predict(state, images):
    return runtimes.predict(state["opened"], images)


def _keep(state, images):
    state["inputs"] = state["opened"].encode(images)
    state["timed"] = 0


def _time_calls(state, count, batch):
    started = state["timed"]
    state["timed"] += count * batch
    return latency.time_calls(state["opened"].call, state["inputs"], started, count, batch)


_REQUESTS = {
    "open": _open,
    "first call": _first_call,
    "predict": _predict,
    "keep": _keep,
    "time calls": _time_calls,
}
