"""Real artifacts beside Keras: sound ones, one with a changed layer, and a sabotaged model's."""

import json

import numpy as np
import pytest

from benchmarks.layers import __main__ as command
from benchmarks.layers import compare, tflite_side
from export.formats import FORMATS
from export.tflite import optimize
from export.variants import VARIANTS
from mnist_edge import backend, bundle, data, manifest, schema
from mnist_edge.models import trained
from mnist_edge.safety.isolated import Allowance
from tests import tiny

# Few: layers are called one by one.
COUNT = 8
# One of each way to compute, per format; the others take as long again.
QUICK = ("tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8")
OTHERS = pytest.param(tuple(name for name in VARIANTS if name not in QUICK), marks=pytest.mark.long)


def loaded(small):
    backend.start_keras()
    return trained.load_model(small.folder / bundle.MODEL, "")


def of_kind(model, kind):
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def with_other_sign(small, folder):
    """The small bundle's float32 files, the weights of whose third convolution change their sign.

    Returns their paths.
    """
    import onnx
    from ai_edge_litert import schema_py_generated as tflite
    from onnx import numpy_helper

    model = tflite.ModelT.InitFromPackedBuf(
        (small.folder / "tflite-float32.tflite").read_bytes(), 0
    )
    (graph,) = model.subgraphs
    convolution = [each for each in graph.operators if len(each.inputs) == 3][2]
    buffer = model.buffers[graph.tensors[convolution.inputs[1]].buffer]
    buffer.data = (-buffer.data.view(np.float32)).view(np.uint8)
    builder = optimize._SharingBuilder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    (folder / "other-sign.tflite").write_bytes(bytes(builder.Output()))
    proto = onnx.load(small.folder / "onnx-float32.onnx")
    name = [node for node in proto.graph.node if node.op_type == "Conv"][2].input[1]
    (weights,) = (each for each in proto.graph.initializer if each.name == name)
    weights.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weights), name))
    onnx.save(proto, folder / "other-sign.onnx")
    return [folder / "other-sign.tflite", folder / "other-sign.onnx"]


@pytest.fixture(scope="module")
def reports(small, tmp_path_factory):
    """Artifacts of the small bundle, two with a changed layer and one that is none."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "none.tflite").write_bytes(b"not a model" * 100)
    files = [folder / "none.tflite", *with_other_sign(small, folder)]
    names = [*QUICK, *map(str, files)]
    return dict(zip(names, compare.compare_layers(small.folder, names, COUNT), strict=True)), files


def sabotaged(small):
    """The small bundle's model, half of the channels of one layer times 1,000; the next undoes it.

    Returns:
        `(model, names)`: the model, and the names of the layers that converters fuse to this one.
    """
    model = loaded(small)
    norm, after = of_kind(model, "BatchNormalization")[1], of_kind(model, "Conv2D")[2]
    factors = np.where(np.arange(norm.gamma.shape[0]) % 2, 1000.0, 1.0).astype(np.float32)
    gamma, beta, *rest = norm.get_weights()
    norm.set_weights([gamma * factors, beta * factors, *rest])
    kernel, *bias = after.get_weights()
    after.set_weights([kernel / factors[:, None], *bias])
    fused = [of_kind(model, kind)[1].name for kind in ("Conv2D", "BatchNormalization", "ReLU")]
    return model, fused


@pytest.fixture(scope="module", params=[QUICK, OTHERS])
def sabotage(small, request, tmp_path_factory):
    """The names of the sabotaged layer, and a report of each variant of the sabotaged model."""
    model, names = sabotaged(small)
    folder = small.copy(tmp_path_factory.mktemp("sabotage") / "bundle")
    (folder / bundle.TRAIN).unlink()  # as a model of somebody else's
    model.save(folder / bundle.MODEL)
    tiny.vouch(folder, "model")
    images = data.as_inputs(data.load(small.data).x_train[:50], (28, 28, 1))
    for format in FORMATS:
        prepared = FORMATS[format].prepare(model, None, folder)
        for variant in map(VARIANTS.get, request.param):
            if variant.format == format:
                content = FORMATS[format].convert(prepared, variant, images)
                (folder / variant.file).write_bytes(content)
    written = manifest.read(folder, "")
    entries = [
        {**schema.encode(one), **vars(manifest.file_record(folder / one.file))}
        for one in written.artifacts
        if one.variant in request.param
    ]
    document = {**schema.encode(written), "artifacts": entries}
    bundle.write_json(folder / bundle.MANIFEST, document)
    return names, {one.variant: one for one in compare.compare_layers(folder, (), COUNT)}


def is_sound(report, small):
    assert report.failure == ""
    assert report.fall is None
    assert [one.layer for one in report.layers if one.kind == "ReLU"]
    assert min(one.snr_db for one in report.layers) > {"float32": 100, "float16": 50}.get(
        report.precision, 20
    )
    # Every layer is matched, or computed with one that is.
    every = {layer.name for layer in loaded(small).layers} - {"image"}
    named = [name for one in report.layers for name in (*one.fused, one.layer)]
    assert len(named) == len(set(named))
    assert every - set(named) <= {"input_layer"}


@pytest.mark.parametrize("variant", QUICK)
def test_in_a_sound_artifact_every_layer_is_found_and_none_falls(reports, small, variant):
    is_sound(reports[0][variant], small)


@pytest.mark.parametrize("variants", [OTHERS])
def test_in_other_sound_artifacts_every_layer_is_found_and_none_falls(small, variants):
    for report in compare.compare_layers(small.folder, variants, COUNT):
        is_sound(report, small)


def test_operators_are_timed(reports):
    for name in QUICK:
        times = [one.time_us for one in reports[0][name].layers]
        assert sum(times) > 0
        assert min(times) >= 0


def test_a_tflite_operator_takes_what_the_graph_up_to_it_takes_longer(small, monkeypatch):
    from ai_edge_litert import schema_py_generated as tflite
    from ai_edge_litert.interpreter import Interpreter

    def seconds(content, inputs):  # 1, 3, 6, 10, ...
        count = len(tflite.ModelT.InitFromPackedBuf(content, 0).subgraphs[0].operators)
        Interpreter(model_content=content).allocate_tensors()
        return count * (count + 1) / 2

    monkeypatch.setattr(tflite_side, "_seconds_per_call", seconds)
    content = (small.folder / "tflite-int8.tflite").read_bytes()
    found = tflite_side._times(content, [0, 1, 1, 4], np.zeros(0))
    assert found == pytest.approx([1e6, 2e6, 0, (3 + 4 + 5) * 1e6])
    monkeypatch.setattr(tflite_side, "_MOST_SECONDS", 0)
    assert tflite_side._times(content, [0, 1], np.zeros(0)) is None


def test_a_changed_layer_is_named(reports, small):
    expected = of_kind(loaded(small), "Conv2D")[2].name
    by_name, (_, *files) = reports
    for path in files:
        report = by_name[str(path)]
        (fallen,) = (one for one in report.layers if one.layer == report.fall.layer)
        assert expected in (fallen.layer, *fallen.fused)


def test_a_file_that_is_no_model_is_one_failure(reports):
    by_name, (path, *_) = reports
    assert "\n" not in by_name[str(path)].failure != ""
    assert sum(bool(one.failure) for one in by_name.values()) == 1


def test_channels_scaled_by_1000_are_located_wherever_it_shows(sabotage):
    names, by_variant = sabotage
    for variant, report in by_variant.items():
        shows = report.layers[-1].snr_db < 20
        assert shows == ("float" not in variant)
        assert report.fall.layer in names if shows else report.fall is None


def test_a_process_that_takes_too_much_is_ended(small):
    with pytest.raises(Exception, match="must run"):
        compare.compare_layers(small.folder, ["onnx-int8"], 1, Allowance(memory_limit_mb=5))


# The command.


def test_the_command_writes_a_page_per_artifact(small, reports, tmp_path, monkeypatch, capsys):
    by_name, (none, *_) = reports
    folder = small.copy(tmp_path / "bundle")
    chosen = [by_name[name] for name in ("tflite-int8", "onnx-int8", str(none))]
    monkeypatch.setattr(
        compare, "compare", lambda *arguments: (compare.Drawn(one, {}) for one in chosen)
    )
    assert command.main([str(folder), "--json"]) == 1  # one failed
    printed = capsys.readouterr().out
    assert printed.count("no layer falls") == 2
    assert "none FAILED: " in printed
    assert len(json.loads(printed.splitlines()[-1])) == 3
    assert {path.name for path in folder.glob("*.html")} == {
        "layers-tflite-int8.html",
        "layers-onnx-int8.html",
    }


def test_an_unknown_variant_is_one_line(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")  # the command locks it, and other tests use it too
    assert command.main([str(folder), "--variant", "tflite-int9"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.endswith("Got: tflite-int9. Did you mean tflite-int8?\n")
    assert not list(folder.glob("*.html"))


def test_a_folder_that_is_no_bundle_is_one_line(tmp_path, capsys):
    assert command.main([str(tmp_path / "missing")]) == 2
    assert "manifest.json is required and does not exist" in capsys.readouterr().err
    assert not (tmp_path / "missing").exists()
