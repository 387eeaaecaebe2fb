"""Exports that choose as the model does and tell something else: export and benchmarks see it."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from benchmarks.run import benchmark
from export import artifact, source
from export.settings import ExportSettings
from export.variants import VARIANTS
from mnist_edge import bundle, data, gate, runtimes, schema
from tests.conftest import QUICK


def _with(content, operator, value, keeps_softmax=True):
    """An ONNX file whose logits are changed by an operator first, or instead of softmax."""
    model = onnx.load_from_string(content)
    graph = model.graph
    (softmax,) = [node for node in graph.node if node.op_type == "Softmax"]
    graph.initializer.append(numpy_helper.from_array(np.float32(value), "cheat"))
    place = list(graph.node).index(softmax)
    taken = softmax.output[0]
    changed = helper.make_node(operator, [softmax.input[0], "cheat"], ["changed"])
    if keeps_softmax:
        softmax.input[0] = "changed"
    else:
        changed.output[0] = taken
        graph.node.remove(softmax)
    graph.node.insert(place, changed)
    return model.SerializeToString()


CHEATS = {
    "softmax removed": lambda content: _with(content, "Add", 0, keeps_softmax=False),
    "1,000 subtracted": lambda content: _with(content, "Sub", 1000, keeps_softmax=False),
    "temperature 1,000": lambda content: _with(content, "Div", 1000),
    "one-hot": lambda content: _with(content, "Mul", 1e6),
}
# What is said of each, of the first breach that is not of the choices.
SAID = {"onnx-float32": "differs from the reference by", "onnx-int8": "diverges from"}


@pytest.fixture(scope="module")
def maker(small, tmp_path_factory):
    opened = source.open_bundle(small.folder)
    settings = ExportSettings(source=small.folder, calibration_count=50)
    golden = data.as_inputs(opened.dataset.x_test[:10], opened.shape)
    chosen = artifact.choose(opened, settings, settings.calibration_count)
    task = artifact.describe(opened, settings, chosen, golden)
    return artifact.Maker(opened.model, task, tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize("variant", SAID)
@pytest.mark.parametrize("cheat", CHEATS)
def test_export_catches_a_cheat(small, maker, patch_format, cheat, variant):
    honest = (small.folder / f"{variant}.onnx").read_bytes()
    patch_format("onnx", convert=lambda *_: CHEATS[cheat](honest))
    made = maker.make(VARIANTS[variant])
    found = "\n".join(made.breaches)
    assert SAID[variant] in found or "outputs are not probabilities" in found
    patch_format("onnx", convert=lambda *_: honest)
    assert maker.make(VARIANTS[variant]).breaches == ()


def test_benchmarks_catch_every_cheat_and_pass_the_honest_files(small, tmp_path, without_keras):
    folder = small.copy(tmp_path / "bundle")
    manifest = json.loads((folder / bundle.MANIFEST).read_text())
    entries = {entry["variant"]: entry for entry in manifest["artifacts"]}
    listed = [entries[variant] for variant in SAID]
    for variant in SAID:
        honest = (folder / f"{variant}.onnx").read_bytes()
        for i, cheat in enumerate(CHEATS.values()):
            path = folder / f"{variant}-{i}.onnx"
            path.write_bytes(cheat(honest))
            told = {"variant": path.stem, "file": path.name, "sha256": bundle.sha256_file(path)}
            listed.append(entries[variant] | told | {"size_bytes": path.stat().st_size})
    bundle.write_json(folder / bundle.MANIFEST, manifest | {"artifacts": listed})
    report = benchmark(folder, **QUICK)
    statuses = {row.variant: row.status for row in report.measurements[1:]}
    assert statuses == {
        name: "passed" if name in SAID else "breached" for name in (e["variant"] for e in listed)
    }
    advice = report.recommendation
    assert {*advice.pareto, advice.ship} <= set(SAID)
    json.dumps(schema.encode(report), allow_nan=False)


@pytest.mark.long
@pytest.mark.parametrize("name", ["nano", "edge", "accurate"])
def test_correct_exports_of_the_zoo_pass_and_their_one_hot_answers_do_not(name, tmp_path):
    from mnist_edge import models

    opened = source.open_bundle(models.PRETRAINED / name)
    images = data.as_inputs(opened.dataset.x_test[:2000], opened.shape)
    labels, reference = opened.dataset.y_test[:2000], opened.predict(images)
    settings = ExportSettings(source=models.PRETRAINED / name, output=tmp_path)
    chosen = artifact.choose(opened, settings, settings.calibration_count)
    task = artifact.describe(opened, settings, chosen, images[:10])
    made_by = artifact.Maker(opened.model, task, tmp_path)
    for variant in VARIANTS.values():
        if (name, variant.precision) == ("accurate", "int16x8"):
            continue  # 10 ms per image
        made = made_by.make(variant)
        assert (made.breaches, made.remarks) == ((), ()), variant.name
        path = tmp_path / variant.file
        path.write_bytes(made.content)
        answers = runtimes.open_artifact(path).predict(images)
        is_float32 = variant.precision == "float32"
        bare = np.eye(10, dtype=np.float32)[answers.argmax(1)]
        for given, breached in ((answers, False), (bare, True)):
            found = gate.check(given, reference, labels, is_float32, gate.Thresholds())
            assert bool(found.breaches) is breached, variant.name
