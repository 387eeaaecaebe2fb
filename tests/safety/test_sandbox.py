"""A stranger's model is loaded in a subprocess first: what goes wrong there is one line here.

What it does is shown in this process, where Keras is up; that it does it, by one subprocess.
"""

import collections
import os
import random
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from mnist_edge import bundle
from mnist_edge.errors import InputError
from mnist_edge.models import opened, trained
from mnist_edge.safety import keras_file, limits, sandbox, supervise
from mnist_edge.safety.isolated import Allowance, State
from tests.safety import culprits
from tests.safety.culprits import (
    bundle_of,
    data_dependent,
    keras_object,
    linked_outside,
    members,
    refused_by_export,
    swollen,
    with_config,
    with_weights,
    write_archive,
)
from tests.safety.test_keras_config import of_many_kinds

layers = keras.layers
STATE = State(sandbox._ALLOWANCE)  # of a subprocess that is asked


@pytest.fixture
def ask(honest, monkeypatch, tmp_path):
    """Has a file tried by a culprit instead of Keras; returns the `InputError`, if any."""

    def call(culprit, **limits):
        requests = {"start": sandbox.confine, "load": culprit}
        monkeypatch.setattr(sandbox, "REQUESTS", requests)
        allowance = Allowance(**{"timeout_seconds": 60, "memory_limit_mb": 500} | limits)
        try:
            sandbox.trial(write_archive(tmp_path / "model.keras", honest), "Do this.", allowance)
        except InputError as error:
            return str(error).removeprefix(f"{tmp_path}/model.keras can't be loaded: ")
        return None

    return call


# The subprocess without Keras: each in a fraction of a second.


@pytest.mark.parametrize(
    ("culprit", "reason"),
    [
        (culprits.crash, "runtime crashed by SIGABRT in 'load'"),
        (culprits.leave, "process ended with status 3 in 'load'"),
        (culprits.hog, "MemoryError: Unable to allocate "),
    ],
)
def test_what_ends_the_child_is_one_line_here(ask, culprit, reason):
    said = ask(culprit)
    assert said.startswith(reason)
    assert said.endswith(" (500 MB of memory and 60 s are allowed). Do this.")


@pytest.mark.parametrize("words", sandbox._MEMORY_ERRORS)
def test_kerass_words_for_too_little_memory_are_one_line(monkeypatch, words):
    def fail(path):
        raise RuntimeError(f"{words}\nand a page")

    monkeypatch.setattr(keras_file, "load", fail)
    with pytest.raises(ValueError, match=r"^it asks for more than 4 GB of memory$"):
        sandbox.load(STATE, "model.keras")


def test_less_memory_than_the_limit_is_given(ask):
    assert ask(culprits.hold) is None


def test_memory_that_is_only_seen_from_outside_is_the_same_line(ask):
    said = ask(culprits.hang, memory_limit_mb=20)  # Python and NumPy alone are more
    assert re.match(r"took \d+ MB of memory in 'start', at most 20 allowed", said)


def test_a_child_that_hangs_is_ended(ask):
    started = time.monotonic()
    assert ask(culprits.hang, timeout_seconds=2).startswith("no answer to 'load' in 2 s")
    assert time.monotonic() - started < 50


def test_the_child_writes_no_file(ask, tmp_path):
    assert "File too large" in ask(culprits.write)
    assert (tmp_path / "model.keras.written").stat().st_size == 0


def test_a_crash_is_one_line_of_the_command(tmp_path, monkeypatch, capsys):
    path = saved(tmp_path / "model.keras", dense())
    requests = {"start": sandbox.confine, "load": culprits.crash}
    monkeypatch.setattr(sandbox, "REQUESTS", requests)
    line = refused_by_export(path, tmp_path, capsys)
    assert line.startswith(f"error: {path} can't be loaded: runtime crashed by SIGABRT in 'load'")


# What the child refuses.


def saved(path, model):
    model.save(path)
    return path


def dense(units=10):
    """A classifier of 28 x 28 pixels; an initializer that is quick for any size."""
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(units, activation="softmax")]
    )


def not_finite():
    model = dense()
    model.layers[-1].bias.assign(np.full(10, np.nan))
    return model


def with_units(units):
    def change(config):
        config["config"]["layers"][-1]["config"]["units"] = units

    return change


def repeated(config):
    repeat = {"name": "r", "n": 10**9}
    config["config"]["layers"].append(keras_object("keras.layers", "RepeatVector", repeat))


def lengthened(config):
    layer = keras_object("keras.layers", "Activation", {"activation": "linear"})
    config["config"]["layers"] += [layer] * 19_999


CONFIGS = {"10^12 units": with_units(10**12), "repeated": repeated, "20,000 layers": lengthened}


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """Why the child refuses each file, by name; None where it does not."""
    folder = tmp_path_factory.mktemp("examined")
    content = members(saved(folder / "honest.keras", dense()))
    external = with_weights(content, folder / "weights", linked_outside)
    files = {
        "honest": folder / "honest.keras",
        "10^12 units": with_config(folder / "units.keras", content, with_units(10**12)),
        "repeated": with_config(folder / "repeated.keras", content, repeated),
        "other shape": with_config(folder / "other.keras", content, with_units(11)),
        "not finite": saved(folder / "nan.keras", not_finite()),
        "linked outside": write_archive(folder / "external.keras", external),
    }
    found = {}
    for name, path in files.items():
        try:
            found[name] = sandbox.load(STATE, path)
        except ValueError as error:
            found[name] = str(error)
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("10^12 units", "it asks for 785,000,000,000,000 weights, at most 150,000,000"),
        ("repeated", "one of its layers outputs 10,000,000,000 values per example, at most"),
        ("other shape", "could not be loaded"),
        ("not finite", "it must hold finite weights. Got: NaN or infinity in dense"),
        ("linked outside", "its weights hold a link to elsewhere, '0'"),
    ],
)
def test_the_child_refuses(examined, name, reason):
    assert reason in examined[name]


def test_the_child_takes_an_honest_model(examined):
    assert examined["honest"] is None


def test_the_export_refuses_what_its_child_refuses(honest, tmp_path, capsys):
    content = with_weights(honest, tmp_path / "weights", linked_outside)
    path = write_archive(tmp_path / "model.keras", content)
    line = refused_by_export(path, tmp_path, capsys)
    assert line.startswith(f"error: {path} can't be loaded: its weights hold a link to elsewhere")


@pytest.mark.long
def test_what_a_layer_takes_inside_is_limited_too(tmp_path):
    # TensorFlow waits 10 s for memory before it gives up.
    # 4,096 tokens, each of which looks at each other: 64 MB per example, 16 kB to be seen.
    tokens = keras.Input((4096, 1))
    x = layers.MultiHeadAttention(1, 1)(tokens, tokens)
    model = keras.Model(tokens, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    with pytest.raises(InputError, match="it asks for more than 4 GB of memory"):
        sandbox.trial(saved(tmp_path / "model.keras", model), "Do this.")


@pytest.mark.long
@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNeXtTiny"])
def test_kerass_own_classifiers_stay_within_the_limits(tmp_path, name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
    sandbox.trial(saved(tmp_path / "model.keras", model), "Do this.")


VALUES = (None, True, -1, 10**12, 10**30, float("nan"), "", "relu", [], {}, [[["x"]]], "__numpy__")


def places(config):
    """Each place in a configuration: what holds it, and its key or index."""
    found, nodes = [], [config]
    while nodes:
        node = nodes.pop()
        pairs = list(node.items() if isinstance(node, dict) else enumerate(node))
        found += [(node, key) for key, _ in pairs]
        nodes += [child for _, child in pairs if isinstance(child, dict | list)]
    return found


@pytest.mark.long
def test_mutants_of_a_configuration_load_or_are_refused_in_a_line(honest, tmp_path, monkeypatch):
    culprits.tried_here(monkeypatch)
    draw = random.Random(0)
    outcomes = collections.Counter()
    for _ in range(600):

        def mutate(config):
            node, key = draw.choice(places(config))
            if draw.random() < 0.2:
                del node[key]
            else:
                node[key] = draw.choice(VALUES)

        path = with_config(tmp_path / "model.keras", honest, mutate)
        outcome = "loads"
        try:
            sandbox.trial(path, "Do this.")
        except InputError as error:
            outcome = "refused" if str(error).isprintable() else "refused in several lines"
        outcomes[outcome] += 1
    assert outcomes["refused"] + outcomes["loads"] == 600, outcomes
    assert outcomes["refused"] > 100, outcomes
    assert outcomes["loads"] > 100, outcomes


# Bundles go through the same door, without a child.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("10^12 units", "it asks for 785,000,000,000,000 weights, at most 150,000,000 are allowed"),
        (
            "repeated",
            "one of its layers outputs 10,000,000,000 values per example, at most 33,554,432",
        ),
        ("20,000 layers", "it has a Sequential of 20,002 layers, at most 300 are allowed"),
        ("swollen", "its weights unpack to 1,200,"),
    ],
)
def test_a_bundles_model_that_asks_for_too_much_is_refused_at_once(tmp_path, name, reason):
    content = members(saved(tmp_path / "honest.keras", dense()))
    path = tmp_path / "model.keras"
    if name == "swollen":
        write_archive(path, with_weights(content, tmp_path / "weights", swollen))
    else:
        with_config(path, content, CONFIGS[name])
    before, started = limits.peak_resident_bytes(), time.monotonic()
    with pytest.raises(InputError, match=reason):
        trained.load_model(path, "Train again.")
    assert limits.peak_resident_bytes() - before < 200e6
    assert time.monotonic() - started < 10


def test_what_a_load_looks_into_first_leaves_kerass_state_and_the_seeds_alone(tmp_path):
    path = saved(tmp_path / "model.keras", of_many_kinds())
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    trained.load_model(path, "")
    ours = random.random(), keras.layers.Dense(1).name, keras.random.uniform((3,)).numpy().tolist()
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    keras.saving.load_model(path, compile=False, safe_mode=True)
    plain = random.random(), keras.layers.Dense(1).name, keras.random.uniform((3,)).numpy().tolist()
    assert ours == plain


def test_a_model_whose_cost_depends_on_the_data_is_ended_within_the_limit(tmp_path, small_data):
    path = data_dependent(tmp_path / bundle.MODEL)
    sandbox.load(STATE, path)  # zeros do not show it
    ran = subprocess.run(
        [sys.executable, "-m", "mnist_edge.evaluate", bundle_of(path), "--data", small_data],
        env=os.environ | {supervise.LIMIT: "1000"},
        capture_output=True,
        text=True,
    )
    (line,) = ran.stderr.splitlines()
    assert line == (
        f"error: the command must take at most 1,000 MB of memory. Got: more, with {path} open. "
        "Give a smaller model or less data, or raise MNIST_EDGE_MEMORY_MB."
    )
    assert ran.returncode == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [bundle.MODEL, bundle.TRAIN]


def test_a_bundle_whose_weights_are_not_finite_is_refused(tmp_path):
    path = saved(tmp_path / "model.keras", not_finite())
    with pytest.raises(InputError, match="must hold finite weights") as caught:
        trained.load_model(path, "Train again.")
    assert str(caught.value).endswith("/bias. Train again.")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda text: text.replace('"sha256": {', '"sha256": [], "x": {'),
            "data.sha256 must be an",
        ),
        (
            lambda text: text.replace('"model_sha256": "', '"model_sha256": "0'),
            "model_sha256 must be",
        ),
        (lambda text: "[" * 100_000, "must be JSON"),
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path, change, reason):
    bundle_of(saved(tmp_path / bundle.MODEL, dense()))
    record = tmp_path / bundle.TRAIN
    record.write_text(change(record.read_text()))
    with pytest.raises(InputError, match=f"train.json:? {reason}"):
        opened.open_bundle(tmp_path)


def test_keras_is_asked_for_safe_mode_always(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        keras.saving, "load_model", lambda path, **how: asked.append(how) or dense()
    )
    trained.load_model(saved(tmp_path / "model.keras", dense()), "")
    assert asked == [{"compile": False, "safe_mode": True}]


def test_what_keras_says_is_cut_to_a_line_without_control_characters():
    error = KeyError("\x1b[31m" + "x" * 1000 + "\nsecond")
    line = keras_file.refusal("m.keras", error, "Do this.")
    assert line.isprintable()
    assert len(line) < 400
    loading = ValueError("2 objects failed. Example error message:\n\nof shape\n\nmore")
    assert "message: of shape" in keras_file.refusal("m.keras", loading, "")


def test_the_child_takes_models_of_many_kinds(tmp_path):
    path = saved(tmp_path / "model.keras", of_many_kinds())
    sandbox.load(STATE, path)


def test_a_batch_is_smaller_where_a_layer_gives_more():
    assert keras_file.batch_size(dense()) == 500
    image = keras.Input((28, 28, 1))
    wide = keras.Sequential([keras.Input((28, 28, 1)), layers.UpSampling2D(40)])
    assert keras_file.largest_output(wide) == (28 * 40) ** 2
    assert keras_file.batch_size(wide) == 2**24 // (28 * 40) ** 2
    nested = keras.Model(image, wide(image))
    assert keras_file.largest_output(nested) == (28 * 40) ** 2
