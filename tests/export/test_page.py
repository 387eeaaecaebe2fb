"""The first screen of docs/export.md runs: the Python, and the same by command line."""

import re
import shlex
from pathlib import Path

import mnist_edge
from benchmarks import __main__ as benchmark_command
from export import __main__ as export_command
from mnist_edge import data, manifest
from tests import tiny
from tests.safety import culprits

PAGE = Path(__file__).parent.parent.parent / "docs/export.md"


def test_the_python_and_the_commands_export_the_same_variants(
    small_data, tmp_path, monkeypatch, capsys, without_keras, converted_once
):
    text = PAGE.read_text()
    (code,), (commands,) = (
        re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "sh")
    )
    assert len([line for line in code.splitlines() if line]) == 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(mnist_edge.__dict__, "load_dataset", lambda: data.load(small_data))
    names = {}
    exec(code, names)
    made = [artifact.name for artifact in names["artifacts"]]
    assert {"tflite-float32", "tflite-int8", "onnx-float32"} < set(made)
    for saved in re.findall(r"`((?:model|data)\.save\(.*?\))`", text):
        exec(saved, names)
    culprits.tried_here(monkeypatch)
    export, benchmark = (shlex.split(line)[3:] for line in commands.splitlines())
    assert export_command.main([*export, "--force"]) == 0
    assert [entry.variant for entry in manifest.read(Path("artifacts/mine"), "").artifacts] == made
    assert benchmark_command.main([*benchmark, *tiny.QUICK]) == 0
    assert (Path("artifacts/mine/benchmark.json")).exists()
    assert "error" not in capsys.readouterr().err
