"""The command: what it prints, writes and exits with."""

import json
import sys

import pytest

from benchmarks import __main__ as command
from benchmarks import bundles, compare, measurement, report, selftest, soak
from benchmarks.run import benchmark
from mnist_edge import bundle, schema
from mnist_edge.errors import InputError
from tests.conftest import QUICK

QUICK_FLAGS = [word for name, value in QUICK.items() for word in (f"--{name}", str(value))]


def test_command_prints_and_writes_the_report(bundle_of_three, without_keras, capsys):
    assert command.main([str(bundle_of_three), *QUICK_FLAGS, "--json"]) == 0
    printed = capsys.readouterr()
    found = schema.read(measurement.Report, bundle_of_three / report.BENCHMARK_JSON, "")
    assert printed.out.startswith(report.text(found))
    last = json.loads(printed.out.rstrip("\n").split("\n")[-1])
    assert schema.decode(measurement.Report, last) == found
    assert (bundle_of_three / report.BENCHMARK_MARKDOWN).read_text() == report.markdown(found)
    assert (bundle_of_three / report.plots.PICTURE).exists()
    assert "gate passed" in printed.out
    assert printed.err == ""


def test_a_limit_judges_on_a_part_of_the_test_set_and_is_said_everywhere(
    bundle_of_three, without_keras, capsys
):
    flags = ["--limit", "100", *QUICK_FLAGS]
    assert command.main([str(bundle_of_three), *flags]) == 0
    text = capsys.readouterr().out
    assert "bundle on 100 of 500 test images" in text
    assert text.count("on 100 of 500 test images |") == 3  # a row's verdict
    found = schema.read(measurement.Report, bundle_of_three / report.BENCHMARK_JSON, "")
    (record,) = found.bundles
    assert (record.test_count, record.test_set_count) == (100, 500)
    row = found.measurements[1]
    wrong = row.parity.wrong_indices  # places in the test set, of which every fifth was used
    assert len(wrong) == round(100 * (1 - row.parity.accuracy))
    assert {*wrong} <= {*bundles.spaced(500, 100)}
    assert max(wrong) >= 100
    with pytest.raises(InputError, match=r"Got: 100 and 500. .* with the same --limit"):
        compare.compare(found, benchmark(bundle_of_three, **QUICK))


def test_a_terminal_sees_progress_and_which_budget_would_do_for_intervals(
    bundle_of_three, without_keras, capsys, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert command.main([str(bundle_of_three), "--budget", "0.001"]) == 0
    text, progress = capsys.readouterr()
    assert "timing:" in progress
    assert "The budget of 0.001 s is too small for intervals, which need 6 rounds: give " in text


def test_an_accuracy_that_is_not_reached_exits_1(bundle_of_three, without_keras, capsys):
    argv = [str(bundle_of_three), "--min-accuracy", "1", *QUICK_FLAGS]
    assert command.main(argv) == 1
    printed = capsys.readouterr()
    assert printed.out.count("BREACH ") == 3
    assert printed.out.endswith(
        "gate BREACHED: agreement at least 98.0%, accuracy at most 0.50 "
        "points below Keras and at least 100.0%\n"
    )
    assert printed.err == ""


def test_another_test_set_than_the_exported_is_refused(bundle_of_three, capsys):
    manifest = json.loads((bundle_of_three / bundle.MANIFEST).read_text())
    manifest["data"]["source"] = "mnist"
    bundle.write_json(bundle_of_three / bundle.MANIFEST, manifest)
    assert command.main([str(bundle_of_three)]) == 2
    assert "x_test must be the one that the bundle was exported with" in capsys.readouterr().err


def test_a_damaged_reference_is_refused(bundle_of_three, capsys):
    path = bundle_of_three / bundle.REFERENCE
    path.write_bytes(bytes(path.stat().st_size))
    assert command.main([str(bundle_of_three)]) == 2
    assert "SHA-256 differs from the manifest. Run: python -m export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--min-agreement", "98"], "--min-agreement must be 0 to 1, a share. Got: 98.0."),
        (["--rounds", "0"], "--rounds must be 1 or more. Got: 0."),
        (["--limit", "0"], "--limit must be 1 or more. Got: 0."),
        (["--budget", "0"], "--budget must be more than 0 and finite. Got: 0.0."),
        (["--threads", "1", "0"], "--threads must be 1 or more. Got: 1 0."),
        (["--threads", "2", "2"], "--threads must be one or more distinct numbers. Got: 2 2."),
        (["--max-us", "-1"], "--max-us must be more than 0 and finite. Got: -1.0."),
        (
            ["--timeout-seconds", "inf"],
            "--timeout-seconds must be more than 0 and finite. Got: inf.",
        ),
    ],
)
def test_bad_settings_are_one_line_and_status_2(capsys, argv, line):
    assert command.main(argv) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "Got: nothing of this name. Give the folder that train or export wrote."),
        ("bundel", "Got: nothing of this name. Did you mean {}/bundle?"),
        ("bundle/onnx-float32.onnx", "Got: a file. Give the folder that it is in: {}/bundle"),
        ("my model.keras", "Run: python -m export '{}/my model.keras' --data DATA --output FOLDER"),
    ],
)
def test_a_path_that_is_no_bundle_is_one_line_and_nothing_is_written(
    tiny_bundle, capsys, name, words
):
    folder = tiny_bundle.parent
    (folder / "my model.keras").touch()
    before = sorted(folder.rglob("*"))
    for main in (command.main, selftest.main, soak.main):
        assert main([str(folder / name)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {folder / name} must be a bundle's folder. ")
        assert error.endswith(f"{words.format(folder)}\n")
    assert sorted(folder.rglob("*")) == before


def test_a_bundle_without_manifest_names_the_command(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 2
    assert f"Run: python -m export {tmp_path}" in capsys.readouterr().err
