import dataclasses
import json

import pytest

from benchmarks import card, corruptions, limits
from benchmarks.frontier import records
from benchmarks.measurement import Robustness
from benchmarks.pictures.records import FILE, KindResult, PicturesReport
from mnist_edge import bundle, data, models, schema
from mnist_edge.models import opened
from tests.benchmarks import made


def write_pictures(folder, sha256):
    results = (
        KindResult(kind="plain", right=19, count=20),
        KindResult(kind="boxes", right=3, count=4),
    )
    report = PicturesReport(file=bundle.MODEL, sha256=sha256, part="test", results=results)
    schema.write(folder / FILE, report)


@pytest.fixture(scope="module")
def text(small, tmp_path_factory):
    """The text of the small bundle's card."""
    folder = small.copy(tmp_path_factory.mktemp("card") / "bundle")
    write_pictures(folder, small.trained["model_sha256"])
    assert card.main([str(folder)]) == 0
    return (folder / card.CARD).read_text()


def test_a_card_tells_the_accuracy_under_every_distortion(small, text):
    rows = dict(line.strip("| ").split(" | ") for line in text.splitlines() if line.endswith("% |"))
    assert list(rows) == list(corruptions.DISTORTIONS)
    assert rows[corruptions.PLAIN] == f"{small.trained['metrics']['test_accuracy']:.2%}"
    assert rows["inverted"] != rows[corruptions.PLAIN]


def test_a_card_tells_what_is_read_in_pictures_and_what_is_not(text):
    assert ["|", "plain", "95.0%", "20", "|"] in [
        line.replace(" | ", " ").split() for line in text.splitlines()
    ]
    assert "read below 90%, in pictures: boxes (75.0%)." in text


def test_a_card_names_pictures_of_no_digit_that_may_pass_for_one(small):
    packaged = opened.open_bundle(models.PRETRAINED / "nano")

    def told(**areas):
        robust = Robustness(10, 40, {}, {}, confidence_roc_area=areas)
        row = dataclasses.replace(made.row("tflite-int8", 0.99, 10, 5), robustness=robust)
        return "\n".join(limits.of(packaged, {}, [row], None))

    assert "May pass for a digit (an area below 99%): letters (98.9%)." in told(
        letters=0.989, textures=0.99
    )
    assert "May pass" not in told(letters=0.99)


def test_a_card_tells_that_disturbances_unlike_those_of_training_may_be_read_worse():
    for name, is_disturbed in (("robust", True), ("edge", False)):
        found = limits.of(opened.open_bundle(models.PRETRAINED / name), {}, (), None)
        assert any("disturbed in other ways" in one for one in found) == is_disturbed


def test_figures_of_pictures_of_another_model_are_left_out(small, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    packaged = opened.open_bundle(folder)
    for sha256, is_quoted in ((packaged.sha256, True), ("0" * 64, False)):
        write_pictures(folder, sha256)
        assert (card.own_pictures(folder, packaged, None) is not None) == is_quoted


def test_a_card_tells_data_recipe_seed_and_hash(small, text):
    assert "5,000 training examples, 1,000 kept for validation, 500 for this report" in text
    assert "2 epochs, batch 32" in text
    assert f"seed {small.trained['seed']}" in text
    assert "python -m mnist_edge.train --from train.json --output ANOTHER_FOLDER" in text
    assert small.trained["model_sha256"] in text


def test_a_card_quotes_the_runs_of_all_seeds_only_of_its_own_recipe(text):
    """The small bundle has the network and the seed of a recorded run, not its recipe."""
    assert "All seeds" not in text
    assert "--full" not in text
    packaged = opened.open_bundle(models.PRETRAINED / "nano")
    assert "**All seeds.** 9" in card.card(packaged, {corruptions.PLAIN: 0.99})


def test_a_damaged_model_gets_no_card(small, tmp_path, capsys):
    folder = small.copy(tmp_path / "bundle")
    with open(folder / bundle.MODEL, "ab") as file:
        file.write(b"x")
    assert card.main([str(folder)]) == 2
    assert "is not the model that train.json describes" in capsys.readouterr().err
    assert not (folder / card.CARD).exists()


PACKAGED = ("nano", "edge", "robust", "accurate")


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_model_is_on_record_and_its_card_is_of_it(name):
    folder = models.PRETRAINED / name
    trained = json.loads((folder / bundle.TRAIN).read_text())
    text = (folder / card.CARD).read_text()
    assert trained["model_sha256"] == bundle.sha256_file(folder / bundle.MODEL)
    assert trained["model_sha256"] in text
    assert f"| {corruptions.PLAIN} | {trained['metrics']['test_accuracy']:.2%} |" in text
    (run,) = [r for r in records.load().runs(name) if r.seed == trained["seed"]]
    assert run.test_accuracy == pytest.approx(trained["metrics"]["test_accuracy"], abs=1e-4)


@pytest.mark.long
def test_edge_withstands_shifts_and_rotations():
    asked = {"shift 2 px diagonally": 0.985, "rotate 20°": 0.97}
    edge, nano = (opened.open_bundle(models.PRETRAINED / name) for name in ("edge", "nano"))
    accuracy = card.measure(edge, data.load(), tuple(asked))
    assert all(accuracy[name] >= least for name, least in asked.items())
    assert card.measure(nano, data.load(), ("rotate 20°",))["rotate 20°"] < 0.97
