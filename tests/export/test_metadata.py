import json
import zipfile

import pytest

from export.formats import FORMATS
from export.variants import VARIANTS
from mnist_edge import bundle


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda v: v.name)
def test_every_artifact_carries_its_metadata(small, variant):
    carried = FORMATS[variant.format].read_metadata(small.folder / variant.file)
    assert carried["variant"] == variant.name
    assert carried["model"] == "edge"
    assert carried["source_model_sha256"] == bundle.sha256_file(small.folder / bundle.MODEL)
    assert carried["input"] == {
        "name": "image",
        "shape": [28, 28, 1],
        "layout": "NHWC",
        "range": [0.0, 255.0],
    }
    assert carried["output"] == {"name": "probabilities", "labels": list("0123456789")}


def test_onnx_runtime_reads_the_metadata(small):
    import onnxruntime

    session = onnxruntime.InferenceSession(small.folder / "onnx-int8.onnx")
    carried = session.get_modelmeta().custom_metadata_map
    assert json.loads(carried["variant"]) == "onnx-int8"
    assert json.loads(carried["output"])["labels"][9] == "9"


def test_the_standard_library_reads_a_tflite_files_metadata(small):
    with zipfile.ZipFile(small.folder / "tflite-int8.tflite") as archive:
        assert json.loads(archive.read("metadata.json"))["variant"] == "tflite-int8"


def test_a_tflite_file_without_metadata_gives_none(tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(b"no archive")
    assert FORMATS["tflite"].read_metadata(path) == {}


def test_an_onnx_files_other_metadata_is_text(small, tmp_path):
    import onnx

    model = onnx.load(small.folder / "onnx-float32.onnx")
    onnx.helper.set_model_props(model, {"author": "somebody"})
    onnx.save(model, tmp_path / "x.onnx")
    assert FORMATS["onnx"].read_metadata(tmp_path / "x.onnx") == {"author": "somebody"}
