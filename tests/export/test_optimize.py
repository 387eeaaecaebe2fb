"""A TFLite file written again is smaller, and computes what it did, bit for bit."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export import artifact
from export.pipeline import GateError, export
from export.settings import ExportSettings
from export.tflite import convert as tflite_convert
from export.tflite import optimize
from export.variants import VARIANTS
from mnist_edge import bundle, cli, data

TFLITE = [v for v in VARIANTS.values() if v.format == "tflite"]


@pytest.fixture(scope="module")
def converted(small, tmp_path_factory):
    """The small bundle's model in int8, as the converter gives it."""
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    images = data.as_inputs(np.load(small.data)["x_train"][:20], (28, 28, 1))
    with cli.native_logs_held():
        prepared = tflite_convert.prepare(model, None, tmp_path_factory.mktemp("raw"))
        return tflite_convert.convert(prepared, VARIANTS["tflite-int8"], images)


def unpacked(content):
    return schema.ModelT.InitFromPackedBuf(content, 0)


def outputs(content):
    """What a file in uint8 computes of ten images of noise, and the operators in its plan."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    results = []
    for image in np.random.default_rng(0).integers(0, 256, (10, *given["shape"]), np.uint8):
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        results.append(interpreter.get_tensor(taken["index"]))
    plan = [details["op_name"] for details in interpreter._get_ops_details()]
    return np.concatenate(results), plan


def test_it_is_a_sixth_smaller_and_computes_the_same_by_the_same_plan(converted):
    leaner = optimize.rewrite(converted)
    assert len(leaner) < 5 / 6 * len(converted)
    (before, plan), (after, same_plan) = outputs(converted), outputs(leaner)
    assert len(np.unique(before, axis=0)) > 1  # the images tell one output from another
    np.testing.assert_array_equal(after, before)
    assert same_plan == plan


def test_the_same_content_gives_the_same_bytes_and_nothing_is_left_to_save(converted):
    leaner = optimize.rewrite(converted)
    assert optimize.rewrite(converted) == leaner
    assert optimize.rewrite(leaner) == leaner


@pytest.mark.parametrize("variant", TFLITE, ids=lambda v: v.name)
def test_users_know_input_output_and_signature_by_the_projects_names(small, variant):
    interpreter = Interpreter(str(small.folder / variant.file))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}
    }
    assert interpreter.get_input_details()[0]["name"] == "image"
    assert interpreter.get_output_details()[0]["name"] == "probabilities"
    image = np.zeros((1, 28, 28, 1), variant.io)
    assert interpreter.get_signature_runner()(image=image)["probabilities"].shape == (1, 10)


@pytest.mark.parametrize("variant", TFLITE, ids=lambda v: v.name)
def test_weights_lie_where_vector_instructions_can_load_them(small, variant):
    content = (small.folder / variant.file).read_bytes()
    stored = [buffer.data for buffer in unpacked(content).buffers if buffer.data is not None]
    places = [content.index(data.tobytes()) for data in stored if len(data) > 64]
    assert len(places) > 5
    assert all(place % 16 == 0 for place in places)


def test_no_name_is_left_but_the_projects(small):
    for variant in TFLITE:
        model = unpacked((small.folder / variant.file).read_bytes())
        named = {t.name for graph in model.subgraphs for t in graph.tensors}
        assert named == {b"image", b"probabilities", None}


def test_notes_that_a_runtime_reads_stay(converted):
    model = unpacked(converted)
    assert {note.name for note in model.metadata} == optimize._NOTES
    note, model.buffers[0] = model.metadata[0], schema.BufferT()
    note.name = b"model_control_dependencies"
    text = model.buffers[note.buffer].data.tobytes()
    builder = optimize._SharingBuilder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    again = unpacked(optimize.rewrite(bytes(builder.Output())))
    (kept,) = again.metadata
    assert kept.name == b"model_control_dependencies"
    assert again.buffers[kept.buffer].data.tobytes() == text


def test_a_changed_bit_is_found():
    before = np.zeros((5, 10), np.float32)
    after = before.copy()
    assert artifact.changes(before, after) == []
    after[3, 7] = -0.0
    (line,) = artifact.changes(before, after)
    assert line == "gives different outputs than the converter's file on 1 of 5 validation images"


def test_an_export_whose_rewriting_changes_a_weight_is_refused(
    small, tmp_path, converted_once, patch_format
):
    def spoil(content):
        stored = [b.data for b in unpacked(content).buffers if b.data is not None]
        largest = max(stored, key=len).tobytes()
        return content.replace(largest, largest[:-4] + b"\0\0\0@")

    patch_format("tflite", finish=spoil)
    folder = small.copy(tmp_path / "bundle")
    with pytest.raises(GateError) as caught:
        export(ExportSettings(source=folder, variants=("tflite-float32",), calibration_count=50))
    assert "tflite-float32 gives different outputs than the converter's file" in str(caught.value)
