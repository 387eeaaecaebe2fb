"""The tools run and are compared; how close they are is measured by hand, not by a test."""

import pytest

from benchmarks import peers
from benchmarks.peers import PeerSettings


def settings(folder):
    return PeerSettings(bundle=folder, rounds=2, calls=20)


def test_every_artefact_is_held_against_its_formats_tools(bundle_of_three):
    found = peers.compare(settings(bundle_of_three))
    assert [(row["file"], row["peer"]) for row in found] == [
        ("tflite-float32.tflite", "litert-benchmark"),
        ("tflite-int8.tflite", "litert-benchmark"),
        ("onnx-float32.onnx", "onnxruntime_test"),
        ("onnx-float32.onnx", "bare loop"),
    ]
    for row in found:
        assert min(row["harness_us"], row["peer_us"], row["ratio"]) > 0


def takes_a_minute(_, path, calls):
    return 60e6


def is_not_installed(_, path, calls):
    raise ImportError("no such tool")


def test_a_peer_that_differs_by_more_than_the_tolerance_exits_1(
    bundle_of_three, monkeypatch, capsys
):
    monkeypatch.setattr(peers, "PEERS", {"tflite": {"slow": takes_a_minute}, "onnx": {}})
    argv = [str(bundle_of_three), "--rounds", "1", "--calls", "5"]
    assert peers.main(argv) == 1
    printed = capsys.readouterr().out
    assert "APART tflite-int8.tflite: 0.000 of slow's" in printed
    assert printed.endswith("0 of 2 within 15%\n")
    assert peers.main([*argv, "--tolerance", "1"]) == 0


def test_a_tool_that_is_not_installed_is_a_line_and_no_pass(bundle_of_three, monkeypatch, capsys):
    missing = {"absent": is_not_installed}
    monkeypatch.setattr(peers, "PEERS", {"tflite": missing, "onnx": missing})
    assert peers.main([str(bundle_of_three), "--rounds", "1", "--calls", "5"]) == 1
    assert "onnx-float32.onnx: not compared, no such tool" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--rounds", "--calls", "--tolerance"])
def test_bad_settings_are_one_line_and_status_2(capsys, flag):
    assert peers.main([flag, "0"]) == 2
    assert f"error: {flag} must be more than 0. Got: 0" in capsys.readouterr().err


def test_a_damaged_artefact_is_never_opened(bundle_of_three, capsys):
    (bundle_of_three / "tflite-float32.tflite").write_bytes(b"x")
    assert peers.main([str(bundle_of_three)]) == 2
    assert "truncated or replaced: 1 bytes" in capsys.readouterr().err
