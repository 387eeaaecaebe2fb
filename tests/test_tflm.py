"""TFLite Micro: the table of its operators, its arena, and what it refuses."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from export import tflm as export_tflm
from export.graph import Graph, Operator
from mnist_edge import manifest, runtimes
from mnist_edge.runtimes import tflm
from mnist_edge.safety import isolated


def of_two(kind, second="RNN"):
    """A TFLite file of two operators, float32 `[1, 4]` in and out."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    whole, graph = schema.ModelT(), schema.SubGraphT()
    whole.operatorCodes, graph.operators, graph.tensors = [], [], []
    for i, name in enumerate((kind, second)):
        number = getattr(schema.BuiltinOperator, name)
        code, node, tensor = schema.OperatorCodeT(), schema.OperatorT(), schema.TensorT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        node.opcodeIndex, node.inputs, node.outputs = i, [0], [1]
        tensor.shape, tensor.buffer, tensor.name = [1, 4], 0, str(i)
        whole.operatorCodes.append(code)
        graph.operators.append(node)
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs = [0], [1]
    whole.version, whole.subgraphs, whole.buffers = 3, [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(0)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# A custom operator has a name, a variable has options, and the third is none.
NOT_ASKED = ("CUSTOM", "VAR_HANDLE", "PLACEHOLDER_FOR_GREATER_OP_CODES")


def known_operators(state, folder):
    """Asks the wheel for each builtin operator of TFLite's schema; it has no RNN."""
    from ai_edge_litert import schema_py_generated as schema

    path, found = Path(folder) / "two.tflite", []
    for kind in vars(schema.BuiltinOperator):
        if kind not in NOT_ASKED and not kind.startswith("_"):
            path.write_bytes(of_two(kind))
            try:
                tflm.open_file(path)
            except RuntimeError as error:
                if kind != "RNN" and "opcode 'RNN'" in str(error):
                    found.append(kind)
    return found


def test_the_table_of_operators_is_the_wheels(tmp_path):
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    with isolated.Process({"known": known_operators}) as process:
        assert set(process.ask("known", str(tmp_path))) == tflm.OPERATORS - {*NOT_ASKED}


def test_the_resolvers_lines_are_its_methods():
    kinds = ["CONV_2D", "PADV2", "SPACE_TO_BATCH_ND", "RELU6", "GELU"]
    assert tflm.resolver(kinds) == (
        "resolver.AddConv2D();",
        "resolver.AddPadV2();",
        "resolver.AddRelu6();",
        "resolver.AddSpaceToBatchNd();",
    )


def test_an_operator_that_it_lacks_is_named():
    nodes = tuple(Operator("y", kind, True, ("float32",), ()) for kind in ("ABS", "GELU"))
    graph = Graph("tflite", 3, 1, ("float32", "float32"), nodes, (), {})
    found = export_tflm.describe(graph)
    assert found == manifest.TflmRecord(("resolver.AddAbs();",), lacking=("GELU",))


def test_other_formats_say_nothing_of_it():
    assert export_tflm.describe(Graph("onnx", 18, None, ("float32",) * 2, (), (), {})) is None


def entry(small, variant):
    written = manifest.read(small.folder, "")
    return next(one for one in written.artifacts if one.variant == variant)


def test_without_the_wheel_the_manifest_leaves_it_open(small, monkeypatch):
    monkeypatch.setattr(runtimes, "is_installed", lambda path, kernels="": not kernels)
    old = entry(small, "tflite-int8")
    assert old.tflm.resolver
    unknown = manifest.TflmRecord(old.tflm.resolver)
    old = dataclasses.replace(old, tflm=unknown)
    assert export_tflm.measured([old], small.folder) == [old]


def test_the_manifest_says_what_it_runs_and_in_which_arena(small):
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    runs = {"tflite-int8": True, "tflite-float16": False, "tflite-float32": True}
    made = export_tflm.measured([entry(small, variant) for variant in runs], small.folder)
    for one in made:
        found = one.tflm
        assert found.runs is runs[one.variant]
        assert (found.arena_bytes is not None) == found.runs
        assert ("DEQUANTIZE" in found.refusal) == (not found.runs)


def test_the_reported_arena_is_the_smallest_but_for_alignment(small):
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    path = small.folder / "tflite-int8.tflite"
    with isolated.Process({"fits": fits}) as process:
        _, reported = tflm.open_file(path)
        # The arena starts at a multiple of 16 bytes, wherever its memory does.
        assert process.ask("fits", str(path), reported)
        assert not process.ask("fits", str(path), reported - 16)


def fits(state, path, arena_bytes):
    from tflite_micro import runtime

    try:
        opened = runtime.Interpreter.from_file(path, arena_size=arena_bytes)
        tflm.call_on_zeros(opened, 1)
    except RuntimeError:
        return False
    return True


def test_it_computes_what_the_reference_kernels_compute(small):
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1)).astype(np.float32)
    path = small.folder / "tflite-int8.tflite"
    found, expected = (
        runtimes.open_artifact(path, kernels=kernels).predict(images)
        for kernels in ("tflm", "reference")
    )
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
