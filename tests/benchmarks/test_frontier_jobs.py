import dataclasses
import json

import pytest

from benchmarks.frontier import accuracy as frontier_accuracy
from benchmarks.frontier import jobs as frontier_jobs
from benchmarks.frontier import records
from benchmarks.frontier.jobs import Job, StageFailed
from export.settings import ExportSettings
from mnist_edge import bundle, cli
from mnist_edge.errors import InputError
from mnist_edge.training.settings import TrainSettings

NOTHING = json.dumps({"variants": {}, "breaches": []})


def finished(small, folder, seed=0, kept=("tflite-float32", "tflite-int8")):
    """The small bundle as a job that was trained by today's recipe and exported."""
    small.copy(folder)
    trained = json.loads((folder / bundle.TRAIN).read_text())
    trained |= {"seed": seed, "recipe": records.recipe_record("edge")}
    bundle.write_json(folder / bundle.TRAIN, trained)
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["variant"] in kept]
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    return Job("edge", seed, folder, small.data)


@pytest.fixture
def job(small, tmp_path):
    return finished(small, tmp_path / "edge-0")


@pytest.fixture
def stages(monkeypatch):
    """The stages that a job runs, a list of words each; none of them is really run."""
    ran = []

    def fake(module, *words):
        ran.append([module, *map(str, words)])
        return NOTHING

    monkeypatch.setattr(frontier_jobs, "run_stage", fake)
    return ran


def test_a_finished_job_repeats_neither_training_nor_export(job, stages):
    assert frontier_jobs.run(job).error is None
    assert [module for module, *_ in stages] == ["benchmarks.frontier.accuracy"]


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])


def other_recipe(folder):
    trained = json.loads((folder / bundle.TRAIN).read_text())
    bundle.write_json(folder / bundle.TRAIN, trained | {"recipe": {"epochs": 1}})


@pytest.mark.parametrize(
    ("change", "repeated"),
    [
        (lambda folder: damage(folder / "tflite-int8.tflite"), ["export"]),
        (lambda folder: damage(folder / bundle.REFERENCE), ["export"]),
        (lambda folder: (folder / bundle.MANIFEST).unlink(), ["export"]),
        (other_recipe, ["mnist_edge.train"]),
        (lambda folder: (folder / bundle.TRAIN).unlink(), ["mnist_edge.train"]),
    ],
)
def test_what_is_stale_or_damaged_is_done_again(job, stages, monkeypatch, change, repeated):
    whole = json.loads((job.folder / bundle.TRAIN).read_text())
    change(job.folder)
    counts = frontier_jobs.run_stage

    def run_stage(module, *words):
        if module == "mnist_edge.train":
            bundle.write_json(job.folder / bundle.TRAIN, whole)
        return counts(module, *words)

    monkeypatch.setattr(frontier_jobs, "run_stage", run_stage)
    assert frontier_jobs.run(job).error is None
    assert [module for module, *_ in stages] == [*repeated, "benchmarks.frontier.accuracy"]


def test_an_export_that_lacks_a_wanted_variant_is_made_again(job, stages):
    held = ("tflite-float32", "tflite-int8")
    assert frontier_jobs.run(dataclasses.replace(job, variants=held)).error is None
    assert [module for module, *_ in stages] == ["benchmarks.frontier.accuracy"]
    stages.clear()
    frontier_jobs.run(dataclasses.replace(job, variants=(*held, "tflite-float16")))
    assert stages[0] == ["export", str(job.folder), "--variants", *held, "tflite-float16"]


def test_another_seeds_bundle_is_not_the_jobs(job, stages):
    frontier_jobs.run(dataclasses.replace(job, seed=1))
    assert stages[0][:5] == ["mnist_edge.train", "--model", "edge", "--seed", "1"]


def test_the_stages_commands_are_such_as_the_commands_take(job, stages):
    (job.folder / bundle.TRAIN).unlink()
    (job.folder / bundle.MANIFEST).unlink()
    frontier_jobs.run(job)
    (_, *words), *_ = stages
    settings = cli.parse_settings(TrainSettings, "", words)
    assert (settings.full, settings.resume, settings.folder) == (True, True, job.folder)
    settings = cli.parse_settings(ExportSettings, "", [str(job.folder)], positional=["source"])
    assert settings.source == job.folder


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
    assert frontier_jobs.run(Job("edge", 0, tmp_path)).error == "no"
    assert resumes == tries


def test_a_stage_that_fails_tells_its_error_line():
    with pytest.raises(StageFailed, match=r"train: --epochs must be 1 to 100,000") as caught:
        frontier_jobs.run_stage("mnist_edge.train", "--epochs", 0)
    assert caught.value.status == cli.BAD_INPUT


def test_what_no_one_foresaw_is_the_jobs_error_too(monkeypatch, tmp_path):
    def breaks(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(frontier_jobs, "run_stage", breaks)
    assert frontier_jobs.run(Job("edge", 0, tmp_path)).error == "ZeroDivisionError: oh"


def test_accuracies_are_those_of_the_benchmark_and_of_the_validation_images(small, job):
    measured = frontier_accuracy.measure(job.folder)
    assert measured["breaches"] == []
    assert set(measured["variants"]) == {"tflite-float32", "tflite-int8"}
    rows = {row["variant"]: row for row in small.result["rows"]}
    for name, one in measured["variants"].items():
        assert one["test_accuracy"] == round(rows[name]["accuracy"], 4)
        assert one["agreement"] == round(rows[name]["agreement"], 4)
        assert one["size_bytes"] == rows[name]["size_bytes"]
    on_validation = measured["variants"]["tflite-float32"]["validation_accuracy"]
    assert on_validation == pytest.approx(small.trained["metrics"]["validation_accuracy"], abs=1e-4)
    assert on_validation != measured["variants"]["tflite-float32"]["test_accuracy"]


def test_a_model_trained_on_all_images_has_no_validation_accuracy(small, tmp_path):
    job = finished(small, tmp_path / "edge-0", kept=("tflite-int8",))
    trained = json.loads((job.folder / bundle.TRAIN).read_text())
    trained["data"]["validation_count"] = 0
    bundle.write_json(job.folder / bundle.TRAIN, trained)
    (one,) = frontier_accuracy.measure(job.folder)["variants"].values()
    assert one["validation_accuracy"] is None
    assert one["test_accuracy"] > 0.5


def test_a_damaged_export_is_not_measured(job):
    damage(job.folder / "tflite-int8.tflite")
    with pytest.raises(InputError, match=r"tflite-int8.tflite: truncated"):
        frontier_accuracy.measure(job.folder)
