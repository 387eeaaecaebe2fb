"""The command on a bundle: the record it writes, and bundles that it refuses."""

import dataclasses
import re
import shutil

import numpy as np
import pytest

from benchmarks.microcontroller import __main__ as command
from benchmarks.microcontroller import records, tools
from export.c import convert, metadata
from export.tflite import metadata as tflite_metadata
from mnist_edge import bundle, manifest, schema
from mnist_edge.errors import GATE_FAILED, OK
from mnist_edge.safety import c_source

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which(tools.GCC) and shutil.which(tools.QEMU)),
        reason=f"needs {tools.PACKAGES}",
    ),
]


@pytest.fixture
def folder(small, tmp_path):
    """A copy of the small bundle with its C file, made without converting the model again."""
    folder = small.copy(tmp_path / "bundle")
    found = manifest.read(folder, "")
    (entry,) = (one for one in found.artifacts if one.variant == "tflite-int8")
    path = folder / entry.file
    fields = {**tflite_metadata.read(path), "variant": "c-int8"}
    with np.load(folder / bundle.GOLDEN) as golden:
        content = convert.of_tflite(path.read_bytes(), fields, golden["images"])
    (folder / "c-int8.c").write_bytes(content)
    (folder / "c-int8.h").write_bytes(metadata.companions(content)[".h"])
    record = vars(manifest.file_record(folder / "c-int8.c"))
    header = (manifest.file_record(folder / "c-int8.h"),)
    made = dataclasses.replace(entry, variant="c-int8", format="c", companions=header, **record)
    listed = dataclasses.replace(found, artifacts=(*found.artifacts, made))
    schema.write(folder / bundle.MANIFEST, listed)
    return folder


def run(folder, *words):
    return command.main([str(folder), "--cores", "M0", "M4", "--limit", "20", *words])


def test_the_c_file_of_a_bundle_gives_the_reference_kernels_bytes(folder, capsys):
    assert run(folder) == OK
    report = schema.read(records.MicrocontrollerReport, folder / records.FILE, "")
    assert [(one.core, one.status) for one in report.results] == [
        ("M0", "passed"),
        ("M4", "passed"),
    ]
    for one in report.results:
        assert (one.equal_count, one.golden_differing) == (20, 0)
        assert one.flash_bytes == one.code_bytes + one.weights_bytes
        assert one.ram_bytes > one.scratch_bytes + one.input_bytes + one.output_bytes
    shown = capsys.readouterr().out
    assert "Instructions are not cycles" in shown
    assert shown.endswith(f"written: {folder / records.FILE}\n")


def test_no_digit_is_measured_with_each_call_and_not_recorded(folder, capsys):
    few = ("--cores", "M4", "--limit", "2")
    assert run(folder, *few) == OK
    record, plain = (folder / records.FILE).read_bytes(), capsys.readouterr().out
    assert run(folder, *few, "--no-digit") == OK
    shown = capsys.readouterr().out
    before, after = (
        int(re.search(r"\| Cortex-M4 +\| +([\d,]+)", text)[1].replace(",", ""))
        for text in (plain, shown)
    )
    assert 1000 < after - before < 2000  # code and 468 bytes of constants
    assert (folder / records.FILE).read_bytes() == record
    assert "written" not in shown


def test_a_c_file_with_another_bias_fails(folder, capsys, monkeypatch):
    """The manifest lists the changed file, and the exporter is not asked: its bytes betray it."""
    monkeypatch.setattr(c_source, "fault", lambda path, sha256: None)
    text = (folder / "c-int8.c").read_text()
    start = text.index("{", text.index("static const int32_t bias")) + 1  # of the first layer
    (folder / "c-int8.c").write_text(f"{text[:start]} 20000 + {text[start:]}")
    found = manifest.read(folder, "")
    *others, entry = found.artifacts
    entry = dataclasses.replace(entry, **vars(manifest.file_record(folder / "c-int8.c")))
    schema.write(folder / bundle.MANIFEST, dataclasses.replace(found, artifacts=(*others, entry)))
    assert run(folder) == GATE_FAILED
    assert "of 20 images differ in a byte" in capsys.readouterr().out


def test_a_bundle_without_c_is_one_line(small, capsys):
    assert run(small.folder) == 2
    assert capsys.readouterr().err == (
        f"error: {small.folder} must hold c-int8. Got: no such artifact. "
        f"Run: python -m export {small.folder} --variants c-int8 tflite-int8\n"
    )


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("c-int8.c", "c-int8.c: replaced or damaged: its SHA-256"),
        ("c-int8.h", "c-int8.h must be what this version of mnist-edge makes of tflite-int8"),
    ],
)
def test_a_damaged_c_file_is_one_line_and_nothing_is_written(name, cause, folder, capsys):
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("int", "tni", 1))
    assert run(folder) == 2
    assert cause in capsys.readouterr().err
    assert not (folder / records.FILE).exists()
