import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import selftest
from export.variants import VARIANTS
from mnist_edge import bundle, runtimes
from tests import tiny


def test_the_exporting_machine_computes_what_it_computed(small, capsys):
    assert selftest.main([str(small.folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" ok ") == len(VARIANTS)
    assert f"{len(VARIANTS)} of {len(VARIANTS)} artifacts" in printed


def test_golden_images_are_one_a_class(small):
    with np.load(small.folder / bundle.GOLDEN) as golden:
        assert golden["labels"].tolist() == list(range(10))
        assert golden["images"].shape == (10, 28, 28, 1)
        assert {"keras", *VARIANTS} <= set(golden)


def rewrite_golden(folder, **changes):
    """Changes golden vectors and their hash in the manifest."""
    with np.load(folder / bundle.GOLDEN) as golden:
        arrays = dict(golden)
    for name, change in changes.items():
        arrays[name.replace("_", "-")] += change
    np.savez(folder / bundle.GOLDEN, **arrays)
    tiny.vouch(folder, "golden")


def test_a_device_that_computes_something_else_fails(bundle_of_three, capsys):
    rewrite_golden(bundle_of_three, onnx_float32=np.float32(0.001))
    assert selftest.main([str(bundle_of_three)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert len(failed) == 1
    assert failed[0].startswith("onnx-float32")


def test_other_classes_fail(bundle_of_three, capsys):
    nudge = np.zeros((10, 10), np.float32)
    nudge[:, 0] = 1
    rewrite_golden(bundle_of_three, tflite_int8=nudge)
    assert selftest.main([str(bundle_of_three)]) == 1
    assert "DIFFERENT classes" in capsys.readouterr().out


def test_a_replaced_artifact_fails(bundle_of_three, capsys):
    other = (bundle_of_three / "tflite-float32.tflite").read_bytes()
    (bundle_of_three / "tflite-int8.tflite").write_bytes(other)
    assert selftest.main([str(bundle_of_three)]) == 1
    assert "replaced or damaged" in capsys.readouterr().out


def test_replaced_golden_vectors_are_refused(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    (folder / bundle.GOLDEN).write_bytes(b"")
    assert selftest.main([str(folder)]) == 2
    assert "golden.npz must be the file that the manifest describes" in capsys.readouterr().err


def test_with_one_runtime_its_artifacts_are_tested_and_the_rest_skipped(small, monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: path.suffix == ".tflite")
    assert selftest.main([str(small.folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" skipped ") == sum(v.format == "onnx" for v in VARIANTS.values())


def test_with_no_runtime_nothing_passes(small, monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, *_: False)
    assert selftest.main([str(small.folder)]) == 1
    assert "nothing was tested" in capsys.readouterr().out


def test_it_needs_neither_keras_nor_tensorflow_nor_the_export(small):
    program = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'onnx', 'export', 'h5py', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks import selftest\n"
        "sys.exit(selftest.main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, small.folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
