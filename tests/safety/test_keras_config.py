"""Hostile configurations are refused before Keras sees them, and run nothing."""

import importlib
import json
import time

import keras
import numpy as np
import pytest

from mnist_edge import models
from mnist_edge.safety import keras_config, keras_file
from mnist_edge.safety.keras_file import CONFIG
from tests.safety.culprits import (
    function,
    keras_object,
    lambda_layer,
    refused_by_export,
    with_config,
    write_archive,
)

layers = keras.layers


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


@pytest.mark.parametrize(
    "name", ["MobileNetV2", pytest.param("EfficientNetB0", marks=pytest.mark.long), "of many kinds"]
)
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
        "a custom class, 'evil>Dense'",
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
        r"names the class \['Dense'\]",
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


def test_the_code_in_these_files_runs_where_nothing_guards(marker):
    layer = layers.Lambda.from_config(lambda_layer(marker)["config"], safe_mode=False)
    layer(np.zeros(1))
    assert marker.exists()
    marker.unlink()
    importlib.import_module("evil")
    assert marker.exists()
    marker.unlink()  # of every other test none may be left


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


def many_layers(config):
    config["config"]["layers"] += [keras_object("keras.layers", "ReLU", {})] * 20_000


def many_calls(config):
    layer = config["config"]["layers"][-1]
    layer["inbound_nodes"] *= 20_000


def long_sequence(config):
    members = [keras_object("keras.layers", "ReLU", {})] * 301
    inside = {"name": "s", "layers": members}
    config["config"]["layers"].append(keras_object("keras", "Sequential", inside))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (many_layers, "it has more than 5,000 layers and calls of layers"),
        (many_calls, "it has more than 5,000 layers and calls of layers"),
        (long_sequence, "it has a Sequential of 301 layers, at most 300 are allowed"),
    ],
)
def test_what_keras_would_build_for_minutes_is_refused_at_once(honest, tmp_path, change, reason):
    path = with_config(tmp_path / "model.keras", honest, change)
    started = time.monotonic()
    with pytest.raises(ValueError, match=reason):
        keras_file.check(path)
    assert time.monotonic() - started < 5
