"""One child process an artefact: a file that crashes its runtime costs a row, not the run."""

import multiprocessing
import os
import signal
import tempfile

import numpy as np

from benchmarks import latency, runtimes

# Keras with TensorFlow starts in about 5 s on two idle cores.
_TIMEOUT_SECONDS = 120


class WorkerFailed(Exception):
    """An artefact's process can't go on; the message is the cause, in one line."""


class Worker:
    """An artefact opened in a process of its own, and the requests that it answers.

    Args:
        path: The artefact.
        threads: How many threads a call may use.
        timeout_seconds: How long an answer may take.
    """

    def __init__(self, path, threads, timeout_seconds=_TIMEOUT_SECONDS):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._timeout_seconds = timeout_seconds
        self._log = tempfile.NamedTemporaryFile(prefix="benchmark-")  # noqa: SIM115, close() ends it
        self._process = context.Process(target=_serve, args=(theirs, self._log.name), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.runtime, self.batch = self._ask("open", str(path), threads)
        except BaseException:
            self.close()
            raise

    def predict(self, images):
        """Probabilities of images.

        Args:
            images: float32 `[n, ...]` as the model takes them; kept for `time_calls`.

        Returns:
            float32 `[n, classes]`.
        """
        return self._ask("predict", images)

    def time_calls(self, count):
        """Times single calls at batch 1, on the images of `predict` in turn.

        Args:
            count: How many calls.

        Returns:
            float64 `[count]`, microseconds a call.
        """
        return self._ask("time_calls", count)

    def close(self):
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._log.close()

    def _ask(self, request, *arguments):
        try:
            self._connection.send((request, arguments))
            if not self._connection.poll(self._timeout_seconds):
                raise WorkerFailed(f"no answer to {request!r} in {self._timeout_seconds:g} s")
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise WorkerFailed(f"{self._ending()} in {request!r}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ending(self):
        """How the process ended, and the last that it wrote to standard error."""
        exitcode = self._process.exitcode
        how = f"process ended with status {exitcode}"
        if exitcode < 0:
            how = f"runtime crashed by {signal.Signals(-exitcode).name}"
        log = self._log.read().decode(errors="replace").split("\n")
        last_words = [line.strip() for line in log if line.strip()][-1:]
        return " ".join([how, *(f"({words[:200]})" for words in last_words)])


def _serve(connection, log):
    """The child's loop: a request in, an answer or an exception out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(log, os.O_WRONLY), 2)  # runtimes log at start, whatever their level
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
    state["opened"] = opened = runtimes.open_artifact(path, threads)
    return opened.runtime, opened.batch


def _predict(state, images):
    opened = state["opened"]
    state["inputs"] = inputs = opened.encode(images)
    batch = opened.batch or 500
    outputs = [opened.call(inputs[i : i + batch]) for i in range(0, len(inputs), batch)]
    return opened.decode(np.concatenate(outputs))


def _time_calls(state, count):
    started = state.setdefault("timed", 0)
    state["timed"] += count
    return latency.time_calls(state["opened"].call, state["inputs"], started, count)


_REQUESTS = {"open": _open, "predict": _predict, "time_calls": _time_calls}
