import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from benchmarks import overhead, worker
from benchmarks import run as judge_module
from benchmarks.run import judge
from benchmarks.settings import BenchmarkSettings
from export.tflite import convert as tflite_convert
from export.variants import VARIANTS
from mnist_edge import bundle, models, runtimes
from mnist_edge.errors import InputError
from tests.conftest import QUICK


def run(*folders, **settings):
    return judge(BenchmarkSettings(bundles=folders, progress=False, **(QUICK | settings)))


def statuses(result):
    return {row["variant"]: row["status"] for row in result["rows"]}


# A good bundle.


def test_a_good_bundle_passes_with_a_row_an_artifact(small):
    assert small.result["passed"]
    assert [row["variant"] for row in small.result["rows"]] == ["keras", *VARIANTS]
    for row in small.result["rows"]:
        assert row["status"] == "passed"
        assert row["agreement"] >= 0.98
        (block,) = row["latency"]
        assert block["p99_us"] >= block["p90_us"] >= block["p50_us"] > 0
        assert block["p50_interval_us"] is None  # two rounds
        assert block["memory_peak_bytes"] > block["memory_idle_bytes"]


def test_the_keras_row_is_the_reference(small):
    keras_row = small.result["rows"][0]
    assert keras_row["agreement"] == 1.0
    assert keras_row["accuracy"] == pytest.approx(
        small.trained["metrics"]["test_accuracy"], abs=1e-6
    )


def test_throughput_is_given_where_the_artifacts_batch_allows(small):
    rates = {row["variant"]: row["latency"][0]["images_per_second"] for row in small.result["rows"]}
    assert rates["tflite-int8"]["1"] > 0
    assert rates["tflite-int8"]["32"] is rates["tflite-int8"]["256"] is None
    assert all(rates["onnx-float32"][batch] > 0 for batch in ("1", "32", "256"))


def test_the_harness_and_the_yardstick_are_timed_in_the_same_rounds(small):
    (block,) = small.result["timing"]["blocks"]
    assert 0 < block["empty_call_p50_us"] < block["yardstick_p50_us"]


def test_each_artifact_is_held_against_its_runtimes_empty_graph(small):
    (timed,) = small.result["timing"]["blocks"]
    empty_us = {graph["runtime"]: graph["p50_us"] for graph in timed["empty_graphs"]}
    assert [runtime.rpartition(" ")[0] for runtime in empty_us] == ["LiteRT", "ONNX Runtime"]
    keras_row, *rows = small.result["rows"]
    assert "times_empty_graph" not in keras_row["latency"][0]
    for row in rows:
        (block,) = row["latency"]
        times = block["p50_us"] / empty_us[row["runtime"]]
        assert block["times_empty_graph"] == pytest.approx(times, abs=1e-3)
        assert times > 1


def test_a_runtime_that_no_artifact_needs_is_not_opened_for_its_empty_graph(
    bundle_of_three, without_keras
):
    manifest = json.loads((bundle_of_three / bundle.MANIFEST).read_text())
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["format"] == "tflite"]
    bundle.write_json(bundle_of_three / bundle.MANIFEST, manifest)
    (timed,) = run(bundle_of_three)["timing"]["blocks"]
    (graph,) = timed["empty_graphs"]
    assert graph["runtime"].startswith("LiteRT ")


def test_an_empty_graph_that_fails_costs_its_figure_and_no_row(
    bundle_of_three, without_keras, monkeypatch, tmp_path
):
    broken = tmp_path / "empty.tflite"
    broken.write_bytes(b"no flatbuffer")
    monkeypatch.setitem(overhead.GRAPHS, "tflite", broken)
    result = run(bundle_of_three)
    assert result["passed"]
    told = {row["variant"]: "times_empty_graph" in row["latency"][0] for row in result["rows"][1:]}
    assert told == {"tflite-float32": False, "tflite-int8": False, "onnx-float32": True}


def test_what_was_pinned_is_said(small):
    (block,) = small.result["timing"]["blocks"]
    assert list(block["pinned_cores"]) == [max(os.sched_getaffinity(0))]


def test_several_numbers_of_threads_are_a_block_each(bundle_of_three, without_keras):
    result = run(bundle_of_three, threads=(1, 2), pin=False)
    assert [block["threads"] for block in result["timing"]["blocks"]] == [1, 2]
    for row in result["rows"][1:]:
        assert [block["threads"] for block in row["latency"]] == [1, 2]
        assert row["latency"][0]["pinned_cores"] is None


def test_several_bundles_are_one_run(bundle_of_three, tmp_path, without_keras):
    other = bundle_of_three.rename(tmp_path / "other")
    small = tmp_path / "small"
    small.symlink_to(other)
    with pytest.raises(InputError, match="each bundle must be named once"):
        run(other, small)
    small.unlink()
    shutil.copytree(other, small)
    (other / "tflite-int8.tflite").unlink()
    result = run(small, other)
    assert [one["bundle"] for one in result["bundles"]] == ["small", "other"]
    assert result["breaches"] == ["other/tflite-int8: is missing"]
    assert [row["bundle"] for row in result["rows"]] == ["small"] * 4 + ["other"] * 4


# A test for each cause of a failed row; the rest goes on.


def replace_artifact(folder, variant, model, with_right_hash):
    """Puts another model's file in place of the bundle's."""
    path = folder / VARIANTS[variant].file
    prepared = tflite_convert.prepare(model, None, None, folder.parent)
    path.write_bytes(tflite_convert.convert(prepared, VARIANTS[variant], None))
    if with_right_hash:
        manifest = json.loads((folder / bundle.MANIFEST).read_text())
        (entry,) = [e for e in manifest["artifacts"] if e["variant"] == variant]
        entry["sha256"], entry["size_bytes"] = bundle.sha256_file(path), path.stat().st_size
        bundle.write_json(folder / bundle.MANIFEST, manifest)


@pytest.fixture
def stranger():
    """A model that was never trained."""
    keras.utils.set_random_seed(1)
    return models.build("classic")


def test_another_models_artifact_is_caught_by_its_hash(bundle_of_three, stranger, without_keras):
    replace_artifact(bundle_of_three, "tflite-float32", stranger, with_right_hash=False)
    result = run(bundle_of_three)
    assert result["breaches"] == [
        "tflite-float32: replaced or damaged: its SHA-256 is not the manifest's"
    ]
    assert statuses(result)["tflite-int8"] == "passed"


def test_a_file_whose_hash_is_wrong_is_never_opened(bundle_of_three, without_keras, monkeypatch):
    (bundle_of_three / "tflite-int8.tflite").write_bytes(b"anything")
    opened = []

    class Recorded(worker.Worker):
        def __init__(self, path, *given):
            opened.append(str(path).rpartition("/")[2])
            super().__init__(path, *given)

    monkeypatch.setattr(judge_module, "Worker", Recorded)
    run(bundle_of_three)
    assert opened == [
        "tflite-float32.tflite",
        "onnx-float32.onnx",
        overhead.EMPTY_CALL,
        overhead.REFERENCE_WORKLOAD,
        "overhead.tflite",
        "overhead.onnx",
    ]


def test_another_models_artifact_is_caught_by_parity(bundle_of_three, stranger, without_keras):
    replace_artifact(bundle_of_three, "tflite-float32", stranger, with_right_hash=True)
    result = run(bundle_of_three)
    text = "\n".join(result["breaches"])
    assert "tflite-float32: agrees with the reference on" in text
    assert "tflite-float32: accuracy" in text
    assert "tflite-float32: differs from the reference on" in text
    assert statuses(result)["tflite-float32"] == "breached"
    assert statuses(result)["tflite-int8"] == "passed"
    assert len(result["rows"][1]["disagreements"]["indices"]) > 250


def test_nan_is_a_breach_and_leaves_the_result_json(bundle_of_three, small, without_keras):
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    weights = model.get_weights()
    weights[-1][3] = np.nan
    model.set_weights(weights)
    replace_artifact(bundle_of_three, "tflite-float32", model, with_right_hash=True)
    result = run(bundle_of_three)
    (breach,) = result["breaches"]
    assert breach.startswith("tflite-float32: ")
    assert breach.endswith("probabilities are NaN or infinite")
    json.dumps(result, allow_nan=False)


def test_a_truncated_artifact_is_a_failed_row(bundle_of_three, without_keras):
    with open(bundle_of_three / "onnx-float32.onnx", "r+b") as file:
        file.truncate(1000)
    result = run(bundle_of_three)
    (breach,) = result["breaches"]
    assert breach.startswith("onnx-float32: truncated or replaced: 1000 bytes, ")
    assert statuses(result) == {
        "keras": "not installed",
        "tflite-float32": "passed",
        "tflite-int8": "passed",
        "onnx-float32": "failed",
    }


@pytest.mark.parametrize("request_name", ["first_call", "predict", "keep", "time_calls"])
def test_a_crash_at_any_time_is_a_failed_row(
    bundle_of_three, without_keras, monkeypatch, request_name
):
    class Crashing(worker.Worker):
        def __init__(self, path, *given):
            self.path = str(path)
            super().__init__(path, *given)

    def crash(self, *given):
        if "int8" in self.path:
            os.kill(self._process.pid, signal.SIGSEGV)
        return getattr(worker.Worker, request_name)(self, *given)

    setattr(Crashing, request_name, crash)
    monkeypatch.setattr(judge_module, "Worker", Crashing)
    result = run(bundle_of_three)
    (breach,) = result["breaches"]
    assert breach.startswith("tflite-int8: runtime crashed by SIGSEGV in ")
    assert statuses(result)["tflite-float32"] == statuses(result)["onnx-float32"] == "passed"
    (failed,) = [row for row in result["rows"] if row["status"] == "failed"]
    assert failed["latency"] == []


def test_a_hang_is_a_failed_row(bundle_of_three, without_keras, monkeypatch):
    class Hanging(worker.Worker):
        def predict(self, *given):
            if self.opened["batch"] is None:
                os.kill(self._process.pid, signal.SIGSTOP)
            return super().predict(*given)

    monkeypatch.setattr(judge_module, "Worker", Hanging)
    result = run(bundle_of_three, timeout_seconds=5)
    assert result["breaches"] == ["onnx-float32: no answer to 'predict' in 5 s"]


def test_memory_past_the_limit_is_a_failed_row(small, bundle_of_three):
    needs = {
        row["variant"]: row["latency"][0]["memory_peak_bytes"] / 1e6 for row in small.result["rows"]
    }
    limit_mb = needs["keras"] / 2
    assert limit_mb > 2 * needs["onnx-float32"]
    result = run(bundle_of_three, memory_limit_mb=limit_mb)
    (breach,) = result["breaches"]
    assert breach.startswith("keras: took ")
    assert f"at most {limit_mb:g} allowed" in breach


def test_limits_that_leave_no_room_to_measure_are_bad_input(bundle_of_three, without_keras):
    with pytest.raises(InputError, match=r"took \d+ MB .* Raise --memory-limit-mb"):
        run(bundle_of_three, memory_limit_mb=5)


def test_a_missing_artifact_is_a_failed_row(bundle_of_three, without_keras):
    (bundle_of_three / "tflite-int8.tflite").unlink()
    assert run(bundle_of_three)["breaches"] == ["tflite-int8: is missing"]


# Runtimes that are not there.


@pytest.fixture
def only_litert(monkeypatch):
    monkeypatch.setattr(runtimes, "is_installed", lambda path: path.suffix == ".tflite")


def test_a_runtime_that_is_not_installed_is_a_row_and_no_breach(bundle_of_three, only_litert):
    (bundle_of_three / bundle.MODEL).unlink()  # a device need not have it
    result = run(bundle_of_three)
    assert result["passed"]
    assert statuses(result)["onnx-float32"] == statuses(result)["keras"] == "not installed"
    assert "speed_over_keras" not in result["rows"][1]["latency"][0]


def test_require_makes_it_a_breach(bundle_of_three, only_litert):
    result = run(bundle_of_three, require=("tflite-int8", "onnx-float32", "tflite-int4"))
    assert not result["passed"]
    assert result["breaches"] == [
        "onnx-float32: required and its runtime is not installed",
        "tflite-int4: required and not in the bundle's manifest",
    ]


def test_nothing_judged_is_no_pass(bundle_of_three, monkeypatch):
    monkeypatch.setattr(runtimes, "is_installed", lambda path: False)
    assert run(bundle_of_three)["breaches"] == [
        "no artifact could be judged: no runtime for any is installed"
    ]
