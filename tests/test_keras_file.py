"""Hostile `.keras` files are refused before Keras sees them, and run nothing."""

import base64
import importlib
import io
import json
import marshal
import os
import struct
import sys
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks import runtimes
from export import __main__ as command
from mnist_edge import bundle, evaluate, keras_config, keras_file, models, predict, train
from mnist_edge.cli import InputError
from mnist_edge.keras_file import CONFIG, METADATA, WEIGHTS
from tests.culprits import function, keras_object, members, with_config, write_archive

layers = keras.layers


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The members of a small classifier's file, by name."""
    path = tmp_path_factory.mktemp("honest") / "model.keras"
    image = keras.Input((28, 28, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(image))
    keras.Model(image, layers.Dense(10, activation="softmax")(x)).save(path)
    return members(path)


# What Keras's own layers make passes.


@pytest.mark.parametrize("name", models.ZOO)
def test_every_network_of_the_zoo_passes(name):
    config = keras.saving.serialize_keras_object(models.build(name))
    keras_config.check(json.loads(json.dumps(config)))


def of_many_kinds():
    """Recurrence, operations on tensors, random layers, a compiled model within the model."""
    inner = keras.Sequential([keras.Input((16,)), layers.Dense(10, activation="softmax")])
    inner.compile("adam", keras.losses.SparseCategoricalCrossentropy(), ["accuracy"])
    image = keras.Input((28, 28, 1))
    x = layers.RandomRotation(0.1, seed=3)(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(3, 3, kernel_regularizer="l2", kernel_constraint="non_neg")(x)
    x = layers.Bidirectional(layers.LSTM(8))(x[:, 0])
    x = keras.ops.relu(keras.ops.reshape(x, (-1, 16)) * 2 + x)
    x = layers.Normalization(mean=np.zeros(16), variance=np.ones(16))(x)
    return keras.Model(image, inner(layers.Activation(keras.activations.gelu)(x)))


APPLICATIONS = {
    "MobileNetV2": lambda: keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), classes=10
    ),
    "EfficientNetB0": lambda: keras.applications.EfficientNetB0(
        weights=None, input_shape=(32, 32, 3), classes=10
    ),
    "of many kinds": of_many_kinds,
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_kerass_own_classifiers_pass(tmp_path, name):
    APPLICATIONS[name]().save(tmp_path / "model.keras")
    assert keras_file.check(tmp_path / "model.keras")["class_name"] == "Functional"


def test_a_custom_loss_does_not_matter_as_it_is_not_read(honest, tmp_path):
    def change(config):
        config["compile_config"] = {"loss": function("builtins", "my_loss")}

    keras_file.check(with_config(tmp_path / "model.keras", honest, change))


def test_every_layer_of_kerass_is_taken_or_refused_with_a_reason():
    public = keras.src.api_export.REGISTERED_NAMES_TO_OBJS.items()
    abstract = {"Layer", "InputSpec"}
    own = {
        name.removeprefix("keras.layers.")
        for name, symbol in public
        if name.startswith("keras.layers.") and isinstance(symbol, type)
    }
    taken = keras_config.CLASSES["keras.layers"]
    assert own - abstract == taken | set(keras_config.REFUSED_LAYERS)
    assert not taken & set(keras_config.REFUSED_LAYERS)


def test_every_class_on_the_list_is_a_class_of_kerass():
    for module, names in keras_config.CLASSES.items():
        for name in names or ():
            assert isinstance(getattr(importlib.import_module(module), name), type), name


# Hostile configurations. Each is a layer put behind the model's last, or in its place.


def code_that_touches(marker):
    """Marshalled code, as a Lambda layer's file holds it."""
    code = eval(f"lambda x: open({str(marker)!r}, 'w') and x").__code__
    return base64.b64encode(marshal.dumps(code)).decode("ascii")


def lambda_layer(marker):
    inner = {"code": code_that_touches(marker), "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": inner}
    return keras_object("keras.layers", "Lambda", {"name": "x", "function": function})


def activation(value):
    return keras_object("keras.layers", "Activation", {"name": "x", "activation": value})


def calling(module, name, argument):
    """CVE-2025-1550: a Lambda layer around any function, which the graph calls."""
    config = {"name": "x", "function": function(module, name), "arguments": {}}
    node = {"args": [argument], "kwargs": {}}
    return keras_object("keras.layers", "Lambda", config, name="x", inbound_nodes=[node])


def without_module(layer):
    return {key: value for key, value in layer.items() if key != "module"}


ATTACKS = {
    "marshalled code": (lambda_layer, "Lambda layer, which runs code"),
    "marshalled code, the older way": (
        lambda marker: without_module(lambda_layer(marker)),
        "Lambda layer, which runs code",
    ),
    "os.system": (
        lambda marker: calling("os", "system", f"touch {marker}"),
        "Lambda layer",
    ),
    "os.system as an activation": (
        lambda marker: activation(function("os", "system")),
        "a function, 'system' of 'os'",
    ),
    "eval": (
        lambda marker: activation(function("builtins", "eval")),
        "a function, 'eval' of 'builtins'",
    ),
    "get_file": (  # CVE-2025-8747
        lambda marker: activation(function("keras.utils", "get_file")),
        "a function, 'get_file' of 'keras.utils'",
    ),
    "safe mode switched off": (  # CVE-2025-9906
        lambda marker: activation(function("keras.config", "enable_unsafe_deserialization")),
        "a function, 'enable_unsafe_deserialization'",
    ),
    "a function of Keras's as a class": (
        lambda marker: activation(keras_object("keras.initializers", "get", {})),
        "'get' of 'keras.initializers', not a class of",
    ),
    "a module that runs on import": (
        lambda marker: keras_object("evil", "Dense", {}),
        "'Dense' of 'evil', not a class of Keras's",
    ),
    "a module inside Keras": (
        lambda marker: keras_object("keras.src.utils.file_utils", "Archive", {}),
        "not a class of Keras's",
    ),
    "a class under a registered name": (
        lambda marker: keras_object("keras.layers", "Dense", {}, registered_name="evil>Dense"),
        "a class of its author's, 'evil>Dense'",
    ),
    "a type out of a module": (
        lambda marker: keras_object("evil", "__typespec__", [], spec_name="Spec"),
        "'__typespec__' of 'evil'",
    ),
    "a layer without a module": (
        lambda marker: without_module(keras_object("", "Dense", {"units": 2})),
        "'Dense' of None",
    ),
    "a file read as vocabulary": (  # CVE-2025-12058
        lambda marker: keras_object("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        "StringLookup layer, which reads files",
    ),
    "a pickled module": (  # CVE-2025-49655
        lambda marker: keras_object("keras.layers", "TorchModuleWrapper", {"module": "gASV"}),
        "TorchModuleWrapper layer, which is unpickled",
    ),
    "a SavedModel elsewhere": (
        lambda marker: keras_object("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved"}),
        "TFSMLayer layer, which runs a SavedModel",
    ),
    "a function in JAX": (
        lambda marker: keras_object(
            "keras.layers", "JaxLayer", {"call_fn": function("os", "system")}
        ),
        "JaxLayer layer, which calls a function",
    ),
    "a loop over a function": (
        lambda marker: keras_object("keras.src.ops.core", "Map", {}),
        "'Map' of 'keras.src.ops.core'",
    ),
    "a function in a compiled model within": (
        lambda marker: keras_object(
            "keras", "Sequential", {"layers": []}, compile_config={"loss": function("os", "system")}
        ),
        "a function, 'system' of 'os'",
    ),
    "an array of a gigabyte an element": (
        lambda marker: activation(
            {"class_name": "__numpy__", "config": {"value": [0], "dtype": "V1000000000"}}
        ),
        "an array that is not of numbers",
    ),
    "a class named by a list": (
        lambda marker: keras_object("keras.layers", ["Dense"], {}),
        r"names a class by \['Dense'\]",
    ),
    "control characters": (
        lambda marker: keras_object("keras.layers", "Dense", {"name": "\x1b[2Jx"}),
        r"holds the text '\\x1b\[2Jx'",
    ),
    "a text without end": (
        lambda marker: keras_object("keras.layers", "Dense", {"name": "x" * 100_000}),
        "holds the text 'xxxx",
    ),
}


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that must not appear; the module `evil` makes it when it is imported."""
    path = tmp_path / "marker"
    (tmp_path / "evil.py").write_text(f"open({str(path)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    yield path
    assert not path.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_export_refuses_and_runs_nothing(honest, tmp_path, marker, capsys, attack):
    make, reason = ATTACKS[attack]
    model = with_config(
        tmp_path / "evil.keras", honest, lambda c: c["config"]["layers"].append(make(marker))
    )
    line = refused_by_export(model, tmp_path, capsys)
    assert line.startswith(f"error: {model} can't be loaded: ")
    with pytest.raises(ValueError, match=reason):
        keras_file.check(model)


def refused_by_export(model, tmp_path, capsys, *flags):
    """The one line that `python -m export` prints."""
    argv = [str(model), "--data", "mnist", "--output", str(tmp_path / "bundle"), *flags]
    assert command.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not (tmp_path / "bundle").exists()
    return line


def test_the_code_in_these_files_runs_where_nothing_guards(marker):
    layer = layers.Lambda.from_config(lambda_layer(marker)["config"], safe_mode=False)
    layer(np.zeros(1))
    marker.unlink()  # it was there
    importlib.import_module("evil")
    marker.unlink()


def nested(depth):
    return '{"class_name":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "its config.json is not JSON"),
        ("[]", "not a Keras model's"),
        ("\xff", "its config.json is not JSON"),
        (nested(100_000), "its config.json is not JSON"),
        ('{"class_name": "Sequential", "module": "keras", "config": %s}' % ("[" * 200 + "]" * 200),
         "nested more than 100 deep"),
        ('{"class_name": "Dense", "config": ' + "9" * 5000 + "}", "its config.json is not JSON"),
        (" " * 9_000_000, "its config.json unpacks to 9,000,000 bytes"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_none_is_refused(honest, tmp_path, config, reason):
    content = honest | {CONFIG: config.encode("latin-1")}
    with pytest.raises(ValueError, match=reason):
        keras_file.check(write_archive(tmp_path / "model.keras", content))


# Hostile archives.


def packed(honest, change=lambda archive: None, method=zipfile.ZIP_STORED):
    """The bytes of an archive of the honest members and of what `change` does besides."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in honest.items():
            archive.writestr(name, content)
        change(archive)
    return file.getvalue()


def linked(archive):
    archive.getinfo(WEIGHTS).external_attr = 0o120777 << 16


def encrypted(archive):
    archive.getinfo(CONFIG).flag_bits |= 1


def commented(archive):
    archive.comment = b"x"


def patched_end(content, entries):
    """With another count of entries at the end, as a directory of millions would have it."""
    return content[:-12] + struct.pack("<H", entries) + content[-10:]


def zip64(content):
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    return content[:-22] + locator + content[-22:]


def lying_size(content):
    """Its directory says that config.json has a byte less."""
    at = content.rindex(CONFIG.encode()) - 46
    size = struct.unpack_from("<L", content, at + 24)[0]
    return content[: at + 24] + struct.pack("<L", size - 1) + content[at + 28 :]


ZEROS = bytes(20_000_000)
ARCHIVES = {
    "empty": (lambda h: b"", "not a zip file"),
    "a web page": (lambda h: b"<!doctype html><title>404</title>" * 9, "not a zip file"),
    "cut short": (lambda h: packed(h)[:-1000], "not a zip file"),
    "something behind it": (lambda h: packed(h) + b"x", "not a zip file"),
    "something before it": (lambda h: b"x" + packed(h), "more than Keras puts there"),
    "a comment": (lambda h: packed(h, commented), "not a zip file as Keras writes it"),
    "ZIP64": (lambda h: zip64(packed(h)), "more than Keras puts there"),
    "65,535 members": (lambda h: patched_end(packed(h), 65535), "has 65,535 members"),
    "a member outside": (
        lambda h: packed(h, lambda a: a.writestr("../../x", b"x")),
        "has 4 members",
    ),
    "another member": (
        lambda h: packed({name: h[name] for name in (METADATA, CONFIG)} | {"../x": b""}),
        r"must hold config.json, metadata.json, model.weights.h5. Got: .*\.\./x",
    ),
    "assets": (lambda h: packed(h, lambda a: a.writestr("assets/v.txt", b"")), "has 4 members"),
    "a member twice": (
        lambda h: packed({METADATA: h[METADATA], CONFIG: h[CONFIG]}, lambda a: twice(a, h)),
        "must hold config.json, metadata.json, model.weights.h5. Got",
    ),
    "no weights": (lambda h: packed({CONFIG: h[CONFIG]}), "must hold"),
    "a symbolic link": (lambda h: packed(h, linked), "is not a regular file"),
    "encrypted": (lambda h: packed(h, encrypted), "its config.json is encrypted"),
    "LZMA": (lambda h: packed(h, method=zipfile.ZIP_LZMA), "packed by method 14"),
    "weights of zeros, deflated": (
        lambda h: packed(h | {WEIGHTS: ZEROS}, method=zipfile.ZIP_DEFLATED),
        "its model.weights.h5 unpacks 19,",
    ),
    "a configuration of zeros": (
        lambda h: packed(h | {CONFIG: ZEROS}, method=zipfile.ZIP_DEFLATED),
        "its config.json unpacks to 20,000,000 bytes",
    ),
    "sizes that lie": (lambda h: lying_size(packed(h)), "Bad CRC-32"),
    "weights that are not HDF5": (lambda h: packed(h | {WEIGHTS: b"\x80\x04K."}), "not HDF5"),
    "metadata that are not Keras's": (lambda h: packed(h | {METADATA: b"[]"}), "not Keras's"),
}


def twice(archive, honest):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CONFIG, honest[CONFIG])


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_keras_did_not_write_is_refused(honest, tmp_path, capsys, name):
    make, reason = ARCHIVES[name]
    path = tmp_path / "model.keras"
    path.write_bytes(make(honest))
    with pytest.raises((ValueError, zipfile.BadZipFile), match=reason):
        keras_file.check(path)
    assert refused_by_export(path, tmp_path, capsys).startswith(f"error: {path} can't be loaded: ")


def test_an_archive_that_was_packed_again_passes(honest, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(packed(honest, method=zipfile.ZIP_DEFLATED))
    assert keras_file.check(path)


# Not files at all.


def test_folders_pipes_and_devices_are_refused(honest, tmp_path, capsys):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "folder.keras" / CONFIG).write_bytes(honest[CONFIG])
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "device.keras").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "device"):
        line = refused_by_export(tmp_path / f"{name}.keras", tmp_path, capsys)
        assert "must be a regular file, not a folder, a device or a pipe" in line


def test_a_file_too_large_is_refused_unread(honest, tmp_path, monkeypatch, capsys):
    path = write_archive(tmp_path / "model.keras", honest)
    monkeypatch.setattr(keras_file, "MOST_BYTES", path.stat().st_size - 1)
    assert "at most" in refused_by_export(path, tmp_path, capsys)


@pytest.mark.parametrize("place", ["hf://user/model", "gs://bucket/m.keras", "https://x.y/m.keras"])
def test_places_on_the_net_are_refused(tmp_path, capsys, place):
    line = refused_by_export(place, tmp_path, capsys)
    assert "must be a bundle's folder or a .keras file on this computer" in line


def test_the_older_format_needs_a_flag_that_says_its_risk(tmp_path, capsys):
    (tmp_path / "model.h5").write_bytes(b"")
    assert "or give --allow-h5" in refused_by_export(tmp_path / "model.h5", tmp_path, capsys)
    with pytest.raises(SystemExit):
        command.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "reads all of it before a line can be checked" in shown


# The other doors.


@pytest.fixture
def evil_bundle(honest, tmp_path, marker):
    """A bundle whose record vouches for a hostile model."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = with_config(
        folder / bundle.MODEL, honest, lambda c: c["config"]["layers"].append(lambda_layer(marker))
    )
    record = {
        "model": "edge",
        "model_sha256": bundle.sha256_file(path),
        "data": {"source": "mnist", "split_seed": 0, "labels": list("0123456789")},
    }
    bundle.write_json(folder / bundle.TRAIN, record)
    return folder


DOORS = {
    "evaluate": lambda folder, data: evaluate.main([str(folder)]),
    "predict": lambda folder, data: predict.main(["--bundle", str(folder), str(folder / "x.png")]),
    "teacher": lambda folder, data: train.main(
        ["--teacher", str(folder), "--output", str(folder / "new"), "--data", data]
    ),
    "export": lambda folder, data: command.main([str(folder)]),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_command_refuses_a_bundle_that_vouches_for_code(
    evil_bundle, small_data, capsys, door
):
    digit = Image.new("L", (28, 28))
    digit.paste(255, (12, 6, 16, 22))
    digit.save(evil_bundle / "x.png")
    before = sorted(evil_bundle.rglob("*"))
    assert DOORS[door](evil_bundle, small_data) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.keras can't be loaded: it holds a Lambda layer" in line
    assert sorted(evil_bundle.rglob("*")) == before


def test_the_benchmarks_refuse_code(evil_bundle):
    with pytest.raises(InputError, match="it holds a Lambda layer"):
        runtimes.open_artifact(evil_bundle / bundle.MODEL, threads=1)
