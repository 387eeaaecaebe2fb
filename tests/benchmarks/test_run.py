import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest

from benchmarks import measurement, overhead, session, worker
from benchmarks.run import benchmark
from export.tflite import convert as tflite_convert
from export.variants import VARIANTS
from mnist_edge import bundle, models, runtimes, schema
from mnist_edge.errors import InputError
from tests.benchmarks import made
from tests.conftest import QUICK, copy_of


def run(*folders, **settings):
    return benchmark(*folders, **(QUICK | settings))


def statuses(report):
    return {row.variant: row.status for row in report.measurements}


# A good bundle.


def test_a_good_bundle_passes_with_one_row_per_artifact(small):
    assert small.report.passed
    assert [row.variant for row in small.report.measurements] == ["keras", *VARIANTS]
    for row in small.report.measurements:
        assert row.status == "passed"
        assert row.parity.agreement >= 0.98
        (latency,) = row.latency
        assert latency.p99_us >= latency.p90_us >= latency.p50_us > 0
        assert latency.p50_interval_us is None  # two rounds
        assert latency.memory_peak_bytes > latency.memory_idle_bytes


def test_the_keras_row_is_the_reference(small):
    parity = small.report.measurements[0].parity
    assert parity.agreement == 1.0
    assert parity.accuracy == pytest.approx(small.trained["metrics"]["test_accuracy"], abs=1e-6)


def test_throughput_is_given_where_the_artifacts_batch_allows(small):
    rates = {row.variant: row.latency[0].images_per_second for row in small.report.measurements}
    assert rates["tflite-int8"]["1"] > 0
    assert rates["tflite-int8"]["32"] is rates["tflite-int8"]["256"] is None
    assert all(rates["onnx-float32"][batch] > 0 for batch in ("1", "32", "256"))


def test_the_harness_and_the_reference_workload_are_timed_in_the_same_rounds(small):
    (block,) = small.report.timing.blocks
    assert 0 < block.harness_overhead_p50_us < block.reference_workload_p50_us


def test_each_artifact_is_held_against_its_runtimes_overhead(small):
    (block,) = small.report.timing.blocks
    overhead_us = {one.runtime: one.p50_us for one in block.runtime_overhead}
    assert [runtime.rpartition(" ")[0] for runtime in overhead_us] == ["LiteRT", "ONNX Runtime"]
    keras_row, *rows = small.report.measurements
    assert keras_row.latency[0].times_runtime_overhead is None
    for row in rows:
        (latency,) = row.latency
        times = latency.p50_us / overhead_us[row.runtime]
        assert latency.times_runtime_overhead == pytest.approx(times, abs=1e-3)
        assert times > 1


def test_a_runtime_that_no_artifact_needs_is_not_opened_for_its_overhead(
    bundle_of_three, without_keras
):
    manifest = json.loads((bundle_of_three / bundle.MANIFEST).read_text())
    manifest["artifacts"] = [e for e in manifest["artifacts"] if e["format"] == "tflite"]
    bundle.write_json(bundle_of_three / bundle.MANIFEST, manifest)
    (block,) = run(bundle_of_three).timing.blocks
    (one,) = block.runtime_overhead
    assert one.runtime.startswith("LiteRT ")


def test_a_runtime_overhead_that_fails_costs_its_figure_and_no_row(
    bundle_of_three, without_keras, monkeypatch, tmp_path
):
    broken = tmp_path / "overhead.tflite"
    broken.write_bytes(b"no flatbuffer")
    monkeypatch.setitem(overhead.GRAPHS, "tflite", broken)
    report = run(bundle_of_three)
    assert report.passed
    assert [one.latency[0].times_runtime_overhead is None for one in report.measurements[1:]] == [
        *(True, True, False)
    ]


def test_what_was_pinned_is_said(small):
    (block,) = small.report.timing.blocks
    assert block.pinned_cores == (max(os.sched_getaffinity(0)),)


def test_several_numbers_of_threads_are_a_block_each(bundle_of_three, without_keras):
    report = run(bundle_of_three, threads=(1, 2), pin=False)
    assert [block.threads for block in report.timing.blocks] == [1, 2]
    for row in report.measurements[1:]:
        assert [latency.threads for latency in row.latency] == [1, 2]
        assert row.latency[0].pinned_cores is None


def test_several_bundles_are_one_run(bundle_of_three, tmp_path, without_keras):
    other = bundle_of_three.rename(tmp_path / "other")
    small = tmp_path / "small"
    small.symlink_to(other)
    with pytest.raises(InputError, match="each bundle must be named once"):
        run(other, small)
    small.unlink()
    shutil.copytree(other, small)
    (other / "tflite-int8.tflite").unlink()
    report = run(small, other)
    assert [one.bundle for one in report.bundles] == ["small", "other"]
    assert report.breaches == ("other/tflite-int8: is missing",)
    assert [row.bundle for row in report.measurements] == ["small"] * 4 + ["other"] * 4


# In a notebook.


def test_a_report_is_a_table_of_flat_records(small):
    records = small.report.records()
    assert [record["variant"] for record in records] == ["keras", *VARIANTS]
    assert len({tuple(record) for record in records}) == 1  # the same columns
    for record, row in zip(records, small.report.measurements, strict=True):
        assert not any(isinstance(value, tuple | list | dict) for value in record.values())
        assert record["accuracy"] == row.parity.accuracy
        assert record["accuracy_interval_low"] < record["accuracy_interval_high"]
        assert record["p50_us"] == row.latency[0].p50_us
        assert record["p50_interval_us_low"] is None  # two rounds


def test_a_row_that_was_not_measured_is_a_record_of_nothing(small):
    report = made.change(small.report, "keras", parity=None, latency=())
    keras_record, record, *_ = report.records()
    assert tuple(keras_record) == tuple(record)
    assert keras_record["accuracy"] is keras_record["p50_us"] is None


def test_a_report_is_read_back_as_it_was(small, tmp_path):
    schema.write(tmp_path / "benchmark.json", small.report)
    assert schema.read(measurement.Report, tmp_path / "benchmark.json", "") == small.report


# A test for each cause of a failed row; the rest goes on.


def replace_artifact(folder, variant, model, with_right_hash):
    """Puts another model's file in place of the bundle's."""
    path = folder / VARIANTS[variant].file
    prepared = tflite_convert.prepare(model, None, folder.parent)
    path.write_bytes(tflite_convert.convert(prepared, VARIANTS[variant], None))
    if with_right_hash:
        manifest = json.loads((folder / bundle.MANIFEST).read_text())
        (entry,) = [e for e in manifest["artifacts"] if e["variant"] == variant]
        entry["sha256"], entry["size_bytes"] = bundle.sha256_file(path), path.stat().st_size
        bundle.write_json(folder / bundle.MANIFEST, manifest)


@pytest.fixture
def bundle_of_five(small, tmp_path):
    """A copy of the small bundle with five artifacts listed."""
    kept = ("tflite-float32", "tflite-dynamic-int8", "tflite-int8", "onnx-float32", "onnx-int8")
    return copy_of(small, tmp_path / "bundle", kept)


@pytest.fixture
def stranger():
    """A model that was never trained."""
    keras.utils.set_random_seed(1)
    return models.build("classic")


def test_a_file_that_is_not_the_manifests_is_a_failed_row_and_never_opened(
    bundle_of_five, stranger, without_keras, monkeypatch
):
    replace_artifact(bundle_of_five, "tflite-float32", stranger, with_right_hash=False)
    (bundle_of_five / "tflite-int8.tflite").unlink()
    with open(bundle_of_five / "onnx-float32.onnx", "r+b") as file:
        file.truncate(1000)
    opened = []

    class Recorded(worker.Worker):
        def __init__(self, path, *given):
            opened.append(str(path).rpartition("/")[2])
            super().__init__(path, *given)

    monkeypatch.setattr(session, "Worker", Recorded)
    result = run(bundle_of_five)
    replaced, missing, truncated = result.breaches
    assert replaced == (
        "tflite-float32: replaced or damaged: its SHA-256 differs from the manifest"
    )
    assert missing == "tflite-int8: is missing"
    assert truncated.startswith("onnx-float32: truncated or replaced: 1000 bytes, ")
    assert statuses(result) == {
        "keras": "not installed",
        "tflite-float32": "failed",
        "tflite-dynamic-int8": "passed",
        "tflite-int8": "failed",
        "onnx-float32": "failed",
        "onnx-int8": "passed",
    }
    assert opened == [
        "tflite-dynamic-int8.tflite",
        "onnx-int8.onnx",
        overhead.EMPTY_CALL,
        overhead.REFERENCE_WORKLOAD,
        "overhead.tflite",
        "overhead.onnx",
    ]


def test_another_models_artifact_and_nan_are_caught_by_parity(
    bundle_of_five, small, stranger, without_keras
):
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    weights = model.get_weights()
    weights[-1][3] = np.nan
    model.set_weights(weights)
    replace_artifact(bundle_of_five, "tflite-float32", stranger, with_right_hash=True)
    replace_artifact(bundle_of_five, "tflite-dynamic-int8", model, with_right_hash=True)
    result = run(bundle_of_five)
    text = "\n".join(result.breaches)
    assert "tflite-float32: agrees with the reference on" in text
    assert "tflite-float32: accuracy" in text
    assert "tflite-float32: differs from the reference on" in text
    (of_nan,) = (line for line in result.breaches if "tflite-float32" not in line)
    assert of_nan.startswith("tflite-dynamic-int8: ")
    assert of_nan.endswith("probabilities are NaN or infinite")
    found = statuses(result)
    assert found["tflite-float32"] == found["tflite-dynamic-int8"] == "breached"
    assert found["tflite-int8"] == found["onnx-int8"] == "passed"
    assert len(result.measurements[1].parity.disagreements.indices) > 250
    json.dumps(schema.encode(result), allow_nan=False)


def test_a_crash_at_any_time_is_a_failed_row(bundle_of_five, without_keras, monkeypatch):
    requests = {
        "tflite-float32": "first_call",
        "tflite-dynamic-int8": "predict",
        "tflite-int8": "keep",
        "onnx-int8": "time_calls",
    }

    class Crashing(worker.Worker):
        def __init__(self, path, *given):
            self.variant = path.stem if hasattr(path, "stem") else ""
            super().__init__(path, *given)

    def crashing(name):
        def crash(self, *given):
            if requests.get(self.variant) == name:
                os.kill(self._process.pid, signal.SIGSEGV)
            return getattr(worker.Worker, name)(self, *given)

        return crash

    for name in requests.values():
        setattr(Crashing, name, crashing(name))
    monkeypatch.setattr(session, "Worker", Crashing)
    result = run(bundle_of_five)
    for line, variant in zip(result.breaches, requests, strict=True):
        assert line.startswith(f"{variant}: runtime crashed by SIGSEGV in ")
    failed = {row.variant: row.latency for row in result.measurements if row.status == "failed"}
    assert failed == dict.fromkeys(requests, ())
    assert statuses(result)["onnx-float32"] == "passed"


def test_a_hang_is_a_failed_row(bundle_of_three, without_keras, monkeypatch):
    class Hanging(worker.Worker):
        def predict(self, *given):
            if self.opened.batch is None:
                os.kill(self._process.pid, signal.SIGSTOP)
            return super().predict(*given)

    monkeypatch.setattr(session, "Worker", Hanging)
    result = run(bundle_of_three, timeout_seconds=5)
    assert result.breaches == ("onnx-float32: no answer to 'predict' in 5 s",)


def test_memory_past_the_limit_is_a_failed_row(small, bundle_of_three):
    needs = {
        row.variant: row.latency[0].memory_peak_bytes / 1e6 for row in small.report.measurements
    }
    limit_mb = needs["keras"] / 2
    assert limit_mb > 2 * needs["onnx-float32"]
    result = run(bundle_of_three, memory_limit_mb=limit_mb)
    (breach,) = result.breaches
    assert breach.startswith("keras: took ")
    assert f"at most {limit_mb:g} allowed" in breach


def test_limits_that_leave_no_room_to_measure_are_bad_input(bundle_of_three, without_keras):
    with pytest.raises(InputError, match=r"took \d+ MB .* Raise --memory-limit-mb"):
        run(bundle_of_three, memory_limit_mb=5)


# Runtimes that are not there.


@pytest.fixture
def only_litert(monkeypatch):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: path.suffix == ".tflite")


def test_a_runtime_that_is_not_installed_is_a_row_and_no_breach(bundle_of_three, only_litert):
    (bundle_of_three / bundle.MODEL).unlink()  # a device need not have it
    result = run(bundle_of_three)
    assert result.passed
    assert statuses(result)["onnx-float32"] == statuses(result)["keras"] == "not installed"
    assert result.measurements[1].latency[0].speedup_vs_keras is None


def test_require_makes_it_a_breach(bundle_of_three, only_litert):
    result = run(bundle_of_three, require=("tflite-int8", "onnx-float32", "tflite-int4"))
    assert not result.passed
    assert result.breaches == (
        "onnx-float32: required and its runtime is not installed",
        "tflite-int4: required and not in the bundle's manifest. Did you mean tflite-int8?",
    )


def test_nothing_measured_is_no_pass(bundle_of_three, monkeypatch):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: False)
    assert run(bundle_of_three).breaches == (
        "no artifact could be measured: no runtime for them is installed",
    )
