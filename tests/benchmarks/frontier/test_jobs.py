import dataclasses
import json

import pytest

from benchmarks import measurement
from benchmarks.frontier import jobs as frontier_jobs
from benchmarks.frontier.jobs import Job, StageFailed
from benchmarks.frontier.records import VARIANTS
from export.settings import ExportSettings
from mnist_edge import bundle, cli, schema
from mnist_edge.training.settings import TrainSettings
from tests.benchmarks.frontier.made import damage, finished, rewrite


@pytest.fixture
def job(small, tmp_path):
    return finished(small, tmp_path / "edge-0")


@pytest.fixture
def stages(monkeypatch):
    """The stages that a job runs, a list of words each; none of them is really run."""
    ran = []

    def run_stage(module, *words):
        ran.append([module, *map(str, words)])

    monkeypatch.setattr(frontier_jobs, "run_stage", run_stage)
    monkeypatch.setattr(frontier_jobs, "_measure", lambda folder: ({}, ()))
    return ran


def test_a_finished_job_repeats_neither_training_nor_export(job, stages):
    assert frontier_jobs.run(job).trained.seed == job.seed
    assert stages == []


@pytest.mark.parametrize(
    ("change", "repeated"),
    [
        (lambda folder: damage(folder / "tflite-int8.tflite"), "export"),
        (lambda folder: damage(folder / bundle.REFERENCE), "export"),
        (lambda folder: (folder / bundle.MANIFEST).unlink(), "export"),
        (lambda folder: rewrite(folder / bundle.MANIFEST, without_onnx), "export"),
        (lambda folder: rewrite(folder / bundle.TRAIN, other_recipe), "mnist_edge.train"),
        (lambda folder: rewrite(folder / bundle.TRAIN, other_seed), "mnist_edge.train"),
        (lambda folder: (folder / bundle.TRAIN).unlink(), "mnist_edge.train"),
    ],
)
def test_what_is_stale_or_damaged_is_done_again(job, stages, monkeypatch, change, repeated):
    whole = json.loads((job.folder / bundle.TRAIN).read_text())
    change(job.folder)
    counted = frontier_jobs.run_stage

    def run_stage(module, *words):
        if module == "mnist_edge.train":
            bundle.write_json(job.folder / bundle.TRAIN, whole)
        counted(module, *words)

    monkeypatch.setattr(frontier_jobs, "run_stage", run_stage)
    assert frontier_jobs.run(job).trained.seed == job.seed
    assert [module for module, *_ in stages] == [repeated]


def without_onnx(record):
    kept = [one for one in record["artifacts"] if one["format"] != "onnx"]
    return record | {"artifacts": kept}


def other_recipe(record):
    return record | {"recipe": record["recipe"] | {"epochs": 1}}


def other_seed(record):
    return record | {"seed": 1}


def test_the_stages_commands_are_such_as_the_commands_take(job, stages):
    whole = (job.folder / bundle.TRAIN).read_text()
    (job.folder / bundle.TRAIN).unlink()
    assert "train.json" in frontier_jobs.run(job)  # no stage has written it
    (job.folder / bundle.TRAIN).write_text(whole)
    (job.folder / bundle.MANIFEST).unlink()
    frontier_jobs.run(job)
    (_, *train_words), (_, *export_words) = stages
    settings = cli.parse_settings(TrainSettings, "", train_words)
    assert (settings.full, settings.resume, settings.folder) == (True, True, job.folder)
    settings = cli.parse_settings(ExportSettings, "", export_words, positional=["source"])
    assert (settings.source, settings.variants) == (job.folder, VARIANTS)
    assert not settings.fallback  # a mixed file would leave the record without tflite-int8


@pytest.mark.parametrize(
    ("status", "begun", "tries"),
    [
        (cli.BAD_INPUT, True, [True, False]),  # another recipe's checkpoint: from scratch
        (cli.BAD_INPUT, False, [True]),
        (-9, True, [True]),  # killed: its checkpoint must live
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_left(
    tmp_path, monkeypatch, status, begun, tries
):
    resumes = []

    def fails(module, *words):
        resumes.append("--resume" in words)
        raise StageFailed("no", status)

    monkeypatch.setattr(frontier_jobs, "run_stage", fails)
    if begun:
        (tmp_path / bundle.CHECKPOINT).mkdir()
    assert frontier_jobs.run(Job("edge", 0, tmp_path)) == "no"
    assert resumes == tries


def test_a_stage_that_fails_tells_its_error_line():
    with pytest.raises(StageFailed, match=r"train: --epochs must be 1 to 100,000") as caught:
        frontier_jobs.run_stage("mnist_edge.train", "--epochs", 0)
    assert caught.value.status == cli.BAD_INPUT


def test_what_no_one_foresaw_is_the_jobs_error_too(monkeypatch, tmp_path):
    def breaks(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(frontier_jobs, "run_stage", breaks)
    assert frontier_jobs.run(Job("edge", 0, tmp_path)) == "ZeroDivisionError: oh"


def test_a_breach_is_told_and_an_export_that_does_not_run_fails_the_job(small, job, monkeypatch):
    def breached(*_):
        raise StageFailed("benchmarks: breached", cli.GATE_FAILED)

    def measured(**changes):
        report = dataclasses.replace(small.report, **changes)
        schema.write(job.folder / measurement.BENCHMARK_JSON, report)
        return frontier_jobs.run(job)

    monkeypatch.setattr(frontier_jobs, "run_stage", breached)
    result = measured(breaches=("worse",))
    assert result.breaches == ("worse",)
    assert measurement.KERAS_ROW not in result.exports
    broken = {"status": "failed", "breaches": ("it crashed",), "parity": None, "latency": ()}
    first, *others = small.report.measurements
    rows = (dataclasses.replace(first, **broken), *others)
    assert measured(measurements=rows) == f"{first.variant}: failed: it crashed"
