"""An isolated subprocess: whatever it does or answers, its parent goes on and says why."""

import contextlib
import gc
import os
import pickle
import signal
import socket
import time
import tracemalloc

import numpy as np
import pytest

from mnist_edge.safety import limits
from mnist_edge.safety.isolated import (
    FRAME_BYTES,
    Allowance,
    Process,
    WorkerFailed,
    pack,
    unpack,
)

# What the child may be asked for. A hostile one answers by its socket, not by its loop.


def echo(state, *given):
    return [type(one).__name__ for one in given]


def add(state, array, number):
    return array + np.float32(number)


def giant(state):
    return np.zeros(10_000_000)


def own_socket():
    (found,) = (one for one in gc.get_objects() if isinstance(one, socket.socket))
    return found


class Marker:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def send_a_pickle(state, path):
    body = pickle.dumps(Marker(path))
    own_socket().sendall(len(body).to_bytes(FRAME_BYTES) + body)
    time.sleep(60)


def send_half_an_answer(state):
    own_socket().sendall((100).to_bytes(FRAME_BYTES) + b"half")
    time.sleep(60)


def promise_much(state):
    own_socket().sendall((2**62).to_bytes(FRAME_BYTES))
    time.sleep(60)


def hang_up(state):
    own_socket().shutdown(socket.SHUT_RDWR)
    time.sleep(60)


def reserve(state, limit_mb, wanted_mb):
    limits.limit_memory(limit_mb)
    return bool(np.empty(wanted_mb * 10**6, np.uint8).size)


def hold(state, wanted_mb):
    return bool(np.ones(wanted_mb * 10**6, np.uint8).sum())


def fail(state, words):
    raise RuntimeError(words)


def look_up(state):
    raise LookupError("not here")


def write_and_crash(state):
    with open(2, "w", closefd=False) as stream:
        stream.write("a line\n" * 3_000_000)  # 21 MB
        stream.write("\x1b[2Jthe last line\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def end_by(state, number):
    os.kill(os.getpid(), number)
    time.sleep(60)


def pid(state):
    return os.getpid()


REQUESTS = {
    one.__name__: one
    for one in (
        *(echo, add, giant, send_a_pickle, send_half_an_answer, promise_much, hang_up),
        *(reserve, hold, fail, look_up, write_and_crash, end_by, pid),
    )
}


@pytest.fixture(scope="module")
def kept():
    """A process that no test ends."""
    with Process(REQUESTS, passed_on=(LookupError,)) as process:
        yield process


@pytest.fixture
def process():
    with Process(REQUESTS, Allowance(timeout_seconds=60, memory_limit_mb=300)) as process:
        yield process


@contextlib.contextmanager
def taken_at_most(most_bytes):
    """Fails where the block takes more of this process's memory at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()


def test_arrays_and_json_go_both_ways(kept):
    found = kept.ask("add", np.arange(6, dtype=np.float32).reshape(2, 3), 0.5)
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]
    assert kept.ask("echo", 1, None, "µ", [2], np.zeros(0)) == [
        *("int", "NoneType", "str", "list", "ndarray")
    ]


def test_what_fails_there_is_one_line_here_and_the_process_goes_on(kept):
    with pytest.raises(WorkerFailed, match=r"^RuntimeError: two lines \[2J of it$"):
        kept.ask("fail", "two\nlines \x1b[2J of it")
    with pytest.raises(WorkerFailed, match=r"^RuntimeError: x{300}$"):
        kept.ask("fail", "x" * 10_000)
    assert kept.ask("pid") == kept._process.pid


def test_chosen_exceptions_are_passed_on(kept):
    with pytest.raises(LookupError, match="not here"):
        kept.ask("look_up")


def test_a_pickle_is_never_opened(process, tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(WorkerFailed, match=r"^sent an invalid message for 'send_a_pickle': "):
        process.ask("send_a_pickle", str(marker))
    assert not marker.exists()
    assert not process.is_alive()
    pickle.loads(pickle.dumps(Marker(str(marker))))  # opened, it would have
    assert marker.exists()


@pytest.mark.parametrize("request_name", ["giant", "promise_much"])
def test_an_answer_that_is_too_long_is_not_received(process, request_name):
    with (
        taken_at_most(5e6),
        pytest.raises(WorkerFailed, match=r"with [\d,]+ bytes, at most 1,048,576 allowed$"),
    ):
        process.ask(request_name)
    assert not process.is_alive()


def test_an_answer_that_never_ends_ends_in_time():
    with Process(REQUESTS, Allowance(timeout_seconds=2)) as process:
        with pytest.raises(WorkerFailed, match=r"^no answer to 'send_half_an_answer' in 2 s$"):
            process.ask("send_half_an_answer")
        assert not process.is_alive()


def test_a_process_that_hangs_up_is_ended(process):
    with pytest.raises(WorkerFailed, match=r"^process closed its connection in 'hang_up'$"):
        process.ask("hang_up")
    assert not process.is_alive()


def test_a_bomb_fails_at_once_and_leaves_the_process(process):
    assert process.ask("reserve", 100, 50)
    with pytest.raises(WorkerFailed, match="MemoryError: Unable to allocate"):
        process.ask("reserve", 100, 200)
    with pytest.raises(WorkerFailed, match="MemoryError"):  # a limit is not raised again
        process.ask("reserve", 1000, 200)
    assert process.ask("reserve", 100, 50)


def test_memory_that_no_limit_of_the_systems_stops_is_seen(process):
    with pytest.raises(WorkerFailed, match=r"^took \d+ MB of memory in 'hold', at most 300"):
        process.ask("hold", 500)
    assert not process.is_alive()


def test_a_long_log_is_read_from_its_end(process):
    with taken_at_most(5e6), pytest.raises(WorkerFailed) as caught:
        process.ask("write_and_crash")
    crashed = "runtime crashed by SIGSEGV in 'write_and_crash' ([2Jthe last line)"
    assert str(caught.value) == crashed


def test_a_signal_without_a_name_has_its_number(process):
    number = signal.SIGRTMIN + 3
    with pytest.raises(WorkerFailed, match=f"crashed by signal {number:d} in"):
        process.ask("end_by", int(number))


def test_a_process_that_ended_is_told_at_each_request(process):
    for _ in range(2):
        with pytest.raises(WorkerFailed, match="crashed by SIGKILL in 'end_by'"):
            process.ask("end_by", int(signal.SIGKILL))


# Messages from anyone.


def test_any_bytes_are_a_message_or_a_value_error():
    rng = np.random.default_rng(0)
    items = ["request", {"a": [1, None]}, np.ones((3, 4), np.float32), np.zeros(5, np.int64)]
    plain = pack(items)[FRAME_BYTES:]
    assert len(unpack(plain)) == 4
    refused = 0
    for _ in range(3000):
        body = bytearray(plain)
        for place in rng.integers(len(body), size=rng.integers(1, 5)):
            body[place] = rng.integers(256)
        try:
            unpack(body[: rng.integers(len(body)) if rng.random() < 0.2 else None])
        except ValueError:
            refused += 1
    assert 1000 < refused < 3000  # both happen


@pytest.mark.parametrize(
    "head",
    [
        '[{"dtype": "|O", "shape": [1]}]',
        '[{"dtype": "<f4", "shape": [1000000000000]}]',
        '[{"dtype": "<f4", "shape": [-1]}]',
        '[{"dtype": "<f4", "shape": [1.5]}]',
        '[{"dtype": ["<f4"], "shape": [1]}]',
        '[{"shape": [1]}]',
        "[1]",
        "7",
        '"text"',
        "[" * 100_000,
        '[{"json": ' + "9" * 5000 + "}]",
    ],
)
def test_a_head_that_is_none_is_a_value_error(head):
    body = head.encode() + b"\n" + bytes(4)
    with pytest.raises(ValueError):  # noqa: PT011, whichever: all are what is caught
        unpack(body)
