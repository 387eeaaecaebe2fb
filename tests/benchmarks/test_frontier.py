import os

import distributed
import pytest

from benchmarks.frontier import __main__ as frontier
from benchmarks.frontier import latency as frontier_latency
from benchmarks.frontier import pictures as frontier_pictures
from benchmarks.frontier import records
from benchmarks.frontier import report as frontier_report
from benchmarks.frontier.__main__ import FrontierSettings
from benchmarks.frontier.jobs import Job, Outcome
from mnist_edge import cli
from mnist_edge.errors import InputError
from tests.benchmarks.test_frontier_jobs import finished

README = records.FILE.parents[2] / "docs/frontier.md"


def outcome(job, accuracy=0.99, **options):
    trained = {
        "seed": job.seed,
        "metrics": {"test_accuracy": accuracy, "validation_accuracy": None},
        "training_seconds": 1.0,
        "parameters": 11_764,
        "multiply_accumulates": 792_040,
        "versions": {},
    }
    reached = {"validation_accuracy": None, "test_accuracy": accuracy, "agreement": 1.0}
    variants = {frontier_report.INT8: reached | {"size_bytes": 20_000}}
    return Outcome(job, trained, variants, **options)


def timing_of(names):
    block = {"p50_us": 10.0, "p50_interval_us": [9.0, 11.0], "over_unit": 0.5}
    blocks = dict.fromkeys(frontier_latency.TIMED, block)
    return {
        "date": "2026-01-01",
        "machine": {"processor": "a processor"},
        "unit": "classic",
        "timing": {"rounds": 2, "calls": 10},
        "models": dict.fromkeys({"classic", *names}, blocks),
        "published": {"Deotte": blocks},
    }


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Settings of a run whose jobs all end well at once, and whose timings are counted."""
    timed = []

    def measure(names, *_):
        timed.append(list(names))
        return timing_of(names)

    monkeypatch.setattr(frontier, "outcomes", lambda settings, jobs: map(outcome, jobs))
    monkeypatch.setattr(frontier_latency, "measure", measure)
    drawn = []
    monkeypatch.setattr(frontier_pictures, "write", lambda record, folder: drawn.append(folder))

    def flags(*more):
        words = ["--record", str(tmp_path / "r.json"), "--pictures", str(tmp_path / "docs")]
        return [*words, "--work", str(tmp_path / "work"), "--seeds", "2", "--models", "edge", *more]

    flags.timed, flags.drawn, flags.record = timed, drawn, tmp_path / "r.json"
    return flags


def seeds_on(record, name="edge"):
    return [run["seed"] for run in frontier_report.measured(records.load(record)).get(name, ())]


def test_one_command_records_times_and_draws(scratch, capsys):
    assert frontier.main(scratch()) == 0
    assert seeds_on(scratch.record) == [0, 1]
    assert scratch.timed == [["edge"]]
    assert scratch.drawn == [scratch.record.parent / "docs"]
    assert "| `edge` |     11,764 |      20,000 |" in capsys.readouterr().out


def test_what_is_on_record_is_not_done_again(scratch, capsys):
    frontier.main(scratch())
    frontier.main(scratch())
    assert "0 of 2 runs to do" in capsys.readouterr().err
    assert scratch.timed == [["edge"]]
    frontier.main(scratch("--latency"))
    assert len(scratch.timed) == 2
    frontier.main(scratch("--models", "edge", "classic", "--no-latency"))
    assert seeds_on(scratch.record, "classic") == [0, 1]
    assert len(scratch.timed) == 2


def test_a_run_on_record_without_its_exports_figures_is_done_again(scratch):
    given = outcome(Job("edge", 0, None))
    records.add_run("edge", given.trained, None, scratch.record)
    records.add_run("edge", given.trained | {"seed": 1}, given.variants, scratch.record)
    settings = FrontierSettings(seeds=2, models=("edge",), record=scratch.record)
    assert [job.seed for job in frontier.wanted(settings)] == [0]


def test_a_failed_job_is_one_line_and_stops_no_other(scratch, monkeypatch, capsys):
    def outcomes(settings, jobs):
        yield Outcome(jobs[0], error="it broke")
        yield outcome(jobs[1], breaches=("tflite-int8: worse",))

    monkeypatch.setattr(frontier, "outcomes", outcomes)
    assert frontier.main(scratch()) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors.count("FAILED edge seed 0: it broke") == 1
    assert "BREACH edge seed 1: tflite-int8: worse" in errors
    assert seeds_on(scratch.record) == [1]


def test_an_interrupt_keeps_what_is_recorded(scratch, monkeypatch, capsys):
    def outcomes(settings, jobs):
        yield outcome(jobs[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(frontier, "outcomes", outcomes)
    assert frontier.main(scratch()) == cli.INTERRUPTED
    assert "go on with the same command" in capsys.readouterr().err
    assert seeds_on(scratch.record) == [0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"seeds": 0}, "--seeds must be 1 or more"),
        ({"data": "other.npz"}, "--data other.npz needs --record"),
        ({"scheduler": "tcp://x"}, "--scheduler needs --backend dask"),
    ],
)
def test_bad_settings_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        FrontierSettings(**flags)


def test_a_backend_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(frontier.BACKENDS, "dask", (("joblib", "no_such_package"), None))
    with pytest.raises(InputError, match="--backend dask needs no_such_package"):
        list(frontier.outcomes(FrontierSettings(backend="dask"), []))


def test_two_dask_workers_share_the_jobs(small, tmp_path):
    jobs = [finished(small, tmp_path / f"edge-{n}", n, ("tflite-int8",)) for n in range(2)]
    local = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster:
        settings = FrontierSettings(backend="dask", scheduler=cluster.scheduler_address)
        done = list(frontier.outcomes(settings, jobs))
    assert [one.error for one in done] == [None, None]
    assert {one.job.seed for one in done} == {0, 1}
    assert all(one.variants["tflite-int8"]["test_accuracy"] > 0.5 for one in done)
    assert len({one.process for one in done} - {os.getpid()}) == 2


def test_the_table_is_printed_from_the_record_alone(scratch, capsys):
    frontier.main(scratch())
    capsys.readouterr()
    assert frontier.main(scratch("--table")) == 0
    printed = capsys.readouterr().out
    assert "99.00 % ± 0.00 (2 seeds)" in printed
    assert "`classic`'s float32 file in the same runtime (10.0 µs in LiteRT" in printed


def test_the_table_tells_what_is_missing_by_a_dash(scratch):
    frontier.main(scratch("--no-latency"))
    record = records.load(scratch.record)
    assert frontier_report.table(record).splitlines()[-1].count("–") == 3
    assert frontier_report.caption(record) == ""


def test_the_readme_holds_the_frontier_exactly_where_it_is_on_record():
    record = records.load()
    readme, table = README.read_text(), frontier_report.table(record)
    assert table in readme
    assert ("LiteRT int8" in readme) == bool(table)
    assert frontier_report.caption(record) in readme


@pytest.mark.parametrize(
    ("timed", "files"), [(True, {"frontier-bytes.png", "frontier-latency.png"}), (False, None)]
)
def test_the_pictures_are_drawn_of_what_there_is(tmp_path, timed, files):
    record = tmp_path / "r.json"
    for seed, accuracy in enumerate((0.99, 0.992)):
        given = outcome(Job("edge", seed, None), accuracy)
        records.add_run("edge", given.trained, given.variants, record)
    if timed:
        records.set_latency(timing_of(["edge"]), record)
    frontier_pictures.write(records.load(record), tmp_path / "docs")
    drawn = {path.name for path in (tmp_path / "docs").iterdir()}
    assert drawn == (files or {"frontier-bytes.png"})


def test_bytes_are_a_bound_where_no_size_is_published(scratch):
    frontier.main(scratch())
    points = frontier_pictures._by_size(records.load(scratch.record))
    kinds = {point.name.split("\n")[0]: (point.kind, point.x) for point in points}
    assert kinds["edge"] == ("int8", 20.0)
    assert kinds["BitNetMCU"] == ("size", 11.0)
    assert kinds["JoshWarn"] == ("least", 0.697)


def test_each_timed_network_is_drawn_in_both_precisions(scratch):
    frontier.main(scratch())
    points = frontier_pictures._by_latency(records.load(scratch.record))
    assert [point.kind for point in points] == ["int8", "float32", "timed", "if int8"]
