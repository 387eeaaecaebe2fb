"""A model of others' is loaded in a child first: what goes wrong there is one line here.

What the child does is shown in this process, where Keras is up; that it does it, by one.
"""

import json
import os
import time

import h5py
import keras
import numpy as np
import pytest

from export import __main__ as command
from mnist_edge import footprint, keras_file, quarantine, trained, weights_file
from mnist_edge.cli import InputError
from mnist_edge.keras_file import WEIGHTS
from tests import culprits
from tests.culprits import keras_object, members, with_config, write_archive

layers = keras.layers


def ask(function, argument=None, **limits):
    """`quarantine.ask` without Keras."""
    return quarantine.ask(function, argument, start=culprits.nothing, **limits)


# The child, without Keras: each in a fraction of a second.


def test_an_answer_comes_back():
    assert ask(culprits.echo, {"a": [1, None, "x"]}) == {"a": [1, None, "x"]}


@pytest.mark.parametrize(
    ("culprit", "argument", "reason"),
    [
        (culprits.crash, None, r"it crashed Keras \(SIGABRT\), or asked for more than 0.5 GB"),
        (culprits.leave, None, r"it crashed Keras \(status 3\)"),
        (culprits.hog, 10**9, r"it asks for more than 0.5 GB of memory"),
        (culprits.echo, "x" * 20_000, "bad message length"),
    ],
)
def test_what_ends_the_child_is_one_line_here(culprit, argument, reason):
    with pytest.raises((ValueError, OSError), match=reason):
        ask(culprit, argument, memory_bytes=500_000_000)


def test_the_same_memory_is_given_where_the_limit_allows_it():
    assert ask(culprits.hog, 10**7, memory_bytes=500_000_000) == 10**7


def test_a_child_that_hangs_is_ended():
    started = time.monotonic()
    with pytest.raises(ValueError, match="it took more than 2 s"):
        ask(culprits.hang, 100, seconds=2)
    assert time.monotonic() - started < 50


def test_the_child_writes_no_file(tmp_path):
    with pytest.raises(ValueError, match="File too large"):
        ask(culprits.write, str(tmp_path / "file"))
    assert (tmp_path / "file").stat().st_size == 0


def test_a_crash_is_one_line_of_the_command(tmp_path, monkeypatch, capsys):
    path = saved(tmp_path / "model.keras", dense())
    monkeypatch.setattr(quarantine, "examine", culprits.crash)
    monkeypatch.setattr(quarantine.backend, "start_keras", culprits.nothing)
    assert quarantine.main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path} can't be loaded: it crashed Keras (SIGABRT)")


# What the child refuses.


def saved(path, model):
    model.save(path)
    return path


def dense(units=10):
    """A classifier of 28 x 28 pixels; an initialiser that is quick for any size."""
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


def hdf5(path, change):
    """The bytes of a file of weights changed by `change`, which gets the open file."""
    with h5py.File(path, "r+") as file:
        change(file)
    return path.read_bytes()


def linked_outside(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/hostname", "/x")


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """Why the child refuses each file, by name; None where it does not."""
    folder = tmp_path_factory.mktemp("examined")
    content = members(saved(folder / "honest.keras", dense()))
    (folder / "weights").write_bytes(content[WEIGHTS])
    external = content | {WEIGHTS: hdf5(folder / "weights", linked_outside)}
    marker = str(folder / "marker")
    lambda_h5 = keras.Sequential(
        [keras.Input((4,)), layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])]
    )
    files = {
        "honest": folder / "honest.keras",
        "honest, older": saved(folder / "honest.h5", dense()),
        "10^12 units": with_config(folder / "units.keras", content, with_units(10**12)),
        "repeated": with_config(folder / "repeated.keras", content, repeated),
        "other shape": with_config(folder / "other.keras", content, with_units(11)),
        "not finite": saved(folder / "nan.keras", not_finite()),
        "not finite, older": saved(folder / "nan.h5", not_finite()),
        "linked outside": write_archive(folder / "external.keras", external),
        "Lambda, older": saved(folder / "lambda.h5", lambda_h5),
    }
    os.remove(marker)
    found = {}
    for name, path in files.items():
        try:
            found[name] = quarantine.examine(str(path)) and None
        except ValueError as error:
            found[name] = str(error)
    assert not os.path.exists(marker)
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("10^12 units", "it asks for 785,000,000,000,000 weights, at most 150,000,000"),
        ("repeated", "a layer of it gives 10,000,000,000 values an example, at most"),
        ("other shape", "could not be loaded"),
        ("not finite", "it must hold finite weights. Got: NaN or infinity in dense"),
        ("not finite, older", "it must hold finite weights. Got: NaN or infinity in "),
        ("linked outside", "its weights hold a link to elsewhere, '0'"),
        ("Lambda, older", "it holds a Lambda layer, which runs code out of the file"),
    ],
)
def test_the_child_refuses(examined, name, reason):
    assert reason in examined[name]


def test_the_child_takes_honest_models_in_both_formats(examined):
    assert examined["honest"] is None
    assert examined["honest, older"] is None


def test_the_export_refuses_what_its_child_refuses(tmp_path, capsys):
    content = members(saved(tmp_path / "honest.keras", dense()))
    (tmp_path / "weights").write_bytes(content[WEIGHTS])
    content[WEIGHTS] = hdf5(tmp_path / "weights", linked_outside)
    path = write_archive(tmp_path / "model.keras", content)
    argv = [str(path), "--data", "mnist", "--output", str(tmp_path / "bundle")]
    assert command.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path} can't be loaded: its weights hold a link to elsewhere")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long  # TensorFlow waits 10 s for memory before it gives up
def test_what_a_layer_takes_inside_is_limited_too(tmp_path):
    # 4,096 tokens, each of which looks at each other: 64 MB an example, 16 kB to be seen.
    tokens = keras.Input((4096, 1))
    x = layers.MultiHeadAttention(1, 1)(tokens, tokens)
    model = keras.Model(tokens, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    with pytest.raises(InputError, match="it asks for more than 4 GB of memory"):
        quarantine.trial(saved(tmp_path / "model.keras", model))


@pytest.mark.long
@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNeXtTiny"])
def test_kerass_own_classifiers_stay_within_the_limits(tmp_path, name, capsys):
    model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
    assert quarantine.main([str(saved(tmp_path / "model.keras", model))]) == 0
    assert f"{model.count_params():,} weights" in capsys.readouterr().out


# The weights' file, looked into here.


def external_storage(file):
    file.create_dataset("x", (4,), "float32", external=[("/etc/hostname", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("x", layout)


WEIGHTS_ATTACKS = {
    "an external link": (linked_outside, "a link to elsewhere, '0'"),
    "a soft link": (
        lambda file: file.__setitem__("x", h5py.SoftLink("/layers")),
        "a link to elsewhere, 'x'",
    ),
    "a group within itself": (lambda file: file.__setitem__("layers/x", file["layers"]), "twice"),
    "data in another file": (external_storage, "take 'x' from another file"),
    "a virtual dataset": (virtual, "take 'x' from another file"),
    "a terabyte declared, nothing stored": (
        lambda file: file.create_dataset("x", (2**40,), "float32", chunks=(1024,)),
        "unpack to 4,398,",
    ),
    "objects": (
        lambda file: file.create_dataset("x", data=["text"], dtype=h5py.string_dtype()),
        "'x', which are not numbers",
    ),
    "a type in place of an array": (
        lambda file: file.__setitem__("x", np.dtype("float32")),
        "'x', which is not an array",
    ),
    "a filter that is a plugin": (
        lambda file: file.create_dataset("x", data=np.ones(64), compression="lzf"),
        r"packed by HDF5 filters \[32000\]",
    ),
}


@pytest.fixture
def weights(tmp_path):
    """A file of weights, as Keras wrote it."""
    path = tmp_path / "weights"
    path.write_bytes(members(saved(tmp_path / "honest.keras", dense()))[WEIGHTS])
    return path


@pytest.mark.parametrize("attack", WEIGHTS_ATTACKS)
def test_weights_that_are_not_arrays_in_the_file_are_refused(weights, attack):
    change, reason = WEIGHTS_ATTACKS[attack]
    with h5py.File(weights, "r+") as file:
        weights_file.check(file)
        change(file)
        with pytest.raises(ValueError, match=reason):
            weights_file.check(file)


# Bundles go through the same door, without a child.


def test_a_bundle_whose_weights_are_not_finite_is_refused(tmp_path):
    path = saved(tmp_path / "model.keras", not_finite())
    with pytest.raises(InputError, match="must hold finite weights") as caught:
        trained.load_model(path, "Train again.")
    assert str(caught.value).endswith("/bias. Train again.")


@pytest.mark.parametrize(
    "record",
    [
        '{"model": "x", "data": [], "model_sha256": "0"}',
        '{"model": "x", "data": {}, "model_sha256": 0}',
        "[" * 100_000,
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path, record):
    (tmp_path / "train.json").write_text(record)
    (tmp_path / "model.keras").write_bytes(b"")
    with pytest.raises(InputError, match=r"train.json (is damaged|must be JSON)"):
        trained.open_bundle(tmp_path)


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


def test_a_batch_is_smaller_where_a_layer_gives_more():
    assert footprint.batch_size(dense()) == 500
    image = keras.Input((28, 28, 1))
    wide = keras.Sequential([keras.Input((28, 28, 1)), layers.UpSampling2D(40)])
    assert footprint.largest_output(wide) == (28 * 40) ** 2
    assert footprint.batch_size(wide) == 2**24 // (28 * 40) ** 2
    nested = keras.Model(image, wide(image))
    assert footprint.largest_output(nested) == (28 * 40) ** 2


def test_a_configuration_of_the_older_format_is_looked_into(tmp_path):
    path = saved(tmp_path / "model.h5", dense())
    with h5py.File(path, "r+") as file:
        weights_file.check_old_config(file)
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = "deserialize"
        file.attrs["model_config"] = json.dumps(config)
        with pytest.raises(ValueError, match="'deserialize' of None, not a class of Keras's"):
            weights_file.check_old_config(file)
        del file.attrs["model_config"]
        with pytest.raises(ValueError, match="no configuration"):
            weights_file.check_old_config(file)
