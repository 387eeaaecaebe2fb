import dataclasses
import os
import string
import subprocess
import sys

import numpy as np
import pytest

from mnist_edge import bundle, data, drawing, evaluation_plots, metrics, models, plots, schema
from mnist_edge.data.catalog import CATALOG
from mnist_edge.errors import InputError
from mnist_edge.models.trained import TrainedModel
from mnist_edge.training.train_record import TrainRecord

FASHION = CATALOG["fashionmnist"].labels
NAMES = {
    10: FASHION,
    62: tuple(string.digits + string.ascii_letters),
}
HISTORY = {
    "loss": [0.5, 0.3, 0.2],
    "val_loss": [0.4, 0.3, 0.3],
    "accuracy": [0.8, 0.9, 0.95],
    "val_accuracy": [0.85, 0.9, 0.9],
}


def made_up(classes, count=60):
    """Images, labels and probabilities, half of them wrong."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, count)
    probabilities = rng.dirichlet(np.full(classes, 0.1), count)
    probabilities[np.arange(count), y] += 0.3
    probabilities /= probabilities.sum(1, keepdims=True)
    return rng.integers(0, 256, (count, 28, 28, 1)), y, probabilities


def all_figures(classes):
    images, y, probabilities = made_up(classes)
    names = NAMES[classes]
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (y, probabilities.argmax(1)), 1)
    rows = metrics.reliability_bins(probabilities, y)
    return {
        "samples": plots.samples(images[:50], y[:50], names),
        "curves": plots.curves(HISTORY, 2),
        "predictions": plots.predictions(images[:24], y[:24], probabilities[:24], names),
        "confusion": evaluation_plots.confusion(matrix, names),
        "reliability": evaluation_plots.reliability(rows, 0.1),
        "mistakes": evaluation_plots.mistakes(images[:30], y[:30], probabilities[:30], names),
    }


def texts(figure):
    """Every text that a figure shows, with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    beyond = {label for axis in figure.axes for label in undrawn(axis.xaxis, axis.yaxis)}
    shown = (t for t in figure.findobj(Text) if t.get_visible() and t not in beyond)
    return [(t.get_text(), t.get_window_extent()) for t in shown if t.get_text().strip()]


def undrawn(*axes):
    """Labels of ticks that lie beyond an axis's limits, or on an axis that is off."""
    for axis in axes:
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if not axis.axes.axison or not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                yield from (tick.label1, tick.label2)


def crowded(figure):
    """Texts that leave the picture or touch another one."""
    width, height = figure.get_size_inches() * figure.dpi
    shown = texts(figure)
    found = [
        text
        for text, box in shown
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for index, (text, box) in enumerate(shown):
        for other, beside in shown[index + 1 :]:
            across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
            down = min(box.y1, beside.y1) - max(box.y0, beside.y0)
            # A box is as high as its font; a pixel or two of it are empty.
            if across > 1 and down > 3:
                found.append((text, other))
    return found


@pytest.mark.parametrize(
    "classes",
    [pytest.param(n, marks=[pytest.mark.long] if n < max(NAMES) else []) for n in sorted(NAMES)],
)
def test_names_and_numbers_stay_apart_and_within_the_picture(classes):
    for name, figure in all_figures(classes).items():
        assert crowded(figure) == [], name


def test_the_test_of_crowded_names_can_fail(monkeypatch):
    images, y, _ = made_up(10)
    monkeypatch.setattr(drawing, "names", lambda labels: [name * 3 for name in labels])
    assert crowded(plots.samples(images[:20], y[:20], FASHION))


def test_pictures_are_png_of_150_dots_an_inch(tmp_path):
    figures = {"curves": plots.curves(HISTORY)}
    drawing.save(tmp_path, figures)
    for name, figure in figures.items():
        content = (tmp_path / bundle.PLOTS / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = np.frombuffer(content[16:24], ">u4")
        assert [width, height] == pytest.approx(figure.get_size_inches() * 150, abs=1)


def test_curves_differ_by_more_than_color():
    for axis in plots.curves(HISTORY).axes:
        training, validation = axis.lines
        assert training.get_linestyle() != validation.get_linestyle()
        assert training.get_marker() != validation.get_marker()


def test_one_epoch_has_one_tick():
    figure = plots.curves({name: values[:1] for name, values in HISTORY.items()}, 1)
    shown = [text for text, _ in texts(figure)]
    assert shown.count("1") == 2
    assert "1.00" not in shown


def test_a_larger_share_is_darker_in_gray():
    figure = evaluation_plots.confusion(np.array([[90, 10], [1, 99]]), ("a", "b"))
    image = figure.axes[0].images[0]
    red, green, blue, _ = image.cmap(image.norm(np.linspace(0.001, 1, 50))).T
    lightness = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    assert (np.diff(lightness) < 0).all()


def test_a_true_class_without_images_leaves_its_row_white():
    figure = evaluation_plots.confusion(np.array([[0, 0], [1, 9]]), ("a", "b"))
    assert figure.axes[0].images[0].get_array().mask.tolist() == [[True, True], [False, False]]


def test_no_mistakes_are_said_in_a_picture():
    images, y, probabilities = made_up(10)
    figure = evaluation_plots.mistakes(images[:0], y[:0], probabilities[:0], FASHION)
    assert [text for text, _ in texts(figure)] == ["no mistakes"]


def test_a_name_may_be_long_and_hold_dollars():
    names = drawing.names(["a$b$c", "a name that is far too long"])
    assert names == [r"a\$b\$c", "a name …o long"]
    images, y, probabilities = made_up(2)
    figure = plots.predictions(images[:2], y[:2], probabilities[:2], ("$\\frac$", "b" * 99))
    assert len(texts(figure)) > 5


def test_training_writes_samples_curves_and_predictions(small_data, tmp_path):
    dataset = data.load(small_data)
    record = schema.read(TrainRecord, models.PRETRAINED / "edge" / bundle.TRAIN, "")
    record = dataclasses.replace(record, kept_epoch=2)
    trained = TrainedModel(models.build("classic"), record, HISTORY)
    plots.write_training_plots(tmp_path, trained, dataset)
    written = {path.name for path in (tmp_path / bundle.PLOTS).iterdir()}
    assert written == {"samples.png", "curves.png", "predictions.png"}


def test_drawing_needs_no_display_and_leaves_pyplot_alone(tmp_path):
    program = (
        "import sys; from pathlib import Path; from mnist_edge import drawing, plots\n"
        f"drawing.save(Path({str(tmp_path)!r}), {{'curves': plots.curves({HISTORY!r})}})\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"} | {"MPLBACKEND": "tkagg"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"


def test_without_matplotlib_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(drawing, "available", lambda: False)
    with pytest.raises(InputError, match=r"matplotlib is required.*'mnist-edge\[plots\]'"):
        plots.curves(HISTORY)
