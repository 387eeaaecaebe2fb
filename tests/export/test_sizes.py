"""A file's size breakdown adds up."""

import keras
import numpy as np
import pytest

from export import audit
from export.variants import VARIANTS
from mnist_edge import bundle


@pytest.fixture(scope="module")
def kernels(small):
    """Shapes of the small model's kernels, output channels last."""
    model = keras.saving.load_model(small.folder / bundle.MODEL)
    return [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")]


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda v: v.name)
def test_shares_add_up_to_the_size_and_stand_in_the_manifest(small, variant):
    content = (small.folder / variant.file).read_bytes()
    shares = audit.size_breakdown(content, variant.format)
    assert sum(shares.values()) == len(content)
    assert min(shares["weights"], shares["metadata"], shares["structure"]) > 0
    (entry,) = (e for e in small.manifest["artifacts"] if e["variant"] == variant.name)
    assert entry["size_breakdown"] == shares


@pytest.mark.parametrize("name", ["tflite-float32", "onnx-float32"])
def test_the_weights_of_a_float32_file_are_four_bytes_each(small, kernels, name):
    shares = audit.size_breakdown(
        (small.folder / VARIANTS[name].file).read_bytes(), name.split("-")[0]
    )
    # With the normalization folded: each kernel, and a bias per channel.
    parameters = sum(np.prod(shape) + shape[-1] for shape in kernels)
    assert 4 * parameters <= shares["weights"] <= 4 * parameters + 200  # and a shape or two
    assert shares["quantization"] == 0


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8"])
def test_scales_and_zero_points_count_as_quantization(small, kernels, name):
    variant = VARIANTS[name]
    shares = audit.size_breakdown((small.folder / variant.file).read_bytes(), variant.format)
    assert shares["quantization"] > 4 * sum(shape[-1] for shape in kernels)


def test_a_tflite_file_without_metadata_spends_nothing_on_it(small):
    content = (small.folder / "tflite-int8.tflite").read_bytes()
    carried = audit.size_breakdown(content, "tflite")["metadata"]
    plain = content[:-carried]
    assert audit.size_breakdown(plain, "tflite")["metadata"] == 0
