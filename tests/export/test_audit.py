"""Each file is what its name says; and each way in which one is not is found."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest

from benchmarks import overhead
from export import audit, graph
from export.variants import KNOWN, VARIANTS
from mnist_edge import cli
from mnist_edge.errors import InputError


def findings(path, variant):
    return audit.findings(audit.read(path), KNOWN[variant])


@pytest.fixture(scope="module")
def flex(tmp_path_factory):
    """A TFLite file with an operator of TensorFlow's own."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def with_flex(image):
        return {"probabilities": tf.math.erf(image)}

    module = tf.Module()
    module.call = with_flex
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [with_flex.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    path = tmp_path_factory.mktemp("flex") / "flex.tflite"
    with cli.native_logs_held():
        path.write_bytes(converter.convert())
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_artifact_passes_its_own_audit(small, variant):
    assert findings(small.folder / VARIANTS[variant].file, variant) == []


def test_no_artifact_passes_for_another_variant(small):
    passed = [
        (name, other)
        for name, variant in VARIANTS.items()
        for other in VARIANTS
        if findings(small.folder / variant.file, other) == []
    ]
    assert passed == [(name, name) for name in VARIANTS]


def test_int8_with_a_float_operator_is_found(small):
    found = findings(small.folder / "tflite-int16x8.tflite", "tflite-int8")
    assert "has float32 input and float32 output, expected uint8" in found
    found = findings(small.folder / "tflite-dynamic-int8.tflite", "tflite-int8")
    assert any(line.startswith("operator CONV_2D") and "float32" in line for line in found)


def test_onnx_int8_without_qdq_is_found(small):
    found = findings(small.folder / "onnx-float32.onnx", "onnx-int8")
    assert any(line.startswith("Conv ") and "has no QDQ" in line for line in found)


def test_float16_that_holds_float32_weights_is_found(small):
    found = findings(small.folder / "tflite-float32.tflite", "tflite-float16")
    assert any("is float32, expected float16" in line for line in found)


def test_a_flex_operator_is_found(flex):
    found = findings(flex, "tflite-float32")
    assert found == ["operator FlexErf is outside the format's builtin set"]


def test_a_free_batchs_remnants_are_found(small, tmp_path):
    import tensorflow as tf

    model = keras.saving.load_model(small.folder / "model.keras")
    signature = [keras.InputSpec(shape=(None, 28, 28, 1), dtype="float32", name="image")]
    with cli.native_logs_held():
        model.export(tmp_path / "m", "tf_saved_model", verbose=False, input_signature=signature)
        content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m")).convert()
    (tmp_path / "free.tflite").write_bytes(content)
    found = findings(tmp_path / "free.tflite", "tflite-float32")
    assert "operator SHAPE should have been folded away" in found


def test_a_mixed_file_is_told_from_a_whole_one(small):
    (found,) = findings(small.folder / "onnx-int8.onnx", "onnx-int8-mixed")
    assert found == "is a mixed variant but has no layer in float32"
    found = findings(small.folder / "onnx-float32.onnx", "onnx-int8-mixed")
    assert found == ["is a mixed variant but has no layer in integers"]


def test_what_a_dynamic_file_adds_and_multiplies_by_stays_in_float32(small):
    read = audit.read(small.folder / "tflite-float32.tflite")
    convolution = next(one for one in read.operators if one.kind == "CONV_2D")
    large = dataclasses.replace(convolution.weights[0], size=5000, rank=4, dtype="float32")
    for kind, is_found in (("MUL", False), ("CONV_2D", True)):
        operator = dataclasses.replace(convolution, kind=kind, weights=(large,))
        changed = dataclasses.replace(read, operators=(operator,), constants=())
        found = audit.findings(changed, KNOWN["tflite-dynamic-int8"])
        assert any("has weights" in finding for finding in found) == is_found


def test_a_dynamic_file_whose_weights_stayed_float_is_found(small):
    found = findings(small.folder / "tflite-float32.tflite", "tflite-dynamic-int8")
    assert any("expected int8" in line for line in found)
    found = findings(small.folder / "onnx-float32.onnx", "onnx-dynamic-int8")
    assert any("expected int8" in line for line in found)


def test_an_onnx_file_of_another_domain_is_found(small, tmp_path):
    model = onnx.load(small.folder / "onnx-float32.onnx")
    model.graph.node[-1].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, tmp_path / "x.onnx")
    found = findings(tmp_path / "x.onnx", "onnx-float32")
    assert "operator Softmax is outside the format's builtin set" in found


@pytest.mark.parametrize("name", ["x.tflite", "x.onnx", "x.txt", "missing.onnx"])
def test_what_is_no_model_is_one_line(tmp_path, name):
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"\x1c\x00\x00\x00TFL3 and then nothing of the kind")
    with pytest.raises(InputError) as caught:
        audit.read(tmp_path / name)
    assert "must be a" in str(caught.value)


def test_a_truncated_file_is_one_line(small, tmp_path, capsys):
    whole = (small.folder / "tflite-int8.tflite").read_bytes()
    (tmp_path / "tflite-int8.tflite").write_bytes(whole[:5000])
    assert audit.main([str(tmp_path / "tflite-int8.tflite")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "must be a valid .tflite file" in error


def test_command_describes_and_checks(small, tmp_path, capsys):
    assert audit.main([str(small.folder / v.file) for v in VARIANTS.values()]) == 0
    printed = capsys.readouterr().out
    assert "uint8 in, uint8 out" in printed
    assert '"source_model_sha256"' in printed

    wrong = tmp_path / "tflite-int8.tflite"
    content = (small.folder / "tflite-float32.tflite").read_bytes()
    end = content.index(b"PK\x03\x04")
    wrong.write_bytes(content[:end])  # without metadata the name tells
    assert audit.main([str(wrong)]) == 1
    assert "NOT tflite-int8: has float32 input" in capsys.readouterr().out


def test_a_file_of_no_variant_is_described_and_not_checked(flex, capsys):
    assert audit.main([str(flex)]) == 0
    printed = capsys.readouterr().out
    assert "operators outside the builtin set: FlexErf" in printed
    assert "is not a known variant: not checked" in printed


def test_shares_add_up(small):
    read = audit.read(small.folder / "tflite-dynamic-int8.tflite")
    operators = audit.record(read).operators
    assert sum(operators.values()) == len(read.operators)
    assert operators["float32 x int8"] >= 5


def test_precision_of_a_layer():
    weights = graph.Constant("w", "int8", 1000, 4)
    bias = graph.Constant("b", "int32", 10, 1)

    def precision(activations, constants, dequantized=False):
        return graph.Operator("o", "CONV_2D", True, activations, constants, dequantized).precision

    assert precision(("float32",), ()) == "float32"
    assert precision(("float32",), (weights, bias)) == "float32 x int8"
    assert precision(("int8",), (weights, bias)) == "int8"
    assert precision(("float32",), (weights,), dequantized=True) == "QDQ int8"
    assert precision(("int32",), (bias,)) == "index"


def test_the_audit_reads_what_the_converter_wrote_without_running_it(small):
    read = audit.read(small.folder / "tflite-int8.tflite")
    assert (read.io, read.batch) == (("uint8", "uint8"), 1)
    weights = {c.name: c.size for o in read.operators for c in o.weights if c.rank == 4}
    assert sum(weights.values()) == sum(
        np.prod(layer.kernel.shape)
        for layer in keras.saving.load_model(small.folder / "model.keras").layers
        if isinstance(layer, keras.layers.Conv2D)
    )


def test_the_module_runs_as_a_command(tmp_path):
    path = overhead.GRAPHS["onnx"]
    command = [sys.executable, "-m", "export.audit", path, tmp_path / "no.tflite"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert str(path) in ran.stdout
    assert "Got: nothing of this name." in ran.stderr
