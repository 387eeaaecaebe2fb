"""Faults around exporting and benchmarking: kills, a full disk, a retrained model, the clock."""

import ast
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mnist_edge
from benchmarks import report
from benchmarks.__main__ import main as benchmark
from benchmarks.run import benchmark as run
from mnist_edge import bundle, lock
from tests.conftest import copy_of_three, remove_keras

ROOT = Path(mnist_edge.__file__).parents[1]
ONCE = {"rounds": 2, "calls": 5, "warmup": 1}
FLAGS = ["--rounds", "2", "--calls", "5", "--warmup", "1"]
REPORTS = (report.BENCHMARK_JSON, report.BENCHMARK_MARKDOWN, report.plots.PICTURE)


def reports(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name in REPORTS}


def in_child(prelude, folder):
    """`python -m benchmarks FOLDER` in a process of its own, without Keras, after a prelude."""
    program = (
        f"import os, resource, signal, sys\nfrom benchmarks import __main__, report\n"
        f"from mnist_edge import runtimes\n"
        f"known = runtimes.is_installed\n"
        f"runtimes.is_installed = lambda path, *_: path.suffix != '.keras' and known(path)\n"
        f"{prelude}\nsys.exit(__main__.main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), *FLAGS], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def kept_measured(small, tmp_path_factory):
    """A bundle with the reports of a benchmark, made once."""
    folder = copy_of_three(small, tmp_path_factory.mktemp("measured") / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        remove_keras(patch)
        assert benchmark([str(folder), *FLAGS]) == 0
    return folder


@pytest.fixture
def measured(kept_measured, tmp_path, without_keras):
    """A copy of it that a test may damage."""
    return shutil.copytree(kept_measured, tmp_path / "bundle")


@pytest.mark.long
def test_a_full_disk_leaves_the_last_benchmark(measured):
    before = reports(measured)
    assert set(before) == set(REPORTS)
    ended = in_child("resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))", measured)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Raise the limit on a file's size" in line
    assert reports(measured) == before


def test_a_killed_benchmark_leaves_the_last_one_and_nothing_in_its_way(measured):
    before = reports(measured)
    ended = in_child("report.text = lambda *_: os.kill(os.getpid(), signal.SIGKILL)", measured)
    assert ended.returncode == -signal.SIGKILL
    assert reports(measured) == before
    assert benchmark([str(measured), *FLAGS]) == 0
    assert not list(measured.glob(".*"))


def test_two_benchmarks_of_one_bundle_at_a_time_need_two_folders(measured, tmp_path, capsys):
    with lock.held(measured):
        assert benchmark([str(measured), *FLAGS]) == 2
    assert "is in use by another command" in capsys.readouterr().err
    with lock.held(tmp_path / "other", measured):  # as another benchmark that only reads it
        assert benchmark([str(measured), "--output", str(tmp_path / "mine"), *FLAGS]) == 0


def test_artifacts_of_a_model_that_was_trained_again_are_refused(bundle_of_three, capsys):
    record = json.loads((bundle_of_three / bundle.TRAIN).read_text())
    record["model_sha256"] = "0" * 64
    bundle.write_json(bundle_of_three / bundle.TRAIN, record)
    assert benchmark([str(bundle_of_three), *FLAGS]) == 2
    shown = capsys.readouterr().err
    assert "it was trained again since they were made. Run: python -m export" in shown
    assert shown.count("\n") == 1


# The clock.


def test_a_clock_that_jumps_changes_no_figure(bundle_of_three, without_keras, monkeypatch):
    chance = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: chance.uniform(-1e9, 4e9))
    found = run(bundle_of_three, **ONCE)
    assert found.passed
    for row in found.measurements[1:]:
        (latency,) = row.latency
        assert 0 < latency.p50_us < 1e6
        assert latency.load_ms > 0


def asks_the_wall_clock(source):
    """Whether Python code measures by the wall clock, which may be set while it runs."""
    calls = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)
    }
    return bool(calls & {"time.time", "time.time_ns", "datetime.datetime.now", "datetime.now"})


def test_nothing_is_measured_by_the_wall_clock():
    assert asks_the_wall_clock("import time\nstarted = time.time()")
    files = [
        p for name in ("mnist_edge", "export", "benchmarks") for p in (ROOT / name).rglob("*.py")
    ]
    assert len(files) > 50
    assert not [path for path in files if asks_the_wall_clock(path.read_text())]
