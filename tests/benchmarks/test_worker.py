import os
import signal

import numpy as np
import pytest

from benchmarks import bundles, machine, overhead, worker
from benchmarks.worker import Allowance, Worker, WorkerFailed
from mnist_edge import bundle, data
from mnist_edge.safety import limits


@pytest.fixture
def images(small):
    return data.as_inputs(data.load(small.data).x_test, (28, 28, 1))


@pytest.fixture
def int8(small):
    with Worker(small.folder / "tflite-int8.tflite", threads=1) as one:
        yield one


def test_a_worker_tells_what_it_opened_and_what_that_cost(int8, images):
    assert int8.opened.runtime.startswith("LiteRT ")
    assert int8.opened.batch == 1
    first = int8.first_call(images[:1])
    assert min(int8.imported.import_ms, int8.opened.load_ms, first.first_call_us) > 0
    assert first.memory_peak_bytes > int8.imported.memory_idle_bytes > 1e6


def test_a_childs_memory_is_its_own_and_not_its_parents():
    ballast = np.ones(50_000_000)  # 400 MB that the parent has had
    with Worker(overhead.EMPTY_CALL, threads=1) as one:
        assert limits.peak_resident_bytes() > ballast.nbytes > one.imported.memory_idle_bytes


def test_predictions_come_in_pieces_and_whole(int8, small, images):
    images = np.concatenate([images, images[:30]])
    probabilities = int8.predict(images)
    with np.load(small.folder / bundle.REFERENCE) as archive:
        reference = archive["probabilities"]
    assert probabilities.shape == (530, 10)
    assert np.abs(probabilities[:500] - reference).max() < 0.25
    assert np.array_equal(probabilities[500:], probabilities[:30])


def test_images_are_cast_and_sent_in_parts(tiny_bundle, monkeypatch):
    (loaded,) = bundles.load_all([tiny_bundle])
    assert loaded.images.dtype == np.uint8  # 40 of them; float32 would be four times as large
    monkeypatch.setattr(worker, "MOST_VALUES", 15 * 784)
    sent, ask = [], Worker.ask

    def recorded(self, request, *arguments, **options):
        sent.extend((request, len(each), each.dtype) for each in arguments if hasattr(each, "ndim"))
        return ask(self, request, *arguments, **options)

    monkeypatch.setattr(Worker, "ask", recorded)
    with Worker(overhead.GRAPHS["onnx"], 1, Allowance(timeout_seconds=40)) as one:
        one.keep(loaded.images)
        assert one.most_batch == 15
        one.predict(loaded.images)
        one._image_seconds = 1.0  # slow: at most a quarter of the time limit per request
        one.predict(loaded.images[:20])
    parts = [("keep", 15), *(("predict", count) for count in (15, 15, 10, 10, 10))]
    assert sent == [(*part, np.float32) for part in parts]


def test_a_free_batch_is_timed_at_the_size_asked_for(small, images):
    with Worker(small.folder / "onnx-float32.onnx", threads=1) as one:
        one.keep(images[:10])
        assert one.opened.batch is None
        assert one.time_calls(3, batch=32).shape == (3,)


def test_a_worker_stays_on_its_cores(small):
    cores = machine.cores_for(1)
    with Worker(small.folder / "tflite-int8.tflite", 1, Allowance(cores=cores)) as one:
        assert os.sched_getaffinity(one._process.pid) == set(cores)


def test_more_threads_than_cores_are_not_pinned():
    assert machine.cores_for(1) == (max(os.sched_getaffinity(0)),)
    assert machine.cores_for(10_000) is None


# What ends a worker: each a cause in one line.


def test_a_crash_by_signal_names_the_signal(int8, images):
    int8.keep(images)
    os.kill(int8._process.pid, signal.SIGSEGV)
    with pytest.raises(WorkerFailed, match=r"^runtime crashed by SIGSEGV in 'time calls'$"):
        int8.time_calls(1)


def test_a_hang_ends_in_time(small):
    allowance = Allowance(timeout_seconds=3)
    with Worker(small.folder / "tflite-int8.tflite", 1, allowance) as one:
        os.kill(one._process.pid, signal.SIGSTOP)
        with pytest.raises(WorkerFailed, match=r"^no answer to 'time calls' in 3 s$"):
            one.time_calls(1)
        one._process.join(5)
        assert not one._process.is_alive()  # at once, not when the run ends


def test_memory_past_the_limit_ends_it(small):
    with pytest.raises(WorkerFailed, match=r"^took \d+ MB of memory in 'import', at most 5 "):
        Worker(small.folder / "tflite-int8.tflite", 1, Allowance(memory_limit_mb=5))


@pytest.mark.parametrize("name", ["x.tflite", "x.onnx"])
def test_a_file_that_a_runtime_refuses_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a model" * 100)
    with pytest.raises(WorkerFailed) as caught:
        Worker(tmp_path / name, threads=1)
    assert "\n" not in str(caught.value)
