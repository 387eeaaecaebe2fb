import functools

import numpy as np
import pytest

from benchmarks.frontier import jobs as frontier_jobs
from benchmarks.frontier import latency as frontier_latency
from benchmarks.frontier import records
from benchmarks.frontier.jobs import StageFailed
from benchmarks.frontier.published import Network, Published
from benchmarks.frontier.records import VARIANTS, Timing
from mnist_edge import bundle, cli
from tests.benchmarks.frontier.made import finished


def test_ratios_are_of_each_rounds_medians_so_that_noise_falls_on_both_alike():
    unit_us = np.array([[10.0, 10, 10], [100, 100, 100], [10, 10, 10]])
    taken_us = np.array([[5.0, 5, 5], [50, 50, 50], [5, 90, 5]])
    assert frontier_latency._call_time(taken_us, unit_us).over_unit == 0.5


def test_all_networks_are_timed_in_one_run_beside_the_unit(small, tmp_path, monkeypatch):
    made = []

    def stand_in(build, work):
        made.append(build().name)
        return finished(small, work / "layers").folder

    monkeypatch.setattr(frontier_latency, "PUBLISHED", Published((), ()))
    monkeypatch.setattr(frontier_latency, "_stand_in", stand_in)
    monkeypatch.setattr(
        frontier_latency, "Timing", functools.partial(Timing, rounds=2, calls=10, warmup=2)
    )
    folders = {"edge": finished(small, tmp_path / "edge-0").folder}
    timed = frontier_latency.measure(["edge"], folders, tmp_path, lambda line: None)
    assert made == ["classic"]
    assert timed.layers_alone == ("classic",)
    unit = timed.networks["classic"]
    assert unit[records.FLOAT].over_unit == unit[records.ONNX_FLOAT].over_unit == 1
    assert all(times[name].p50_us > 0 for times in timed.networks.values() for name in VARIANTS)


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
    build = Network("a tiny one", 0, 0, "", "", layers=(("Flatten",),)).build
    if epochs is None:
        with pytest.raises(StageFailed):
            frontier_latency._stand_in(build, tmp_path)
    else:
        folder = frontier_latency._stand_in(build, tmp_path)
        assert (folder / bundle.MODEL).is_file()
        assert len(tries) == epochs
