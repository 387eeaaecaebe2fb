import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest

from export import __main__ as command
from export import audit, to_onnx
from export.formats import FORMATS
from export.onnx import convert as onnx_convert
from export.onnx import rewrite
from export.pipeline import export
from export.settings import ExportSettings
from export.variants import VARIANTS
from mnist_edge import bundle, data, manifest, runtimes
from mnist_edge.errors import GateError, InputError

SHAPE = (28, 28, 1)
pytestmark = pytest.mark.usefixtures("converted_once")


def entry(small, variant):
    (found,) = [e for e in small.manifest["artifacts"] if e["variant"] == variant]
    return found


def test_a_variants_name_is_its_key_and_its_files_stem():
    for name, variant in VARIANTS.items():
        assert variant.name == name == variant.file.rpartition(".")[0]


def test_every_variant_is_written_with_its_entry(small):
    assert [e["variant"] for e in small.manifest["artifacts"]] == list(VARIANTS)
    for e in small.manifest["artifacts"]:
        path = small.folder / e["file"]
        assert bundle.sha256_file(path) == e["sha256"]
        assert path.stat().st_size == e["size_bytes"]
        assert e["source_model_sha256"] == bundle.sha256_file(small.folder / bundle.MODEL)


def test_every_artifact_takes_image_and_gives_probabilities(small):
    for e in small.manifest["artifacts"]:
        assert e["inputs"][0]["name"] == "image"
        assert e["outputs"][0]["name"] == "probabilities"
        assert e["inputs"][0]["dtype"] == VARIANTS[e["variant"]].io


def test_int8_takes_raw_bytes(small):
    given = entry(small, "tflite-int8")["inputs"][0]
    assert (given["dtype"], given["scale"], given["zero_point"]) == ("uint8", 1.0, 0)


def test_tflite_has_batch_1_and_onnx_a_free_one_named_batch(small):
    assert entry(small, "tflite-float32")["inputs"][0]["shape"] == [1, 28, 28, 1]
    assert entry(small, "onnx-float32")["inputs"][0]["shape"] == ["batch", 28, 28, 1]
    assert entry(small, "onnx-float32")["outputs"][0]["shape"] == ["batch", 10]


@pytest.mark.parametrize("variant", [v for v in VARIANTS.values() if v.format == "tflite"])
def test_xnnpack_takes_a_tflite_graph_in_one_part_where_it_knows_the_type(small, variant):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(small.folder / variant.file))
    interpreter.allocate_tensors()
    operators = [details["op_name"] for details in interpreter._get_ops_details()]
    assert not {"SHAPE", "STRIDED_SLICE", "PACK"} & set(operators)
    assert operators.count("DELEGATE") == (0 if variant.activations == "int16" else 1)


def test_onnx_has_opset_18_or_later(small):
    model = onnx.load(small.folder / "onnx-float32.onnx")
    (opset,) = [o.version for o in model.opset_import if o.domain == ""]
    assert opset >= 18


def test_reference_is_the_models_prediction_on_the_test_images(small):
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    images = data.as_inputs(data.load(small.data).x_test, SHAPE)
    with np.load(small.folder / bundle.REFERENCE) as reference:
        assert np.allclose(reference["probabilities"], model.predict(images, verbose=0), atol=1e-6)


def test_calibration_stands_in_the_manifest_where_it_was_used(small):
    assert entry(small, "tflite-float32")["calibration"] is None
    assert entry(small, "tflite-int8")["calibration"]["count"] == 50


def test_reopening_a_quantized_artifact_gives_probabilities(small):
    images = data.as_inputs(data.load(small.data).x_test[:50], SHAPE)
    probabilities = runtimes.open_artifact(small.folder / "tflite-int8.tflite").predict(images)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(1), 1, atol=0.05)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_onnx_graph_is_clean(small):
    graph = onnx.load(small.folder / "onnx-float32.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert not {"Shape", "Gather", "Cast", "Mul", "BatchNormalization"} & set(kinds)
    assert len(kinds) == 19
    assert [value.name for value in graph.input] == ["image"]


def test_kerass_own_onnx_export_is_made_where_it_is_asked_for_and_is_not_clean(small, tmp_path):
    chosen = ["onnx-float32", "onnx-float32-keras"]
    argv = [str(small.folder), "--output", str(tmp_path), "--variants", *chosen]
    assert command.main(argv) == 0
    clean, raw = (onnx.load(tmp_path / f"{name}.onnx").graph.node for name in chosen)
    assert {"Shape", "Gather", "Cast", "Mul"} <= {node.op_type for node in raw}
    assert len(clean) < len(raw)
    assert audit.main([str(tmp_path / f"{name}.onnx") for name in chosen]) == 0
    listed = json.loads((tmp_path / bundle.MANIFEST).read_text())
    assert [e["variant"] for e in listed["artifacts"]] == chosen
    assert [e["precision"] for e in listed["artifacts"]] == ["float32", "float32"]


def test_batch_can_be_fixed_and_opset_chosen(small, tmp_path):
    chosen = ["--variants", "tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8"]
    argv = [str(small.folder), "--output", str(tmp_path), "--batch", "3", "--opset", "21"]
    assert command.main([*argv, *chosen]) == 0
    listed = json.loads((tmp_path / bundle.MANIFEST).read_text())
    assert [e["variant"] for e in listed["artifacts"]] == chosen[1:]
    for e in listed["artifacts"]:
        assert e["inputs"][0]["shape"][0] == 3
        assert e["audit"]["batch"] == 3
    assert listed["artifacts"][2]["audit"]["opset"] == 21


def test_an_opset_that_does_not_exist_is_refused(small, tmp_path, capsys):
    argv = [str(small.folder), "--output", str(tmp_path / "new"), "--variants", "onnx-float32"]
    assert command.main([*argv, "--opset", "99"]) == 2
    assert capsys.readouterr().err.startswith("error: --opset must be 18 to ")


def test_one_formats_script_makes_the_precisions_that_are_named(small, tmp_path):
    assert to_onnx.main([str(small.folder), "--output", str(tmp_path), "--precision", "int8"]) == 0
    assert {p.name for p in tmp_path.glob("*.onnx")} == {"onnx-int8.onnx"}


def test_exporting_some_variants_keeps_the_others_of_the_same_model(small, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    assert command.main([str(folder), "--variants", "onnx-float32", "--opset", "19"]) == 0
    listed = json.loads((folder / bundle.MANIFEST).read_text())
    assert [e["variant"] for e in listed["artifacts"]] == list(VARIANTS)
    with np.load(folder / bundle.GOLDEN) as golden:
        assert set(VARIANTS) <= set(golden)


def test_artifacts_of_another_model_are_refused_or_remade_by_force(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    listed = json.loads((folder / bundle.MANIFEST).read_text())
    listed["model"]["sha256"] = "0" * 64
    kept = ("tflite-int8", "onnx-float32")
    mixed = listed["artifacts"][-1] | {  # a fallback's
        "variant": "onnx-int8-mixed",
        "file": "onnx-int8-mixed.onnx",
    }
    (folder / mixed["file"]).touch()
    listed["artifacts"] = [e for e in listed["artifacts"] if e["variant"] in kept] + [mixed]
    bundle.write_json(folder / bundle.MANIFEST, listed)
    before = contents(folder)
    argv = [str(folder), "--variants", "onnx-float32"]
    assert command.main(argv) == 2
    line = (
        "holds artifacts of another model, or of this one before it was trained again: tflite-int8"
    )
    assert line in capsys.readouterr().err
    assert contents(folder) == before
    assert command.main([*argv, "--force"]) == 0
    listed = json.loads((folder / bundle.MANIFEST).read_text())
    assert sorted(e["variant"] for e in listed["artifacts"]) == sorted(kept)
    assert not (folder / mixed["file"]).exists()


# What passes is written.


def int8_fails(patch_format):
    """Has the file of tflite-int8 hold float32."""
    convert = FORMATS["tflite"].convert

    def convert_but_int8(prepared, variant, images):
        name = variant.name.replace("tflite-int8", "tflite-float32")
        return convert(prepared, VARIANTS[name], images)

    patch_format("tflite", convert=convert_but_int8)


CHOSEN = ["tflite-float32", "tflite-int8", "onnx-float32"]
OTHERS = [name for name in VARIANTS if name not in CHOSEN]


def test_a_variant_that_nobody_named_may_fail_and_is_listed(small, tmp_path, patch_format, capsys):
    int8_fails(patch_format)
    folder = small.copy(tmp_path / "bundle")
    assert command.main([str(folder), "--skip", *OTHERS, "--no-fallback"]) == 0
    printed = capsys.readouterr()
    assert "error" not in printed.err
    row = next(line for line in printed.out.splitlines() if line.startswith("tflite-int8 "))
    assert "fails the gate: has float32 input and float32 output" in row
    written = manifest.read(folder, "")
    (failure,) = written.failures
    assert (failure.variant, failure.cause) == ("tflite-int8", "gate")
    left = [name for name in VARIANTS if name != "tflite-int8"]  # the earlier ones are kept
    assert [artifact.variant for artifact in written.artifacts] == left
    assert not (folder / "tflite-int8.tflite").exists()


@pytest.mark.parametrize("flag", [[], ["--all-or-nothing"]])
def test_a_variant_that_is_named_must_pass(small, tmp_path, patch_format, flag):
    int8_fails(patch_format)
    argv = [str(small.folder), "--output", str(tmp_path / "new"), "--no-fallback", *flag]
    assert command.main([*argv, "--variants", *CHOSEN[:2]]) == 1
    assert (tmp_path / "new" / "tflite-float32.tflite").exists() == (not flag)
    if flag:
        assert not (tmp_path / "new").exists()


def test_all_or_nothing_holds_for_variants_that_nobody_named(small, tmp_path, patch_format):
    int8_fails(patch_format)
    argv = [str(small.folder), "--output", str(tmp_path / "new"), "--no-fallback"]
    assert command.main([*argv, "--skip", *OTHERS, "--all-or-nothing"]) == 1
    assert not (tmp_path / "new").exists()


def test_a_float32_variant_must_pass_and_the_others_are_written(small, tmp_path, patch_format):
    def refuse(*_):
        raise InputError("layer 'odd' can't be exported to onnx. Replace it.")

    patch_format("onnx", prepare=refuse)
    skip = (*OTHERS, "tflite-int8")
    settings = ExportSettings(source=small.folder, output=tmp_path / "new", skip=skip)
    with pytest.raises(GateError, match=r"^onnx-float32: layer 'odd' can't be") as caught:
        export(settings)
    assert [artifact.name for artifact in caught.value.exported] == ["tflite-float32"]
    (failure,) = manifest.read(tmp_path / "new", "").failures
    assert (failure.variant, failure.cause) == ("onnx-float32", "unsupported")


def test_skipping_every_variant_is_one_line(small, capsys):
    assert command.main([str(small.folder), "--skip", *VARIANTS]) == 2
    assert "at least one variant must be exported. Got: all in --skip" in capsys.readouterr().err


# Whole or not at all.


def test_an_artifact_that_disagrees_fails_the_export_and_nothing_is_written(
    small, tmp_path, patch_format, capsys
):
    folder = small.copy(tmp_path / "bundle")
    before = contents(folder)
    prepare = onnx_convert.prepare

    def prepare_another_model(model, *given):
        other = keras.models.clone_model(model)
        other.set_weights(model.get_weights())
        other.layers[-1].kernel.assign(np.roll(other.layers[-1].kernel, 1, axis=1))
        return prepare(other, *given)

    patch_format("onnx", prepare=prepare_another_model)
    assert command.main([str(folder), "--variants", "onnx-float32"]) == 1
    error = capsys.readouterr().err
    assert "error: onnx-float32 agrees with the reference on" in error
    assert "error: nothing was written" in error
    assert contents(folder) == before


def test_a_file_that_is_not_what_its_name_says_fails_the_export(
    small, tmp_path, patch_format, capsys
):
    folder = small.copy(tmp_path / "bundle")
    before = contents(folder)
    float16 = (folder / "tflite-float16.tflite").read_bytes()
    patch_format("tflite", convert=lambda *_: float16)
    assert command.main([str(folder), "--variants", "tflite-int8", "--no-fallback"]) == 1
    assert "error: tflite-int8 has float32 input and float32 output" in capsys.readouterr().err
    assert contents(folder) == before


def run_in_child(program, *argv, **environment):
    """Runs Python code with `argv` in a process of its own; returns it when it has ended."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, argv)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.long
@pytest.mark.parametrize("limit", [20_000, 45_000])
def test_a_full_disk_leaves_the_last_good_bundle(small, tmp_path, limit):
    folder = small.copy(tmp_path / "bundle")
    before = contents(folder)
    program = (
        "import resource, sys; from export.__main__ import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "sys.exit(main(sys.argv[1:]))"
    )
    ended = run_in_child(program, folder)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert "File too large" in line
    assert "Traceback" not in ended.stderr
    assert contents(folder) == before


@pytest.mark.long  # quick: tests/test_lock.py kills the writing at every step
def test_a_killed_export_leaves_the_last_good_bundle(small, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    before = contents(folder)
    program = (
        "import os, signal, sys; from export import __main__ as command, worker, write; "
        "from tests.safety import culprits; worker.Process = culprits.Here; "
        "write.versions = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "command.main(sys.argv[1:])"
    )
    ended = run_in_child(program, folder, "--variants", "onnx-float32", "--opset", "20")
    assert ended.returncode == -signal.SIGKILL
    assert {name: data for name, data in files(folder).items() if name in before} == before


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_interrupted_export_leaves_the_last_good_bundle(small, tmp_path, monkeypatch, capsys):
    folder = small.copy(tmp_path / "bundle")
    before = contents(folder)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("export.write.versions", interrupt)
    assert command.main([str(folder), "--variants", "onnx-float32", "--opset", "20"]) == 130
    assert contents(folder) == before


def test_a_folder_that_cannot_be_written_is_one_line_and_status_2(small, tmp_path, capsys):
    (tmp_path / "file").touch()
    argv = [str(small.folder), "--output", str(tmp_path / "file" / "bundle")]
    assert command.main([*argv, "--variants", "onnx-float32"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_two_exports_give_the_same_bytes(small, tmp_path):
    """In two processes of different hash seeds: the first made the small bundle."""
    program = (
        "import sys; from mnist_edge import backend; backend.start_lean(); "
        "from export import __main__ as command, worker; "
        "from tests.safety import culprits; worker.Process = culprits.Here; "
        "sys.exit(command.main(sys.argv[1:]))"
    )
    chosen = ["--variants", "tflite-int8", "onnx-int8", "onnx-dynamic-int8"]
    argv = [small.folder, "--output", tmp_path, "--calibration-count", "50", *chosen]
    other = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    assert run_in_child(program, *argv, PYTHONHASHSEED=other).returncode == 0
    first, second = files(small.folder), files(tmp_path)
    names = {f"{name}.{name.partition('-')[0]}" for name in chosen[1:]}
    assert {*second} == names | {bundle.MODEL, bundle.REFERENCE, bundle.GOLDEN, bundle.MANIFEST}
    for name in names | {bundle.REFERENCE}:
        assert first[name] == second[name], name
    made = json.loads(second[bundle.MANIFEST])["artifacts"]
    assert made == [entry(small, one["variant"]) for one in made]


def test_the_order_in_which_tf2onnx_lists_constants_does_not_show(small):
    raw = onnx.load(small.folder / "onnx-float32.onnx")
    other = onnx.ModelProto.FromString(raw.SerializeToString())
    other.graph.initializer.reverse()
    assert other != raw
    for model in (raw, other):
        rewrite.name_by_order(model.graph)
    assert other == raw


# Bad bundles.


def test_a_model_that_train_did_not_write_is_refused(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    with open(folder / bundle.MODEL, "r+b") as file:
        file.truncate(1000)
    assert command.main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert "is not the model that train.json describes" in error
    assert f"python -m mnist_edge.train --from {folder / bundle.TRAIN} --output ANOTHER" in error
    assert error.count("\n") == 1


def test_a_missing_bundle_is_one_line_and_status_2(tmp_path, capsys):
    assert command.main([str(tmp_path / "none")]) == 2
    assert (
        "none must be a bundle's folder or a .keras file. Got: nothing of this name"
        in capsys.readouterr().err
    )
