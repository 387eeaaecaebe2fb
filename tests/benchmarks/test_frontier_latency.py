import functools

import numpy as np
import pytest

from benchmarks.frontier import jobs as frontier_jobs
from benchmarks.frontier import latency as frontier_latency
from benchmarks.frontier import published
from benchmarks.frontier.jobs import StageFailed
from benchmarks.frontier.published import PUBLISHED
from mnist_edge import cli
from tests.benchmarks.test_frontier_jobs import damage, finished

TIMED = tuple(frontier_latency.TIMED)


@pytest.mark.parametrize(
    "one", [one for one in PUBLISHED if one.hidden_layers], ids=lambda one: one.name
)
def test_the_layers_of_a_published_network_have_its_parameters(one):
    model = published.build(one)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    # PyTorch does not count batch normalization's moving statistics, Keras does.
    assert one.parameters in (trainable, model.count_params())


def test_ratios_are_of_each_rounds_medians_so_that_noise_falls_on_both_alike():
    unit = np.array([[10.0, 10, 10], [100, 100, 100], [10, 10, 10]])
    taken = np.array([[5.0, 5, 5], [50, 50, 50], [5, 90, 5]])
    assert frontier_latency._figures(taken, unit)["over_unit"] == 0.5


def test_bundles_are_those_of_the_lowest_seed_that_is_whole(small, tmp_path):
    for seed in (0, 1, 2):
        finished(small, tmp_path / f"edge-{seed}", seed)
    damage(tmp_path / "edge-0" / "tflite-int8.tflite")
    found = frontier_latency.bundle_folders(["edge", "classic"], range(3), tmp_path)
    assert found == {"edge": tmp_path / "edge-1"}


def test_all_networks_are_timed_in_one_run_beside_the_unit(small, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "PUBLISHED", ())
    made = []

    def stand_in(build, folder):
        made.append(build().name)
        return finished(small, folder, kept=TIMED).folder

    monkeypatch.setattr(frontier_latency, "_stand_in", stand_in)
    folders = {"edge": finished(small, tmp_path / "edge-0", kept=TIMED).folder}
    timing = frontier_latency.Timing(rounds=2, calls=10, warmup=2, progress=False)
    latency = frontier_latency.measure(["edge"], folders, tmp_path, timing, lambda line: None)
    assert made == ["classic"]
    assert latency["models"]["classic"]["layers_alone"] is True
    assert latency["models"]["edge"]["layers_alone"] is False
    unit = latency["models"]["classic"]
    assert unit["tflite-float32"]["over_unit"] == unit["onnx-float32"]["over_unit"] == 1
    for blocks in latency["models"].values():
        assert all(blocks[variant]["p50_us"] > 0 for variant in TIMED)
    assert latency["published"] == {}


@pytest.mark.parametrize(
    ("statuses", "epochs"), [([], 1), ([cli.GATE_FAILED] * 2, 3), ([cli.BAD_INPUT], None)]
)
def test_a_stand_in_is_trained_until_the_export_takes_it(tmp_path, monkeypatch, statuses, epochs):
    left, tries = list(statuses), []

    def run_stage(*_):
        tries.append(1)
        if left:
            raise StageFailed("refused", left.pop())

    monkeypatch.setattr(frontier_jobs, "run_stage", run_stage)
    monkeypatch.setattr(frontier_latency, "_STAND_IN_COUNT", 32)
    tiny = published.Published("tiny", 0, 0, "", "", None, lambda layers: [layers.Flatten()])
    build = functools.partial(published.build, tiny)
    if epochs is None:
        with pytest.raises(StageFailed):
            frontier_latency._stand_in(build, tmp_path)
    else:
        frontier_latency._stand_in(build, tmp_path)
        assert len(tries) == epochs
