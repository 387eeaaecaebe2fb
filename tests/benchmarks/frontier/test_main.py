import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest

from benchmarks.frontier import __main__ as frontier
from benchmarks.frontier import jobs as frontier_jobs
from benchmarks.frontier import latency as frontier_latency
from benchmarks.frontier import pictures as frontier_pictures
from benchmarks.frontier import records
from benchmarks.frontier.__main__ import FrontierSettings
from benchmarks.frontier.records import VARIANTS, ExportResult
from mnist_edge import cli
from mnist_edge.errors import InputError
from tests.benchmarks.frontier.made import exports, finished, latency, result, trained
from tests.safety.test_parent_killed import ends_within, is_running

ROOT = Path(__file__).parents[3]


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Flags of a run whose jobs all end well at once, and whose timings are counted."""
    timed, drawn = [], []

    def measure(names, *_):
        timed.append(list(names))
        return latency(*names)

    monkeypatch.setattr(
        frontier, "results", lambda settings, jobs: ((job, result(job)) for job in jobs)
    )
    monkeypatch.setattr(frontier_latency, "measure", measure)
    monkeypatch.setattr(frontier_pictures, "write", lambda record, folder: drawn.append(folder))

    def flags(*more):
        words = ["--record", str(tmp_path / "r.json"), "--pictures", str(tmp_path / "docs")]
        return [*words, "--work", str(tmp_path / "work"), "--seeds", "2", "--models", "edge", *more]

    flags.timed, flags.drawn, flags.record = timed, drawn, tmp_path / "r.json"
    return flags


def seeds_on(record, name="edge"):
    return [run.seed for run in records.load(record).runs(name)]


def test_one_command_records_times_and_draws(flags, capsys):
    assert frontier.main(flags()) == 0
    assert seeds_on(flags.record) == [0, 1]
    assert flags.timed == [["edge"]]
    assert flags.drawn == [flags.record.parent / "docs"]
    assert "| `edge` |     11,764 |      20,000 |" in capsys.readouterr().out


def test_what_is_on_record_is_not_done_again(flags, capsys):
    frontier.main(flags())
    frontier.main(flags())
    assert "0 of 2 runs to do" in capsys.readouterr().err
    assert flags.timed == [["edge"]]
    frontier.main(flags("--latency"))
    assert len(flags.timed) == 2
    frontier.main(flags("--models", "edge", "classic", "--no-latency"))
    assert seeds_on(flags.record, "classic") == [0, 1]
    assert len(flags.timed) == 2


def test_a_run_on_record_without_its_exports_figures_is_done_again(tmp_path):
    file = tmp_path / "r.json"
    records.add_run(trained("edge", 0), {}, file)
    records.add_run(trained("edge", 1), exports(), file)
    settings = FrontierSettings(seeds=2, models=("edge",), record=file)
    assert [job.seed for job in frontier.wanted(settings)] == [0]


def test_a_failed_job_is_one_line_and_stops_no_other(flags, monkeypatch, capsys):
    def results(settings, jobs):
        yield jobs[0], "it broke"
        yield jobs[1], result(jobs[1], breaches=("tflite-int8: worse",))

    monkeypatch.setattr(frontier, "results", results)
    assert frontier.main(flags()) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors.count("FAILED edge seed 0: it broke") == 1
    assert "BREACH edge seed 1: tflite-int8: worse" in errors
    assert seeds_on(flags.record) == [1]


def test_an_interrupt_keeps_what_is_recorded(flags, monkeypatch, capsys):
    def results(settings, jobs):
        yield jobs[0], result(jobs[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(frontier, "results", results)
    assert frontier.main(flags()) == cli.INTERRUPTED
    assert "to continue, run the same command" in capsys.readouterr().err
    assert seeds_on(flags.record) == [0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seeds": 0}, "--seeds must be 1 or more"),
        ({"data": "other.npz"}, "--data other.npz needs --record"),
    ],
)
def test_bad_settings_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        FrontierSettings(**flags)


def test_an_installed_package_is_not_written_to(monkeypatch):
    monkeypatch.setattr(frontier_jobs, "PARENT", "mnist_edge.")
    FrontierSettings(table=True)
    with pytest.raises(InputError, match="--record is required"):
        FrontierSettings()


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"Install 'mnist-edge\[cluster\]'"):
        list(frontier.results(FrontierSettings(scheduler="tcp://x"), []))


@pytest.mark.long
def test_a_clusters_workers_do_the_jobs_whose_figures_are_the_benchmarks(small, tmp_path):
    job = finished(small, tmp_path / "edge-0")
    failing = dataclasses.replace(job, data=str(tmp_path / "missing.npz"))
    local = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster:
        settings = FrontierSettings(scheduler=cluster.scheduler_address)
        done = dict(frontier.results(settings, [job, failing]))
    assert "missing.npz" in done[failing]
    rows = {row.variant: row for row in small.report.measurements}
    assert done[job].breaches == ()
    assert done[job].exports == {
        name: ExportResult(
            round(rows[name].parity.accuracy, 4),
            round(rows[name].parity.agreement, 4),
            rows[name].size_bytes,
        )
        for name in VARIANTS
    }


# A frontier of two jobs at a time, whose stages do nothing but write their process id and wait.
STAGES = """
import sys
from pathlib import Path
from benchmarks.frontier import __main__ as frontier, jobs
from benchmarks.frontier.jobs import run_stage

told = "import os, pathlib; pathlib.Path(f'{os.getpid()}.pid').touch()"
nap = ("-n1", "-r1", "-s", told, "import time; time.sleep(60)")
jobs._train = lambda job: run_stage("timeit", *nap)
words = ["--record", "r.json", "--work", "work", "--pictures", "docs"]
sys.exit(frontier.main([*words, "--seeds", "3", "--models", "edge", "--jobs", "2"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_stage_outlives_the_command(tmp_path, number):
    words = [sys.executable, "-c", STAGES]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = {"stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, **quiet) as command:
        while len(pids := [int(path.stem) for path in tmp_path.glob("*.pid")]) < 2:
            assert command.poll() is None
            time.sleep(0.05)
        assert all(map(is_running, pids))
        command.send_signal(number)
        assert [ends_within(5, pid) for pid in pids] == [True, True]
        command.wait(5)
        said = command.stderr.read()
    assert len(list(tmp_path.glob("*.pid"))) == 2  # the third job did not begin
    if number == signal.SIGKILL:
        assert command.returncode == -number
    else:
        assert command.returncode == 128 + number
        assert "to continue, run the same command" in said
