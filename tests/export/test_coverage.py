"""Every kind of model, in every variant that docs/coverage.md says it can have."""

from pathlib import Path

import keras
import pytest

from export import pipeline
from export.coverage import __main__ as command
from export.coverage import page, process, rows, samples, training
from export.coverage.kinds import APPLICATIONS, KINDS
from export.coverage.rows import Cell, Row, Rows
from export.variants import VARIANTS
from mnist_edge import data, schema
from mnist_edge.manifest import Failure, FallbackAttempt, FallbackRecord, Manifest
from tests.safety import culprits

DOCS = Path(__file__).parent.parent.parent / "docs"
RECORD = schema.read(Rows, DOCS / "coverage.json", "").rows
# Kinds in one model: an export costs seconds whatever its size, and names the layer that fails.
TOGETHER = 18
# One in so many steps of a sequence: loops are unrolled, step by step, to be calibrated.
STRIDES = {samples.rows: 5, samples.tokens: 10}
# Two steps are too few for a convolution over them.
LONGER = {"conv1d": 3, "shapes-1d": 3}


def ok_variants(name):
    """The variants that a kind can have as named, without a fallback, by the record."""
    cells = RECORD[name].cells.items()
    ok = {variant for variant, cell in cells if cell.made == variant and not cell.reason}
    return tuple(variant for variant in VARIANTS if variant in ok)


def groups():
    """Kinds of the same data and the same variants, at most `TOGETHER` of them."""
    alike = {}
    for name in RECORD.keys() & KINDS.keys():
        alike.setdefault((KINDS[name].data, ok_variants(name)), []).append(name)
    ordered = sorted(sorted(names) for names in alike.values())
    return [names[i : i + TOGETHER] for names in ordered for i in range(0, len(names), TOGETHER)]


def part_of(names):
    """Half of the examples that the kinds learn; of sequences, one in so many steps."""
    load = KINDS[names[0]].data
    dataset = load()
    step = min(LONGER.get(name, STRIDES.get(load, 1)) for name in names)
    x_train, x_test = (x[:, ::step] for x in (dataset.x_train[::2], dataset.x_test))
    return data.Dataset(x_train, dataset.y_train[::2], x_test, dataset.y_test)


def joined(names):
    """One classifier from the models of several kinds, without their last layers."""
    dataset = part_of(names)
    models = [KINDS[name].build(dataset) for name in names]
    if len(models) == 1:
        return models[0], dataset
    image = keras.Input(models[0].inputs[0].shape[1:], name="image")
    parts = [
        keras.Model(model.inputs, model.layers[-1].input, name=f"part_{i}")(image)
        for i, model in enumerate(models)
    ]
    x = keras.layers.Concatenate()(parts)
    return keras.Model(image, keras.layers.Dense(dataset.classes, "softmax")(x)), dataset


def test_the_page_is_that_of_its_record():
    assert (DOCS / "coverage.md").read_text() == page.page(RECORD)
    assert set(KINDS) <= set(RECORD) <= set(rows.ALL)


@pytest.mark.parametrize("names", groups(), ids="+".join)
def test_each_kind_of_layer_passes_in_the_variants_that_the_page_says(names, tmp_path):
    keras.utils.set_random_seed(0)
    model, dataset = joined(names)
    training.train(model, dataset, epochs=0)
    variants = ok_variants(names[0])
    options = {"variants": variants, "calibration_count": 50, "fallback": False}
    exported = pipeline.export_model(model, dataset, tmp_path / "bundle", **options)
    assert [artifact.name for artifact in exported] == list(variants)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in APPLICATIONS if name in RECORD])
def test_each_application_passes_in_the_variants_that_the_page_says(name):
    variants = ok_variants(name)
    made = rows.make(name, 0, {"fallback": False, "variants": variants})
    assert {variant: cell.made for variant, cell in made.cells.items()} == dict(
        zip(variants, variants, strict=True)
    )


# The table itself.


def row(**cells):
    named = {name.replace("_", "-"): cell for name, cell in cells.items()}
    return Row(10, 0.9, 1.0, 2_000_000, named, "", {"keras": "3"})


def test_what_failed_or_was_replaced_has_its_reason_once_below_the_table():
    unfit = Cell("", "no operator | for <it>. Replace the layer, or select others")
    mixed = Cell("tflite-int8-mixed", "the worst layer in float32", 2000)
    text = page.page(
        {
            "dense": row(tflite_float32=Cell("tflite-float32"), tflite_int8=mixed),
            "conv": row(tflite_float32=unfit, tflite_int8=unfit),
        }
    )
    lines = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert lines["dense"].count("| ok |") == 1
    assert "| mixed[^1] |" in lines["dense"]
    assert lines["conv"].count("| no[^2] |") == 2
    assert text.count("no operator / for &lt;it>\n") == 1
    assert "1 ok, 1 by fallback" in text


def test_a_fallback_and_a_failure_are_cells_with_their_reasons(small):
    attempts = (
        FallbackAttempt("more calibration", "tflite-int8", 0.5, False, ""),
        FallbackAttempt("one layer", "onnx-float32", 1.0, True, "in float32: a"),
    )
    artifact = pipeline.CheckedArtifact(
        **{"path": small.folder, "golden": None, "content": b"", "agreement": 1.0},
        **{"breaches": (), "remarks": (), "seconds": 1.0},
        entry=schema.read(Manifest, small.folder / "manifest.json", "").artifacts[5],
    )
    exported = pipeline.Exported(
        (artifact,),
        (Failure("tflite-float16", "crash", ("died",)),),
        (FallbackRecord("tflite-int8", "onnx-float32", attempts),),
    )
    found = rows.cells(exported)
    assert found["onnx-float32"].made == "onnx-float32"
    assert found["tflite-int8"].reason == "one layer (in float32: a)"
    assert found["tflite-float16"] == Cell("", "died")


def test_a_row_whose_process_dies_is_told_and_the_others_are_made_and_kept(
    tmp_path, monkeypatch, capsys
):
    output = tmp_path / "page.md"
    made = row(tflite_float32=Cell("tflite-float32"))
    schema.write(output.with_suffix(".json"), Rows(rows={"conv": made}))
    monkeypatch.setattr(rows, "make", culprits.leave)
    argv = ["--output", str(output), "--only"]
    assert command.main([*argv, "dense"]) == 1
    assert "dense: its process ended" in capsys.readouterr().out
    monkeypatch.setattr(process, "make", lambda name, seed, options: made)
    assert command.main([*argv, "gru"]) == 0
    assert set(schema.read(Rows, output.with_suffix(".json"), "").rows) == {"conv", "gru"}
    assert "| `gru` |" in output.read_text()


def test_rows_of_the_same_versions_are_not_made_again(tmp_path, monkeypatch, capsys):
    def make(name, seed, options):
        return row(tflite_float32=Cell("tflite-float32"))

    monkeypatch.setattr(process, "make", make)
    monkeypatch.setattr(rows, "versions", lambda: {"keras": "3"})
    argv = ["--output", str(tmp_path / "page.md")]
    assert [command.main(argv), len(capsys.readouterr().out.splitlines())] == [0, len(KINDS)]
    assert [command.main(argv), capsys.readouterr().out] == [0, ""]
    monkeypatch.setattr(rows, "versions", lambda: {"keras": "4"})
    assert [command.main(argv), len(capsys.readouterr().out.splitlines())] == [0, len(KINDS)]
