"""Records and bundles of the frontier, made up or made of the small bundle."""

import dataclasses
import json

from benchmarks import machine
from benchmarks.frontier.jobs import Job, Result
from benchmarks.frontier.records import (
    VARIANTS,
    CallTime,
    ExportResult,
    Latency,
    Timing,
)
from mnist_edge import bundle, models
from mnist_edge.data.record import ArraySha256, DataRecord
from mnist_edge.training.train_record import Machine, Metrics, TrainRecord

SHA256 = "0" * 64


def trained(model, seed, accuracy=0.99):
    """A training run by today's full recipe."""
    return TrainRecord(
        model=model,
        model_sha256=SHA256,
        weights_sha256=SHA256,
        parameters=11_764,
        multiply_accumulates=792_040,
        metrics=Metrics(None, None, accuracy, 0.1),
        kept_epoch=1,
        epochs=1,
        training_seconds=1.0,
        recipe=models.ZOO[model].full_recipe,
        seed=seed,
        data=DataRecord(
            "mnist", 10, tuple("0123456789"), 0, 60_000, 0, 10_000, ArraySha256(*[SHA256] * 4)
        ),
        versions={"keras": "3.15.1"},
        machine=Machine("Linux", 2, 2, {}),
    )


def exports(accuracy=0.99):
    return dict.fromkeys(VARIANTS, ExportResult(accuracy, 1.0, 20_000))


def result(job, accuracy=0.99, breaches=()):
    return Result(trained(job.model, job.seed, accuracy), exports(accuracy), breaches)


def latency(*names):
    """A timing of networks, of `classic` and of one that is published."""
    times = dict.fromkeys(VARIANTS, CallTime(10.0, (9.0, 11.0), 0.5))
    networks = dict.fromkeys(("classic", *names, "Deotte"), times)
    return Latency(
        "2026-01-01", machine.fingerprint(), ("LiteRT",), "classic", Timing(2, 10), (), networks
    )


def finished(small, folder, seed=0, kept=VARIANTS):
    """The small bundle as a job that was trained by today's recipe and exported."""
    small.copy(folder)
    recipe = dataclasses.asdict(models.ZOO["edge"].full_recipe)
    rewrite(folder / bundle.TRAIN, lambda record: record | {"seed": seed, "recipe": recipe})
    rewrite(
        folder / bundle.MANIFEST,
        lambda record: (
            record | {"artifacts": [one for one in record["artifacts"] if one["variant"] in kept]}
        ),
    )
    return Job("edge", seed, folder, small.data)


def rewrite(path, change):
    bundle.write_json(path, change(json.loads(path.read_text())))


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])
