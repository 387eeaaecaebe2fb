import json
import os
import signal
import sys

import keras
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import judge as judge_module
from benchmarks import latency, parity, report, runtimes, worker
from benchmarks.judge import BenchmarkSettings, judge
from export.variants import VARIANTS
from mnist_edge import bundle, data, models
from tests.conftest import QUICK

SHAPE = (28, 28, 1)

REFERENCE = np.eye(4, dtype=np.float32)[[0, 1, 2, 3] * 50] * 0.6 + 0.1  # 200 images
LABELS = np.array([0, 1, 2, 3] * 50, np.uint8)
QUICK_FLAGS = [word for name, value in QUICK.items() for word in (f"--{name}", str(value))]


def breaches(probabilities, limits=parity.Limits(), is_float32=False):  # noqa: B008, frozen
    return parity.breaches(probabilities, REFERENCE, LABELS, limits, is_float32)


def with_wrong(count, by=0.5):
    """The reference, with another first choice on the first `count` images."""
    changed = REFERENCE.copy()
    changed[np.arange(count), (LABELS[:count] + 1) % 4] += 0.6 + by
    return changed


# The gate: each limit with a case that passes and one that breaks it.


def test_gate_passes_the_reference_itself():
    assert breaches(REFERENCE, parity.Limits(min_accuracy=1.0), is_float32=True) == []


def test_gate_breaks_on_agreement():
    limits = parity.Limits(max_accuracy_drop=1.0)
    assert breaches(with_wrong(4), limits) == []
    assert breaches(with_wrong(5), limits) == [
        "agrees with the reference on 97.50% of images, at least 98.00% required"
    ]


def test_gate_breaks_on_accuracy_drop():
    assert breaches(with_wrong(1)) == []
    assert breaches(with_wrong(2)) == [
        "accuracy 99.00% is 1.00 points below the reference's, at most 0.50 allowed"
    ]


def test_gate_breaks_on_accuracy_where_asked():
    assert breaches(with_wrong(1), parity.Limits(min_accuracy=0.995)) == []
    assert breaches(with_wrong(1), parity.Limits(min_accuracy=0.996)) == [
        "accuracy 99.50%, at least 99.60% required"
    ]


def test_gate_breaks_where_float32_differs_on_a_clear_image():
    assert breaches(with_wrong(1), is_float32=True) == [
        "differs from the reference on 1 images whose two largest probabilities are more "
        "than 0.0001 apart, none allowed"
    ]
    tie = REFERENCE.copy()
    tie[0] = [0.4, 0.39995, 0.1, 0.1]
    other = tie.copy()
    other[0] = [0.39995, 0.4, 0.1, 0.1]
    assert parity.breaches(other, tie, LABELS, parity.Limits(), is_float32=True) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gate_breaks_on_nan_and_infinity(bad):
    broken = REFERENCE.copy()
    broken[7, 2] = bad
    assert breaches(broken) == ["1 probabilities are NaN or infinite"]


def test_gate_breaks_on_another_shape():
    assert breaches(REFERENCE[:, :3]) == ["gives [200, 3] instead of [200, 4]"]


def test_figures_of_a_known_case():
    figures = parity.measure(with_wrong(4), REFERENCE, LABELS)
    assert figures["accuracy"] == figures["agreement"] == 0.98
    assert figures["reference_accuracy"] == 1.0
    assert figures["max_probability_difference"] == pytest.approx(1.1)


# Runtimes.


@pytest.mark.parametrize("file", [bundle.MODEL, *(v.file for v in VARIANTS.values())])
def test_every_runtime_computes_the_reference(small, file):
    images = data.as_inputs(data.load(small.data).x_test[:40], SHAPE)
    opened = runtimes.open_artifact(small.folder / file, threads=1)
    batch = opened.batch or 40
    inputs = opened.encode(images)
    outputs = [opened.call(inputs[i : i + batch]) for i in range(0, 40, batch)]
    with np.load(small.folder / bundle.REFERENCE) as archive:
        reference = archive["probabilities"][:40]
    exact = "float32" in file or file == bundle.MODEL
    tolerance = 1e-5 if exact else 0.25
    assert np.abs(opened.decode(np.concatenate(outputs)) - reference).max() < tolerance


def test_a_missing_runtime_is_named(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(runtimes.RuntimeMissing, match="onnxruntime is not installed"):
        runtimes.open_artifact(small.folder / "onnx-float32.onnx", threads=1)


# Workers.


def test_a_crash_by_signal_names_the_signal_and_the_last_words(small, monkeypatch):
    one = worker.Worker(small.folder / "tflite-int8.tflite", threads=1)
    os.kill(one._process.pid, signal.SIGSEGV)
    with pytest.raises(worker.WorkerFailed, match="runtime crashed by SIGSEGV"):
        one.time_calls(1)
    one.close()


def test_a_hang_ends_in_time(small):
    one = worker.Worker(small.folder / "tflite-int8.tflite", threads=1)
    os.kill(one._process.pid, signal.SIGSTOP)
    one._timeout_seconds = 0.2
    with pytest.raises(worker.WorkerFailed, match=r"no answer to 'time_calls' in 0\.2 s"):
        one.time_calls(1)
    one.close()
    assert not one._process.is_alive()


def test_a_file_that_a_runtime_refuses_is_one_line(tmp_path):
    for name in ("x.tflite", "x.onnx"):
        (tmp_path / name).write_bytes(b"not a model" * 100)
        with pytest.raises(worker.WorkerFailed) as caught:
            worker.Worker(tmp_path / name, threads=1)
        assert "\n" not in str(caught.value)


# Latency.


def test_each_call_takes_the_next_image_and_is_timed():
    seen = []
    samples = latency.time_calls(lambda x: seen.append(x.item()), np.arange(3)[:, None], 2, 4)
    assert seen == [2, 0, 1, 2]
    assert samples.shape == (4,)
    assert (samples > 0).all()


def test_rounds_take_artefacts_in_turn_and_do_not_count_the_warmup():
    turns = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def time_calls(self, count):
            turns.append((self.name, count))
            return np.full(count, 5.0)

    samples = latency.in_rounds({"a": Fake("a"), "b": Fake("b")}, rounds=2, calls=3, warmup=7)
    assert turns == [("a", 7), ("b", 7), ("a", 3), ("b", 3), ("a", 3), ("b", 3)]
    assert {row: len(values) for row, values in samples.items()} == {"a": 6, "b": 6}


def test_summary_is_median_and_99th_percentile():
    assert latency.summary(np.arange(101)) == {"latency_p50_us": 50.0, "latency_p99_us": 99.0}


# The whole benchmark.


def test_a_good_bundle_passes_with_a_row_an_artefact(small):
    assert small.result["passed"]
    assert [row["variant"] for row in small.result["rows"]] == ["keras", *VARIANTS]
    for row in small.result["rows"]:
        assert row["status"] == "passed"
        assert row["agreement"] >= 0.98
        assert row["latency_p99_us"] >= row["latency_p50_us"] > 0


def test_the_keras_row_is_the_reference(small):
    keras_row = small.result["rows"][0]
    assert keras_row["agreement"] == 1.0
    assert keras_row["accuracy"] == pytest.approx(
        small.trained["metrics"]["test_accuracy"], abs=1e-6
    )


def test_command_prints_and_writes_the_table(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    assert command.main([str(folder), *QUICK_FLAGS]) == 0
    printed = capsys.readouterr().out
    result = json.loads((folder / bundle.BENCHMARK_JSON).read_text())
    assert report.table(result) in printed
    assert report.table(result) in (folder / bundle.BENCHMARK_MARKDOWN).read_text()
    assert "gate passed" in printed


def test_an_accuracy_that_is_not_reached_exits_1(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    assert command.main([str(folder), "--min-accuracy", "1", *QUICK_FLAGS]) == 1
    printed = capsys.readouterr().out
    assert printed.count("BREACH ") == len(VARIANTS) + 1
    assert "gate BREACHED" in printed


def replace_artefact(small, folder, with_right_hash):
    """Puts another model's TFLite file in place of the bundle's."""
    from export import to_tflite

    keras.utils.set_random_seed(1)
    file = "tflite-float32.tflite"
    prepared = to_tflite.prepare(models.build("classic"), None, None, folder.parent)
    (folder / file).write_bytes(to_tflite.convert(prepared, VARIANTS["tflite-float32"], None))
    if with_right_hash:
        manifest = json.loads((folder / bundle.MANIFEST).read_text())
        entry = manifest["artifacts"][0]
        entry["sha256"] = bundle.sha256_file(folder / file)
        entry["size_bytes"] = (folder / file).stat().st_size
        bundle.write_json(folder / bundle.MANIFEST, manifest)


def test_another_models_artefact_is_caught_by_its_hash(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    replace_artefact(small, folder, with_right_hash=False)
    assert command.main([str(folder), *QUICK_FLAGS]) == 1
    printed = capsys.readouterr().out
    assert "BREACH tflite-float32: replaced or damaged: its SHA-256 is not the" in printed


def test_another_models_artefact_is_caught_by_parity(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    replace_artefact(small, folder, with_right_hash=True)
    assert command.main([str(folder), *QUICK_FLAGS]) == 1
    printed = capsys.readouterr().out
    assert "BREACH tflite-float32: agrees with the reference on" in printed
    assert "BREACH tflite-float32: accuracy" in printed
    assert "BREACH tflite-float32: differs from the reference on" in printed
    assert "BREACH tflite-int8" not in printed


def test_a_truncated_artefact_is_one_line_and_the_rest_goes_on(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    with open(folder / "onnx-float32.onnx", "r+b") as file:
        file.truncate(1000)
    assert command.main([str(folder), *QUICK_FLAGS]) == 1
    printed = capsys.readouterr()
    (line,) = [line for line in printed.out.split("\n") if "BREACH " in line]
    assert line.startswith("BREACH onnx-float32: truncated or replaced: 1000 bytes, ")
    assert "Traceback" not in printed.out + printed.err


def test_a_missing_artefact_is_a_failed_row(small, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    (folder / "tflite-int8.tflite").unlink()
    result = judge(BenchmarkSettings(bundle=folder, **QUICK))
    assert result["breaches"] == ["tflite-int8: is missing"]


def test_a_runtime_that_is_not_installed_is_a_row_and_no_breach(small, monkeypatch):
    class Absent(worker.Worker):
        def __init__(self, path, threads):
            if str(path).endswith((".keras", ".onnx")):
                raise runtimes.RuntimeMissing
            super().__init__(path, threads)

    monkeypatch.setattr(judge_module, "Worker", Absent)
    result = judge(BenchmarkSettings(bundle=small.folder, **QUICK))
    assert result["passed"]
    statuses = {row["variant"]: row["status"] for row in result["rows"]}
    assert statuses["onnx-float32"] == statuses["keras"] == "not installed"
    assert "speedup_over_keras" not in result["rows"][1]
    assert "| not installed |" in report.table(result)


def test_nothing_judged_is_no_pass(small, monkeypatch):
    def absent(path, threads):
        raise runtimes.RuntimeMissing

    monkeypatch.setattr(judge_module, "Worker", absent)
    result = judge(BenchmarkSettings(bundle=small.folder, **QUICK))
    assert result["breaches"] == ["no artefact could be judged: no runtime for any is installed"]


def test_another_test_set_than_the_exported_is_refused(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    manifest["data"]["source"] = "mnist"
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    assert command.main([str(folder)]) == 2
    assert "x_test is not the one that the bundle was exported with" in capsys.readouterr().err


def test_bad_limits_are_one_line_and_status_2(capsys):
    assert command.main(["--min-agreement", "98"]) == 2
    assert capsys.readouterr().err == (
        "error: --min-agreement must be 0 to 1, a share. Got: 98.0.\n"
    )


def test_a_bundle_without_manifest_names_the_command(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 2
    assert f"Run: python -m export {tmp_path}" in capsys.readouterr().err
