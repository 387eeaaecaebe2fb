"""The packaged networks: the same bytes as the reference kernels on all 10,000 test images."""

import numpy as np
import pytest

from export import pipeline
from export.settings import ExportSettings
from mnist_edge import data
from mnist_edge.models import zoo
from tests.export.c import compiled
from tests.export.c.test_sanitizers import WELL

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("converted_here")]


@pytest.mark.parametrize("name", ["nano", "edge", "accurate"])
def test_no_image_differs_and_the_sanitizers_see_nothing(name, tmp_path):
    settings = ExportSettings(
        source=zoo.PRETRAINED / name, output=tmp_path / "bundle", variants=("tflite-int8", "c-int8")
    )
    pipeline.export(settings, report=lambda line: None)
    content = (settings.folder / "tflite-int8.tflite").read_bytes()
    text = (settings.folder / "c-int8.c").read_text()
    images = data.load().x_test[:, None, ..., None]
    loaded = compiled.library({name: text}, tmp_path, ("-O3", "-march=native"))
    found = compiled.computed(loaded, name, content, images)
    assert np.count_nonzero((found != compiled.expected(content, images)).any((1, 2))) == 0
    nets = {name: (text, compiled.program(content))}
    done = compiled.run_sanitized(nets, tmp_path, len(images), images=images.tobytes())
    assert done == WELL, done[2][:3000]
