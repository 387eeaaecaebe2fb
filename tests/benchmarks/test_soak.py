"""A few thousand predictions; the million is `python -m benchmarks.soak`'s own default."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import child, overhead, soak
from mnist_edge import bundle, runtimes
from mnist_edge.safety import isolated

ROOT = Path(__file__).parents[2]
IMAGES = [np.full((1, 4), i, np.float32) for i in range(10)]


def checked(call, count=6):
    """What comes of a function that stands for a runtime's call."""
    done = [child.lap(call, IMAGES) for _ in range(count)]
    return soak.check("x", [soak.Run("a fake", done)], done[0].sha256, max_growth=0.05)


def test_a_steady_call_passes():
    row = checked(lambda values: values * 2)
    assert (row.status, row.causes, row.mismatched_laps) == ("passed", (), 0)
    assert row.predictions == 60
    assert row.growth < 0.05


def test_a_call_that_keeps_its_memory_is_a_breach():
    # In a process of its own: beside what the tests hold a leak must be large to be seen.
    program = (
        "import json, numpy as np\n"
        "from mnist_edge import schema\n"
        "from tests.benchmarks.test_soak import checked\n"
        "kept = []\n"
        "row = checked(lambda values: kept.append(np.ones(2**16)) or values)\n"
        "print(json.dumps(schema.encode(row)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    row = json.loads(ran.stdout)
    assert row["status"] == "FAILED"
    assert [cause.split(" by ")[0] for cause in row["causes"]] == ["memory grew"]
    leaked = 50 * 2**19  # after the first of six laps of ten calls, in bytes
    assert row["resident_most_bytes"] - row["resident_start_bytes"] > 0.9 * leaked


def test_one_bit_that_changes_late_is_a_breach():
    calls = iter(range(1000))
    row = checked(lambda v: np.nextafter(v, 1e9, dtype=np.float32) if next(calls) == 55 else v)
    assert (row.status, row.causes) == ("FAILED", ("laps with different results: 1",))


def test_each_runtime_gives_the_same_bits_lap_after_lap(small, capsys):
    variants = ["tflite-int8", "tflite-float32", "onnx-float32"]
    # At this length what is allocated late weighs: the limit is the command's own only there.
    argv = ["--predictions", "3000", "--max-growth", "0.2", "--variants", *variants, "--json"]
    assert soak.main([str(small.folder), *argv]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    rows = json.loads(last)["rows"]
    assert [row["variant"] for row in rows] == variants
    for row in rows:
        assert (row["status"], row["mismatched_laps"], row["predictions"]) == ("passed", 0, 3000)
        assert row["resident_start_bytes"] > 1e7
        assert row["predictions_per_second"] > 0


def test_eight_processes_at_once_compute_what_one_alone_computes(small, capsys):
    argv = ["--processes", "8", "--predictions", "1000", "--max-growth", "0.2"]
    assert soak.main([str(small.folder), "--variants", "tflite-int8", *argv, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert (row["processes"], row["predictions"], row["mismatched_laps"]) == (8, 8000, 0)


def test_a_process_that_computes_something_else_is_a_breach():
    done = [child.lap(lambda values: values, IMAGES) for _ in range(2)]
    other = [child.lap(lambda values: values + 1, IMAGES) for _ in range(2)]
    row = soak.check("x", [soak.Run("a", done), soak.Run("a", other)], done[0].sha256, 1)
    assert row.causes == ("laps with different results: 2",)


def test_a_process_that_hangs_or_dies_is_a_failed_row_with_its_cause(bundle_of_three, capsys):
    broken = bundle_of_three / "tflite-int8.tflite"
    broken.write_bytes(b"not a model")
    manifest = bundle.read_json(bundle_of_three / bundle.MANIFEST, (), "")
    for entry in manifest["artifacts"]:
        entry["sha256"] = bundle.sha256_file(bundle_of_three / entry["file"])
        entry["size_bytes"] = (bundle_of_three / entry["file"]).stat().st_size
    bundle.write_json(bundle_of_three / bundle.MANIFEST, manifest)
    argv = ["--predictions", "500", "--variants", "tflite-int8", "onnx-float32"]
    assert soak.main([str(bundle_of_three), *argv]) == 1
    printed = capsys.readouterr().out
    assert f"tflite-int8 FAILED: {broken}: ValueError: " in printed
    assert printed.endswith("1 of 2 artifacts passed\n")
    with pytest.raises(isolated.WorkerFailed, match=r"no answer to 'import' in 0\.01 s"):
        soak.run_at_once(
            Path(overhead.REFERENCE_WORKLOAD), None, 1, 2, isolated.Allowance(timeout_seconds=0.01)
        )


def test_a_damaged_file_is_never_opened_and_a_missing_runtime_is_no_pass(
    bundle_of_three, monkeypatch, capsys
):
    (bundle_of_three / "onnx-float32.onnx").write_bytes(b"x")
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: path.suffix == ".onnx")
    argv = [str(bundle_of_three), "--variants", "tflite-int8"]
    assert soak.main(argv) == 1
    assert "tflite-int8 skipped: its runtime is not installed" in capsys.readouterr().out
    assert soak.main([*argv, "onnx-float32"]) == 1
    printed = capsys.readouterr().out
    assert "onnx-float32.onnx: truncated or replaced: 1 bytes" in printed
    assert printed.endswith("0 of 2 artifacts passed\n")


@pytest.mark.parametrize("flag", ["--predictions", "--processes", "--max-growth"])
def test_bad_settings_are_one_line_and_status_2(capsys, flag):
    assert soak.main([flag, "0"]) == 2
    assert f"error: {flag} must be more than 0. Got: 0" in capsys.readouterr().err


def test_a_variant_that_the_bundle_lacks_is_one_line_and_status_2(small, capsys):
    assert soak.main([str(small.folder), "--variants", "tflite-int4"]) == 2
    assert "error: --variants must be among keras, tflite-float32" in capsys.readouterr().err


@pytest.mark.long
def test_eight_selftests_at_once_on_one_bundle_all_pass(small):
    words = [sys.executable, "-m", "benchmarks.selftest", small.folder]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(words, cwd=ROOT, **pipes) for _ in range(8)]
    ended = [(process.communicate()[0], process.returncode) for process in started]
    assert [status for _, status in ended] == [0] * 8, ended


@pytest.mark.long
def test_keras_too_passes_and_eight_processes_of_every_runtime(small, capsys):
    assert soak.main([str(small.folder), "--predictions", "50000", "--json"]) == 0
    eight = ["--processes", "8", "--predictions", "1000", "--max-growth", "0.2", "--json"]
    assert soak.main([str(small.folder), *eight]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [row["mismatched_laps"] for row in rows] == [0] * 4
