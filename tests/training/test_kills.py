"""Training that is killed, terminated, or out of disk, as a process of its own."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mnist_edge import bundle, data

KILLS, EPOCHS = 20, 30
# Dropout, and augmentation too; validation's best weights are kept.
FLAGS = ["--model", "conv-pool-conv-pool", "--augment", "--no-plots", "--batch-size", "64"]
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory):
    """Path of an .npz of 960 training and 100 test images."""
    mnist = data.load()
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    arrays = {"x_train": mnist.x_train[:960], "y_train": mnist.y_train[:960]}
    np.savez(path, **arrays, x_test=mnist.x_test[:100], y_test=mnist.y_test[:100])
    return str(path)


def start(source, folder, *more, epochs=EPOCHS, limit=None):
    """Starts `python -m mnist_edge.train`; a line an epoch comes through its pipe."""
    words = ["--data", source, "--output", str(folder), "--epochs", str(epochs), *FLAGS, *more]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "mnist_edge.train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if limit else subprocess.DEVNULL,
        text=True,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )


def finish(process):
    """Its exit status, once it has ended; what it printed is read, so that it never waits."""
    process.stdout.read()
    return process.wait()


def after_epochs(process, count):
    """Waits until so many epochs have begun, or the process has ended."""
    for line in process.stdout:
        count -= line.startswith("Epoch ")
        if count < 0:
            return


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def straight(tiny_data, tmp_path_factory):
    """The bundle of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("straight") / "b"
    assert finish(start(tiny_data, folder)) == 0
    return folder


def test_twenty_kills_at_random_moments_change_no_bit_of_the_finished_run(
    tiny_data, tmp_path, straight, capsys
):
    chance = random.Random(0)
    folder, checkpoint = tmp_path / "b", tmp_path / "b" / bundle.CHECKPOINT
    while_writing = in_start = 0
    for kill in range(KILLS):
        process = start(tiny_data, folder, "--resume")
        if kill % 5 == 4:
            time.sleep(chance.uniform(0, 5))  # while it starts
            in_start += 1
        else:
            after_epochs(process, chance.randint(0, 2))
            if kill % 2:
                time.sleep(chance.uniform(0, 0.5))
            else:  # while a checkpoint is written
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline and not list(
                    checkpoint.glob(bundle.STAGED + "*")
                ):
                    pass
                time.sleep(chance.uniform(0, 0.003))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        while_writing += bool(list(checkpoint.glob(bundle.STAGED + "*")))
        assert not (folder / bundle.TRAIN).exists()
    assert finish(start(tiny_data, folder, "--resume")) == 0
    records = [json.loads((f / bundle.TRAIN).read_text()) for f in (straight, folder)]
    assert (folder / bundle.MODEL).read_bytes() == (straight / bundle.MODEL).read_bytes()
    assert (folder / bundle.HISTORY).read_bytes() == (straight / bundle.HISTORY).read_bytes()
    assert records[0]["metrics"] == records[1]["metrics"]
    assert not list(folder.glob(".*"))
    assert not checkpoint.exists()
    assert while_writing
    with capsys.disabled():
        print(
            f"\n{KILLS} kills, {in_start} of them in the start, {while_writing} left a checkpoint "
            "half-written; the finished run is the uninterrupted one bit for bit"
        )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_training_with_its_status_and_resume_goes_on(
    tiny_data, tmp_path, straight, number, status
):
    process = start(tiny_data, tmp_path / "b")
    after_epochs(process, 3)
    process.send_signal(number)
    assert "continue with the same flags and --resume" in process.stdout.read()
    assert process.wait() == status
    assert os.listdir(tmp_path / "b") == [bundle.CHECKPOINT]
    assert finish(start(tiny_data, tmp_path / "b", "--resume")) == 0
    models = [(folder / bundle.MODEL).read_bytes() for folder in (straight, tmp_path / "b")]
    assert models[0] == models[1]


@pytest.mark.parametrize("limit", [50_000, 400_000])  # in a checkpoint; the model's is smaller
def test_out_of_disk_leaves_the_last_good_model_byte_identical(
    tiny_data, straight, tmp_path, limit
):
    before = contents(straight)
    process = start(tiny_data, straight, "--seed", "1", epochs=1, limit=limit)
    _, error = process.communicate()
    assert process.returncode == 2
    line = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(line) == 1
    assert "Raise the limit on a file's size" in line[0]
    assert contents(straight) == before
