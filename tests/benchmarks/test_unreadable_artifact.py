"""One artifact that can't be read is a failed row with its cause; names print as they are read."""

import errno
import os
import shutil

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import bundles, predict, selftest, soak, tables
from export import audit
from mnist_edge import bundle
from mnist_edge.examples import Example
from tests import tiny

FILE = "onnx-float32.onnx"


@pytest.fixture
def unreadable(tiny_bundle, without_keras, monkeypatch):
    """The tiny bundle, of which the system lets one artifact not be read."""
    read = bundle.sha256_file

    def refuse(path, *given):
        if path.name == FILE:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path, *given)

    monkeypatch.setattr(bundle, "sha256_file", refuse)
    return tiny_bundle


def picture(folder):
    """Path of a CSV of one image, as Kaggle has them."""
    path = folder.parent / "test.csv"
    header = ",".join(f"pixel{i}" for i in range(784))
    path.write_text(header + "\n" + ",".join(["0", "0", "0", "1"] + ["0"] * 780) + "\n")
    return str(path)


def the_line(text, start):
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line


def test_it_is_a_failed_row_in_every_command(unreadable, capsys):
    cause = "can't be read: [Errno "
    assert selftest.main([str(unreadable)]) == 1
    printed = capsys.readouterr().out
    assert f"FAILED   {cause}" in the_line(printed, "onnx-float32")
    assert printed.endswith("1 of 2 artifacts compute what the exporting machine computed\n")
    assert predict.main([picture(unreadable), str(unreadable)]) == 1
    said = capsys.readouterr()
    assert cause in the_line(said.err, "onnx-float32 FAILED: ")
    assert the_line(said.out, "  tflite-float32 ")
    words = ["--variants", "onnx-float32", "tflite-float32", "--predictions", "40"]
    soak.main([str(unreadable), *words, "--max-growth", "9"])
    printed = capsys.readouterr().out
    assert cause in the_line(printed, "onnx-float32 FAILED: ")
    assert printed.endswith("1 of 2 artifacts passed\n")


def test_a_benchmark_goes_on(unreadable, capsys):
    assert benchmarks.main([str(unreadable), *tiny.QUICK]) == 1
    printed = capsys.readouterr().out
    the_line(printed, "BREACH onnx-float32: can't be read: [Errno ")
    assert "passed" in the_line(printed, "| tflite-float32 ")


def test_an_audit_goes_on_and_says_so_at_the_end(tiny_bundle, capsys):
    (tiny_bundle / "folder.onnx").mkdir()
    os.mkfifo(tiny_bundle / "pipe.onnx")
    names = ("folder.onnx", FILE, "pipe.onnx", "none.tflite", "tflite-float32.tflite")
    assert audit.main([str(tiny_bundle / name) for name in names]) == 2
    said = capsys.readouterr()
    assert said.err.count("error: ") == said.err.count("\n") == 3
    assert the_line(said.out, str(tiny_bundle / FILE))
    assert the_line(said.out, str(tiny_bundle / "tflite-float32.tflite"))


def test_a_file_that_ends_the_audits_process_is_not_the_end(tiny_bundle, monkeypatch, capsys):
    ask = audit.ask

    def die(process, path):
        if path.name == FILE:
            process._process.kill()
            process._process.join()
        return ask(process, path)

    monkeypatch.setattr(audit, "ask", die)
    tflite = tiny_bundle / "tflite-float32.tflite"
    assert audit.main([str(tiny_bundle / FILE), str(tflite)]) == 2
    said = capsys.readouterr()
    assert "runtime crashed by SIGKILL" in said.err
    assert the_line(said.out, str(tflite))


ESCAPES = "\x1b[2J\x1b]0;title\x07\u202eend"
READ = " [2J ]0;title  end"  # as cli.printable gives it


def test_tables_show_names_and_obey_none():
    assert tables.layout([("name", False)], [[ESCAPES]]).splitlines()[-1] == f"| {READ} |"
    digit = Example(name=ESCAPES, values=None)
    answers = {"a": predict.Predictions(np.array([[0.1, 0.9]]), np.array([1.0]))}
    assert predict.table([digit], answers, ["0", "1"]).startswith(READ)


def test_a_bundles_name_is_read_and_not_obeyed(kept_tiny, tmp_path):
    folders = [tmp_path / ESCAPES, tmp_path / ESCAPES.replace("\x1b", "\x1c")]
    for folder in folders:
        shutil.copytree(kept_tiny, folder)
    (read,) = bundles.load_all(folders[:1])
    assert read.label == READ
    labels = [read.label for read in bundles.load_all(folders)]
    assert len(set(labels)) == 2
    assert all(label.isprintable() and label.endswith(READ) for label in labels)
