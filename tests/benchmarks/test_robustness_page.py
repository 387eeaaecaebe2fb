import dataclasses
import tomllib
import types

import numpy as np
import pytest

from benchmarks import card, robustness
from benchmarks.corruptions import DISTORTIONS, MNIST_C, negatives, page
from benchmarks.corruptions.__main__ import main
from benchmarks.measurement import Robustness
from benchmarks.tables import MEAN, by_distortion
from mnist_edge import cli, schema
from tests.benchmarks import made


@pytest.fixture
def row():
    shares = dict.fromkeys(DISTORTIONS, 0.5) | {"fog": 0.2}
    robust = Robustness(
        10,
        40,
        shares,
        dict.fromkeys(DISTORTIONS, 0.125),
        roc_area={"textures": 0.75},
        confidence_roc_area={"textures": 0.995},
        refused={"plain": 0.0025, "textures": 0.875},
    )
    return dataclasses.replace(made.row("tflite-int8", 0.99, 10, 5), robustness=robust)


def test_the_mean_is_of_the_fifteen_and_left_out_where_one_is_missing():
    full = dict.fromkeys(("plain", *MNIST_C, "inverted"), 1.0) | {"fog": 0.25}
    table = by_distortion({"full": full, "part": {"fog": 0.5}})
    lines = {line.split("|")[1].strip(): line.split("|")[2:4] for line in table.splitlines()}
    assert [cell.strip() for cell in lines[MEAN]] == ["95.00%", "–"]
    assert [cell.strip() for cell in lines["fog"]] == ["25.00%", "50.00%"]
    assert list(lines)[-2:] == [MEAN, "inverted"]


def test_the_command_writes_the_page_and_the_picture(row, tmp_path, monkeypatch):
    report = types.SimpleNamespace(measurements=(row,))
    monkeypatch.setattr(schema, "read", lambda kind, path, remedy: report)
    assert main(["benchmark.json", "--output", str(tmp_path)]) == cli.OK
    text = (tmp_path / "robustness.md").read_text()
    for name in (
        *DISTORTIONS,
        "edge tflite-int8",
        "48.00%",
        "12.50%",
        "75.00%",
        "99.50%",
        "87.50%",
        "rotation",
    ):
        assert name in text
    assert (tmp_path / "robustness.png").stat().st_size > 10_000


def test_a_report_without_robustness_is_refused(row, tmp_path, monkeypatch, capsys):
    report = types.SimpleNamespace(measurements=(dataclasses.replace(row, robustness=None),))
    monkeypatch.setattr(schema, "read", lambda kind, path, remedy: report)
    assert main(["benchmark.json", "--output", str(tmp_path)]) == 2
    assert "must be of a run with --robustness" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_record_tells_what_confidence_refuses_and_how_well_it_separates():
    found = {
        name: np.array([[0.9, 0.1], [0.2, 0.8]]) for name in ("plain", "blank paper", "x/toys")
    }
    labels = {"plain": np.array([0, 1]), "blank paper": np.empty(0), "x/toys": np.empty(0)}
    alike = {
        "plain": np.array([1, 0.1]),
        "blank paper": np.array([0.01, 0.01]),
        "x/toys": np.array([0.5, 0.05]),
    }
    one = robustness.record(found, labels, None, alike)
    assert one.accuracy == {"plain": 1}
    assert one.roc_area == {"blank paper": 0.5, "toys": 0.5}
    assert one.confidence_roc_area == {"blank paper": 1, "toys": 0.75}
    assert one.refused == {"plain": 0.5, "blank paper": 1, "toys": 0.5}
    assert not robustness.record(found, labels, None).refused


def test_a_card_tells_what_is_refused_if_it_was_measured(row):
    table = "\n".join(card._no_digit([row]))
    assert "| tflite-int8 |" in table
    assert "0.25%" in table
    assert "99.50%" in table
    assert not list(card._no_digit([dataclasses.replace(row, robustness=None)]))


def test_published_figures_name_their_source_and_corruptions_that_exist():
    for one in tomllib.loads(page._PUBLISHED.read_text())["models"]:
        assert one["source"]
        assert one["accuracy"].keys() <= MNIST_C.keys()


@pytest.mark.parametrize("name", negatives.NEGATIVES)
def test_pictures_of_no_digit_are_gray_levels_of_any_size_and_the_same_each_time(name):
    found = negatives.make(name, 4, (32, 40, 3))
    assert found.shape == (4, 32, 40, 3)
    assert (found == found.round().clip(0, 255)).all()
    assert (found == negatives.make(name, 4, (32, 40, 3))).all()
    assert len({one.tobytes() for one in found}) == 4
